r"""Value functions: what a text, as far as it is written, may be expected to earn.

For each state s of a pool, V(s) estimates E[G | s], where G is what is still to come: the rewards
at the end, and the divergence to be paid for the tokens after s. A small network reads states of
the language model. It is fitted on one half of the prompts and used on the other, so that no
completion is judged by a network that has seen its reward.
"""

from typing import Any

import numpy as np

from mechanism.core.errors import InvalidInputError

FEW = 32  # prompts, below which what holds for half of them says little of the others
PATIENCE = 8  # passes without a better fit on the other fold after which a fit ends


def fit_values(
    features: Any, returns: Any, mask: Any, prompt: Any, seed: int,
    width: int = 512, epochs: int = 40, batch: int = 8192, rate: float = 1e-3,
) -> tuple[Any, float]:  # fmt: skip
    """Return out-of-fold values (N, T + 1, R) and the share of variance within prompts explained.

    Parameters
    ----------
    features : tensor, shape (N, T + 1, F)
        States before each token and after the last.
    returns : tensor, shape (N, T + 1, R)
        What is to come after each state.
    mask : tensor, shape (N, T)
        1.0 where there is a token; the state after the last token counts, later ones do not.
    prompt : tensor of int, shape (N,)
        Folds are made of whole prompts; of completions where prompts are fewer than `FEW`.

    Raises
    ------
    InvalidInputError
        Where all completions answer one prompt.
    """
    import torch

    numbers = prompt.cpu().numpy()
    if numbers.max() == 0:
        fix = "two folds need two training prompts or more"
        raise InvalidInputError("train_prompts", 1, "must be at least 2", fix)
    torch.manual_seed(seed)
    owner = numbers if numbers.max() + 1 >= FEW else np.arange(len(numbers))
    fold = np.random.default_rng(seed).permutation(owner.max() + 1)[owner] % 2
    live = torch.cat([torch.ones_like(mask[:, :1]), mask], 1).bool()
    out = torch.zeros(returns.shape, device=returns.device)
    centre, spread = returns[live].mean(0), returns[live].std(0).clamp(min=1e-6)
    for k in (0, 1):
        train = torch.as_tensor(fold != k, device=mask.device)
        x, y = features[train][live[train]], (returns[train][live[train]] - centre) / spread
        away = features[~train], (returns[~train] - centre) / spread, live[~train]
        out[~train] = _fit(x, y, away, width, epochs, batch, rate) * spread + centre
    return out, _explained(out, returns, live, prompt)


def _fit(
    x: Any, y: Any, away: tuple[Any, Any, Any], width: int, epochs: int, batch: int, rate: float
) -> Any:
    """Train with early stopping on the other fold; return its predictions there."""
    import torch
    from torch import nn

    mean, scale = x.float().mean(0), x.float().std(0).clamp(min=1e-4)
    net = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(x.shape[1], width), nn.SiLU(), nn.Dropout(0.1),
        nn.Linear(width, y.shape[1]),
    ).to(x.device)  # fmt: skip
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.1)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    best, kept, waited = float("inf"), None, 0
    other, wanted, live = away
    for _ in range(epochs):
        net.train()
        for rows in torch.split(torch.randperm(len(x), device=x.device), batch):
            loss = ((net((x[rows].float() - mean) / scale) - y[rows]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            parts = [net((part.float() - mean) / scale) for part in torch.split(other, 512)]
            guess = torch.cat(parts)
            error = float(((guess - wanted)[live] ** 2).mean())
        waited += 1
        if error < best:
            best, kept, waited = error, guess, 0
        if waited == PATIENCE:
            break
    return kept


def _explained(values: Any, returns: Any, live: Any, prompt: Any) -> float:
    """Share of the within-prompt variance of returns that values explain, over live states."""
    import torch

    index = prompt
    count = torch.bincount(index).clamp(min=1)[:, None]
    first = returns[:, 0]
    mean = torch.zeros(len(count), first.shape[1], device=first.device).index_add_(0, index, first)
    base = (mean / count)[index][:, None].expand_as(returns)
    wrong, total = ((returns - values)[live] ** 2).sum(), ((returns - base)[live] ** 2).sum()
    return float(1 - wrong / total)
