r"""Fine-tune by regression: the log-ratio of every token is fitted to a change of value.

KL-regularised fine-tuning is control. Its optimum satisfies, token by token,

.. math:: \lambda \log \pi^*(a|s) / q(a|s) = V(s a) - V(s), \quad
          V(s) = \lambda \log E_q[e^{r / \lambda} | s],

so that it can be regressed from completions of the initial model q, drawn once and used again for
any weighted sum of rewards (path consistency, Nachum et al. 2017; REBEL, Gao et al. 2024; A*-PO,
Brantley et al. 2025). Here V is the value of the model that drew, a plain mean of what is still to
come, and the fit may be repeated on completions of the model itself: soft policy iteration
(Haarnoja et al. 2018), whose fixed point is the optimum. With the log-ratio :math:`l_t` of the
model that drew and the surprise :math:`e_t = V(s_{t+1}) - \lambda l_t - V(s_t)`, the target is

.. math:: \lambda \log \pi / q \, (a_t | s_t) = \lambda l_t + \sum_k \mathrm{trace}^k e_{t+k},

the generalised advantage (Schulman et al. 2016) of the regularised reward. At the optimum every
surprise is 0, and the noise of the gradient with it.

With `fit_to` = "texts" the sum over a completion is fitted instead, to r - V of its prompt. That
holds exactly at the optimum for every completion whoever drew it, and needs no value of a token;
but which token earned the reward is then left to the model.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from mechanism.core.errors import Floats
from mechanism.llm.config import Settings
from mechanism.llm.training.pool import Pool, split, token_log_probs
from mechanism.llm.training.values import fit_values

MICRO = {"cuda": 256 * 49152, "cpu": 16 * 49152}  # logits a position of one backward pass


Values = tuple[Any, float]  # of `pool_values`


def train(
    model: Any, pool: Pool, weights: Floats, settings: Settings, known: Values | None = None
) -> list[dict[str, float]]:
    """Fit the adapter of `model`, in place, to a pool; return loss and gradient norm of each step.

    Parameters
    ----------
    model : PEFT model
        With an adapter on the layers from `settings.frozen_layers` up.
    pool : Pool
        Completions of the initial model, or of this model as it is.
    weights : ndarray, shape (R,)
        Weight of each reward of the pool: the model is trained for their weighted sum.
    settings : Settings
        `lam`, `fit_to`, `fit_epochs`, `fit_batch`, `learning_rate`, `warmup`, `trace`,
        `frozen_layers`, `seed`.
    known : tuple, optional
        The pool's values, where other weights have needed them before.
    """
    if settings.fit_to == "texts":
        return fit(model, pool, text_targets(pool, weights, settings.lam), settings)
    values, explained = known or pool_values(pool, settings.seed)
    wanted = targets(pool, weights, values, settings.lam, settings.trace)
    log = fit(model, pool, wanted, settings)
    return [line | {"value_r2": explained} for line in log]


def pool_values(pool: Pool, seed: int) -> tuple[Any, float]:
    """Fit the values of each reward and of the divergence to come; (N, T + 1, R + 1), and r2.

    The last column is in nats, so that one fit serves every weight and lam. The value of a prompt
    is the mean over its completions.
    """
    import torch

    ahead = pool.log_ratio.flip(1).cumsum(1).flip(1)
    ahead = torch.cat([ahead, torch.zeros_like(ahead[:, :1])], 1)[..., None]
    rewards = pool.rewards[:, None].expand(-1, ahead.shape[1], -1)
    coming = torch.cat([rewards, ahead], -1)
    means = prompt_means(coming[:, 0], pool.prompt)
    seen = torch.cat([pool.features, means[:, None].expand_as(coming).to(pool.features)], -1)
    values, explained = fit_values(seen, coming, pool.mask, pool.prompt, seed)
    values[:, 0] = means
    return values, explained


def prompt_means(values: Any, prompt: Any) -> Any:
    """Mean over the completions of the same prompt, for values (N, R); shape (N, R)."""
    import torch

    count = torch.bincount(prompt).clamp(min=1)[:, None]
    total = torch.zeros(len(count), values.shape[1], dtype=values.dtype, device=values.device)
    return (total.index_add_(0, prompt, values) / count)[prompt]


def targets(pool: Pool, weights: Floats, values: Any, lam: float, trace: float) -> Any:
    """Return what lam log pi / q of each token is fitted to, shape (N, T); 0 beyond the end.

    `values` are those of `pool_values`: of the state before each token; the state after the last
    one is worth the reward, whatever they say.
    """
    import torch

    like = {"dtype": values.dtype, "device": values.device}
    value = values @ torch.as_tensor([*weights, -lam], **like)
    paid, last = lam * pool.log_ratio, pool.mask.sum(1).long()
    reward = pool.rewards.to(**like) @ torch.as_tensor(np.array(weights, dtype=float), **like)
    value = value.scatter(1, last[:, None], reward[:, None])
    surprise = (value[:, 1:] - paid - value[:, :-1]) * pool.mask
    gained = torch.zeros_like(surprise)
    carried = torch.zeros_like(reward)
    for t in reversed(range(surprise.shape[1])):
        carried = surprise[:, t] + trace * carried
        gained[:, t] = carried
    return (paid + gained) * pool.mask


def text_targets(pool: Pool, weights: Floats, lam: float) -> Any:
    r"""Return what lam log pi / q of each whole completion is fitted to: r - V, shape (N,).

    :math:`V = \lambda \log E_q e^{r / \lambda}` of the prompt, over its completions, each weighted
    by q over the probability that drew it.
    """
    import torch

    reward = pool.rewards @ torch.as_tensor(np.array(weights, dtype=float)).to(pool.rewards)
    logs = reward / lam - pool.log_ratio.sum(1)
    top = logs.max()
    mean = prompt_means((logs - top).exp()[:, None], pool.prompt)[:, 0]
    return reward - lam * (top + mean.log())


def fit(model: Any, pool: Pool, wanted: Any, settings: Settings) -> list[dict[str, float]]:
    """Minimise the squared distance of lam log pi / q from `wanted`; return the log of all steps.

    `wanted` is (N, T), a number a token, or (N,), a number a completion.
    Adam with warm-up and a cosine to 0, no clipping; bfloat16 products on a GPU.
    """
    import torch

    _, upper = split(model, settings.frozen_layers)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    batches = list(_batches(pool.size, settings))
    factor = [_schedule(k, len(batches), settings.warmup) for k in range(len(batches) + 1)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor.__getitem__)
    kind = pool.mask.device.type
    micro = max(1, MICRO[kind] // upper.lm_head.out_features)
    half = torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda")
    log: list[dict[str, float]] = []
    model.train()
    for rows in tqdm(batches, desc="fitting", unit="step", disable=None, leave=False):
        loss = 0.0
        for part in torch.split(torch.as_tensor(rows, device=pool.mask.device), micro):
            with half:
                scored, _ = token_log_probs(
                    upper, pool.states[part], pool.attention[part], pool.tokens[part],
                    settings.temperature,
                )  # fmt: skip
            fitted = settings.lam * (scored - pool.log_initial[part]) * pool.mask[part]
            fitted = fitted.sum(1) if wanted.ndim == 1 else fitted
            wrong = ((fitted - wanted[part]) ** 2).sum() / len(rows) / settings.lam
            wrong.backward()
            loss += float(wrong.detach())
        norm = float(torch.nn.utils.get_total_norm([p.grad for p in parameters]))
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        log.append({"step": len(log) + 1, "loss": loss, "grad_norm": norm})
    model.eval()
    return log


def _batches(size: int, settings: Settings) -> Iterator[np.ndarray]:
    """Rows of each step: shuffled passes over the pool, what does not fill a step left out."""
    random = np.random.default_rng(settings.seed)
    batch = min(settings.fit_batch, size)
    for _ in range(settings.fit_epochs):
        order = random.permutation(size)
        yield from (order[k : k + batch] for k in range(0, size - batch + 1, batch))


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step.

    >>> [_schedule(k, 4, 0.5) for k in range(3)]
    [0.5, 1.0, 1.0]
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
