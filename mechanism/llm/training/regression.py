r"""Fine-tune by regression: the log-ratio of every token is fitted to the change of value.

KL-regularised fine-tuning is control. Its optimum satisfies, token by token,

    lam log pi*(a | s) / q(a | s) = V(s a) - V(s),   V(s) = lam log E_q[exp(r / lam) | s],

so that pi* can be regressed from completions of q, all of which can be reused, for any weighted sum
of rewards (soft value functions; path consistency, Nachum et al. 2017; REBEL, Gao et al. 2024; A*-PO,
Brantley et al. 2025). Here values are means, not soft, and the fit is repeated on completions of
the model itself: soft policy iteration (Haarnoja et al. 2018), whose fixed point is pi*. With
e_t = V(s_{t+1}) - lam l_t - V(s_t) for the log-ratio l of the model that drew, the target is

    lam log pi / q (a_t | s_t) = lam l_t + sum_k trace^k e_{t+k},

generalised advantage estimation (Schulman et al. 2016) of the regularised reward. At pi* every e
is 0 and the noise of the gradient vanishes with it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from mechanism.core.errors import Floats
from mechanism.llm.training.pool import Pool, split, token_log_probs
from mechanism.llm.training.values import fit_values


@dataclass(frozen=True)
class Recipe:
    """How one model is fitted to one pool."""

    lam: float
    epochs: int = 2
    batch: int = 512
    micro: int = 512
    rate: float = 5e-4
    warm_up: float = 0.1
    trace: float = 0.9
    block: int = 1
    frozen: int = 15
    temperature: float = 1.0
    seed: int = 0


def targets(pool: Pool, reward: Floats, values: Any, recipe: Recipe) -> Any:
    """Return what lam log pi / q of each token is fitted to, shape (N, T).

    Parameters
    ----------
    pool : Pool
        Completions.
    reward : ndarray, shape (N,)
        The weighted sum of rewards that the model is trained for.
    values : tensor, shape (N, T + 1)
        V before each token; the entry after the last token is replaced by the reward.
    """
    import torch

    r = torch.as_tensor(reward, dtype=torch.float32, device=pool.mask.device)
    last = pool.mask.sum(1).long()
    paid = recipe.lam * pool.log_ratio
    value = values.clone()
    value[:, 0] = _prompt_means(r - paid.sum(1), pool.prompt)
    value.scatter_(1, last[:, None], r[:, None])
    error = (value[:, 1:] - paid - value[:, :-1]) * pool.mask
    gained, carried = torch.zeros_like(error), torch.zeros_like(r)
    for t in reversed(range(error.shape[1])):
        carried = error[:, t] + recipe.trace * carried
        gained[:, t] = carried
    return paid + gained * pool.mask


def _prompt_means(values: Any, prompt: np.ndarray) -> Any:
    """Mean over the completions of the same prompt, for values (N, ...)."""
    import torch

    index = torch.as_tensor(prompt, device=values.device)
    count = torch.bincount(index).clamp(min=1).view(-1, *[1] * (values.dim() - 1))
    total = torch.zeros((len(count), *values.shape[1:]), device=values.device)
    return (total.index_add_(0, index, values) / count)[index]


def returns(pool: Pool, lam: float) -> tuple[Any, Any]:
    """Return rewards (N, T + 1, R) and the divergence yet to be paid (N, T + 1), in nats."""
    import torch

    ahead = pool.log_ratio.flip(1).cumsum(1).flip(1)
    ahead = torch.cat([ahead, torch.zeros_like(ahead[:, :1])], 1)
    r = torch.as_tensor(pool.rewards, dtype=torch.float32, device=ahead.device)
    return r[:, None].expand(-1, ahead.shape[1], -1), ahead


def pool_values(pool: Pool, lam: float, seed: int) -> tuple[Any, float]:
    """Fit the values of every reward and of the divergence to come; shape (N, T + 1, R + 1)."""
    import torch

    rewards, ahead = returns(pool, lam)
    wanted = torch.cat([rewards, ahead[..., None]], -1)
    others = _prompt_means(wanted[:, 0], pool.prompt)[:, None].expand_as(wanted)
    features = torch.cat([pool.features, others.to(pool.features.dtype)], -1)
    return fit_values(features, wanted, pool.mask, pool.prompt, seed)


def fit(
    model: Any, pool: Pool, weights: Floats, values: Any, recipe: Recipe
) -> list[dict[str, float]]:
    """Fit the adapter of `model` to one pool, for the weighted sum of rewards; return the log.

    Parameters
    ----------
    model : PEFT model
        Its adapter is changed in place.
    weights : ndarray, shape (R,)
        Weight of each reward of the pool.
    values : tensor, shape (N, T + 1, R + 1)
        As `pool_values` returns them.
    """
    import torch

    _, upper = split(model, recipe.frozen)
    full = torch.as_tensor([*weights, -recipe.lam], dtype=torch.float32, device=values.device)
    wanted = targets(pool, pool.rewards @ weights, values @ full, recipe)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0)
    steps = recipe.epochs * max(1, pool.size // recipe.batch)
    warm = max(1, round(recipe.warm_up * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda k: min((k + 1) / warm, 0.5 * (1 + math.cos(math.pi * max(0, k - warm) / max(1, steps - warm)))),
    )  # fmt: skip
    random = np.random.default_rng(recipe.seed)
    order = np.concatenate(
        [
            random.permutation(pool.size)[: steps // recipe.epochs * recipe.batch]
            for _ in range(recipe.epochs)
        ]
    )
    log = []
    amp = torch.autocast("cuda", torch.bfloat16, enabled=pool.mask.is_cuda)
    model.train()
    for step, rows in enumerate(
        tqdm(order.reshape(steps, -1), desc="fitting", disable=None, leave=False)
    ):
        loss_sum = 0.0
        for part in np.array_split(rows, max(1, len(rows) // recipe.micro)):
            k = torch.as_tensor(part, device=pool.mask.device)
            with amp:
                scored, _ = token_log_probs(
                    upper, pool.states[k], pool.attention[k], pool.tokens[k], recipe.temperature
                )
            fitted = recipe.lam * (scored - pool.log_initial[k]) * pool.mask[k]
            wrong = _blocks(fitted - wanted[k], recipe.block)
            loss = (wrong**2).sum() / len(rows) / recipe.lam
            loss.backward()
            loss_sum += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, float("inf")))
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        log.append({"step": step, "loss": loss_sum, "grad_norm": norm})
    model.eval()
    return log


def _blocks(wrong: Any, size: int) -> Any:
    """Sums over blocks of `size` tokens."""
    import torch

    if size == 1:
        return wrong
    extra = -wrong.shape[1] % size
    padded = torch.nn.functional.pad(wrong, (0, extra))
    return padded.view(len(wrong), -1, size).sum(-1)
