r"""Welfare lost by choosing among soups only: against the exact optimum, or bounds on it.

For KL the loss of any model p is :math:`ASW(p^*) - ASW(p) = \lambda \mathrm{KL}(p \| p^*)`, and
the optimum is worth :math:`C(S) = \lambda \log Z, Z = E_q e^{S/\lambda}`. From samples:

- the value of the sampled-support optimum, :math:`\lambda \log \hat Z`, is too *low* on average
  (Jensen), for all its freedom to put weight on single samples: the reward of what is not sampled
  is missing. Weights fitted on one half and evaluated on the other by self-normalised importance
  sampling give that very number again, since p*/q is known up to its normaliser;
- the tangent :math:`\lambda (\log c + \hat Z / c - 1)` with c from the other half is too *high*;
- the best of k evaluated soups is too high (the winner's curse) unless it is chosen on other
  prompts than it is evaluated on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.tables.partition import log_mean_part

FRONTIER = tuple(k / 10 for k in range(1, 10))  # shares of the first group


@dataclass(frozen=True, eq=False)
class Restriction:
    """What a set of models is worth beside the optimum, by prompt; reward units.

    Attributes
    ----------
    optimum : ndarray, shape (P,)
        Greatest ASW over all models.
    welfare : ndarray, shape (k, P)
        ASW of every model of the set.
    initial : ndarray, shape (P,)
        ASW of the initial model, by which `share` is counted.
    """

    optimum: Floats
    welfare: Floats
    initial: Floats

    @property
    def chosen(self) -> int:
        """Model of the set with the greatest mean welfare."""
        return int(self.welfare.mean(axis=-1).argmax())

    @property
    def loss(self) -> float:
        """Mean welfare that the restriction costs."""
        return float((self.optimum - self.welfare[self.chosen]).mean())

    @property
    def loss_by_prompt(self) -> float:
        """The same if each prompt could have its own model of the set; never more than `loss`."""
        return float((self.optimum - self.welfare.max(axis=0)).mean())

    @property
    def share(self) -> float:
        """Share of the gain over the initial model that the set keeps."""
        possible = float((self.optimum - self.initial).mean())
        return 1.0 - self.loss / possible if possible > 0 else float("nan")


def restriction(game: RLHFGame, policies: ArrayLike) -> Restriction:
    """Compare a set of policies (k, P, m) with the optimum of an enumerable game of P prompts.

    >>> game = RLHFGame([[[1.0, 0.0]]], [1], [[0.5, 0.5]], KL(1.0))
    >>> round(restriction(game, [[[0.5, 0.5]], [[0.7, 0.3]]]).loss, 4)
    0.0024
    """
    models = as_floats("policies", policies)
    if models.ndim != 3 or models.shape[1:] != game.reference.shape:
        rule = f"must be (k, P, m) with (P, m) = {game.reference.shape}"
        raise InvalidInputError("policies", f"shape {models.shape}", rule, "put models first")
    return Restriction(
        np.asarray(game.welfare(sw_max(game))),
        np.asarray(game.welfare(models)),
        np.asarray(game.welfare(game.reference)),
    )


def exact_frontier(
    game: RLHFGame, policies: ArrayLike, shares: Sequence[float] = FRONTIER
) -> pd.DataFrame:  # fmt: skip
    """The restriction as the first group's share of all members moves, for two groups.

    Returns
    -------
    DataFrame
        `share`; `optimum`, `restricted`, `initial` (mean ASW); `loss`, `loss_by_prompt`, `kept`
        (share of the gain over the initial model); `chosen`; valuations `v1`, `v2` of the optimum
        and `r1`, `r2` of the chosen model.
    """
    if game.groups != 2:
        raise InvalidInputError("game", f"{game.groups} groups", "two groups", "pick two rewards")
    models, total = as_floats("policies", policies), float(game.sizes.sum())
    lines = []
    for share in shares:
        one = replace(game, sizes=total * np.array([share, 1 - share]))
        found = restriction(one, models)
        best = one.valuations(sw_max(one)).mean(axis=0)
        soup = one.valuations(models[found.chosen]).mean(axis=0)
        lines.append(
            {
                "share": share, "optimum": found.optimum.mean(),
                "restricted": found.welfare[found.chosen].mean(), "initial": found.initial.mean(),
                "loss": found.loss, "loss_by_prompt": found.loss_by_prompt, "kept": found.share,
                "chosen": found.chosen, "v1": best[0], "v2": best[1], "r1": soup[0], "r2": soup[1],
            }
        )  # fmt: skip
    return pd.DataFrame(lines)


@dataclass(frozen=True, eq=False)
class Bracket:
    """Estimates of the optimal welfare from below and from above, in expectation; shape (..., P).

    `lower` is the plug-in value on all samples, `upper` the cross-fitted tangent, `corrected` the
    jackknife between them.
    """

    lower: Floats
    corrected: Floats
    upper: Floats


def optimum_bracket(scores: ArrayLike, lam: float) -> Bracket:
    """Bound the optimal ASW of each prompt by scores S (..., P, K) of the initial model's samples.

    >>> bracket = optimum_bracket([[0.0, 0.0, 1.0, 1.0]], 1.0)
    >>> bracket.lower.round(4), bracket.upper.round(4)
    (array([0.6201]), array([0.6201]))
    """
    logs = as_floats("scores", scores) / KL(lam).lam
    count = logs.shape[-1]
    if count < 4:
        raise InvalidInputError("scores", f"{count} samples", "at least 4", "draw more samples")
    halves = [
        logsumexp(h, axis=-1) - np.log(h.shape[-1]) for h in (logs[..., ::2], logs[..., 1::2])
    ]
    a, b = halves
    tangent = (a + np.expm1(b - a) + b + np.expm1(a - b)) / 2
    part = log_mean_part(logs[..., None, :], lam)
    lower = part.value[..., 0]
    return Bracket(lower, lower - part.jackknife_bias()[..., 0], lam * tangent)


@dataclass(frozen=True, eq=False)
class SampledLoss:
    """Bounds on the welfare that soups lose, reward units, by the three values of the bracket.

    Attributes
    ----------
    optimum : ndarray, shape (3,)
        Optimal welfare, mean over prompts: too low, corrected, too high.
    soups : float
        Welfare of soups chosen on other prompts than they are valued on.
    naive : float
        Welfare of the best soup on the prompts it is chosen on.
    initial : float
        Welfare of the initial model, from the same samples as the optimum.
    won, won_error : float
        `soups` less `initial`, with its standard error over prompts, paired.
    loss : ndarray, shape (3,)
        `optimum` less `soups`.
    error : ndarray, shape (3,)
        Standard errors of the loss over prompts, paired; the noise of completions is in it, the
        seed of the training is not.
    """

    optimum: Floats
    soups: float
    naive: float
    initial: float
    won: float
    won_error: float
    loss: Floats
    error: Floats

    @property
    def kept(self) -> float:
        """Share of the optimum's gain over the initial model that soups keep, bias corrected."""
        return float(self.won / (self.optimum[1] - self.initial))


def sampled_loss(
    values: ArrayLike, kl: ArrayLike, rewards: ArrayLike, sizes: ArrayLike, lam: float,
    folds: int = 4, seed: int = 0,
) -> SampledLoss:  # fmt: skip
    """Loss of evaluated soups against the sampled-support optimum on the same prompts.

    Rewards of both must be normalised in the same way.

    Parameters
    ----------
    values : array_like, shape (n, k, P)
        Mean rewards of the soups by prompt.
    kl : array_like, shape (k, P)
        Nats.
    rewards : array_like, shape (P, n, K)
        Of the initial model's completions.
    sizes : array_like, shape (n,)
    lam : float
    folds : int
        The soup for one fold of prompts is chosen on the others.
    seed : int
        Of the folds.
    """
    w = as_floats("sizes", sizes)
    welfare = np.einsum("n,nkp->kp", w, as_floats("values", values)) - lam * as_floats("kl", kl)
    scores = np.vecmat(w, as_floats("rewards", rewards))
    bracket = optimum_bracket(scores, lam)
    prompts = welfare.shape[-1]
    if bracket.lower.shape != (prompts,):
        rule = f"must cover the {prompts} prompts of the soups"
        raise InvalidInputError("rewards", f"{bracket.lower.shape} prompts", rule, "reindex")
    fold = np.random.default_rng(seed).permutation(prompts) % folds
    soup = np.empty(prompts)
    for k in range(folds):
        best = welfare[:, fold != k].mean(axis=-1).argmax()
        soup[fold == k] = welfare[best, fold == k]
    optima = np.stack([bracket.lower, bracket.corrected, bracket.upper])
    losses, initial = optima - soup, scores.mean(axis=-1)
    won = soup - initial
    return SampledLoss(
        np.asarray(optima.mean(axis=-1)),
        float(soup.mean()),
        float(welfare.mean(axis=-1).max()),
        float(initial.mean()),
        float(won.mean()),
        float(won.std(ddof=1) / np.sqrt(prompts)),
        np.asarray(losses.mean(axis=-1)),
        np.asarray(losses.std(axis=-1, ddof=1) / np.sqrt(prompts)),
    )
