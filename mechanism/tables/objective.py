r"""How much of what is possible a training reached, by its own objective, with errors.

A model trained for :math:`S = \sum_i w_i rm_i` should raise :math:`J = E_\pi S - \lambda KL`.
What it could gain at most over the initial model is :math:`\lambda \log E_q e^{S/\lambda} - E_q S`,
here from samples of the initial model on the same prompts, corrected for its bias by the jackknife.

Several seeds answer the same held-out prompts, so they are pooled prompt by prompt: means over the
seeds first, errors over prompts after. What another training would differ by is not in the errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.tables.candidates import INITIAL, from_table, is_released, standard_error
from mechanism.tables.frontier import optimum_bracket
from mechanism.tables.support import from_table as support_of
from mechanism.tables.verdicts import Balance


@dataclass(frozen=True)
class Reached(Balance):
    """What one training won by its weighted sum of rewards, and of what is possible.

    Attributes
    ----------
    possible, possible_se : float
        What the optimum would win, net.
    share, share_se : float
        net / possible; its error by the delta method, paired over prompts.
    """

    possible: float
    possible_se: float
    share: float
    share_se: float


@dataclass(frozen=True, eq=False)
class Gains:
    """What a model won over the initial one on each prompt; arrays (P,), in objective units.

    Attributes
    ----------
    won, kl, possible : ndarray, shape (P,)
        Weighted reward won, KL in nats, and what the optimum would win net.
    lam : float
        Weight of the divergence.
    """

    won: Floats
    kl: Floats
    possible: Floats
    lam: float

    @property
    def net(self) -> Floats:
        """won - lam kl: by how much J rose on each prompt."""
        return np.asarray(self.won - self.lam * self.kl)

    def summary(self) -> Reached:
        """Return means and standard errors over prompts."""
        share = float(self.net.mean() / self.possible.mean())
        figures: list[float] = []
        for part in (self.won, self.kl, self.net, self.possible):
            figures += [float(part.mean()), float(standard_error(part))]
        off = (self.net - share * self.possible) / self.possible.mean()
        figures += [share, float(standard_error(off))]
        return Reached(*figures)


def gains(
    samples: pd.DataFrame, rewards: Sequence[str], weights: Floats, lam: float, name: str
) -> Gains:
    """Compare candidate `name` with the initial model of the same sample table, by prompt.

    Parameters
    ----------
    samples : DataFrame
        As in `candidates.check_table`, with at least 4 samples a prompt of the initial model.
    rewards, weights : sequence of str, ndarray (n,)
        The objective is the weighted sum of raw rewards.
    lam : float
        Weight of the divergence.
    name : str
        The candidate.
    """
    return _gains(samples, rewards, weights, lam, [name])


def released_gains(
    samples: pd.DataFrame, rewards: Sequence[str], weights: Floats, lam: float,
    folds: int = 4, seed: int = 0,
) -> Gains:  # fmt: skip
    """Return the gains of the soup that the rule chooses: on each fold, chosen on the others.

    Chosen and judged on the same prompts, the best of several soups would look too good.
    """
    soups = [name for name in samples["candidate"].unique() if is_released(name)]
    return _gains(samples, rewards, weights, lam, soups, folds, seed)


def _gains(
    samples: pd.DataFrame, rewards: Sequence[str], weights: Floats, lam: float,
    names: Sequence[str], folds: int = 1, seed: int = 0,
) -> Gains:  # fmt: skip
    found = from_table(samples[samples["candidate"].isin([INITIAL, *names])], rewards)
    score = np.tensordot(np.asarray(weights, float), found.rewards, 1)
    rows, prompts = [found.names.index(name) for name in names], np.arange(found.prompts)
    welfare = score[rows] - lam * found.kl[rows]
    fold = np.random.default_rng(seed).permutation(found.prompts) % folds
    chosen = np.empty(found.prompts, dtype=int)
    for k in range(folds):
        others = fold != k if folds > 1 else fold == k
        chosen[fold == k] = rows[int(welfare[:, others].mean(axis=-1).argmax())]
    won = score[chosen, prompts] - score[found.names.index(INITIAL)]
    drawn = support_of(samples, rewards, scale=(np.zeros(len(rewards)), np.ones(len(rewards))))
    scores = np.tensordot(np.asarray(weights, float), drawn.values, (0, 1))
    possible = optimum_bracket(scores, lam).corrected - scores.mean(axis=-1)
    return Gains(won, found.kl[chosen, prompts], possible, lam)


def pooled(seeds: Sequence[Gains]) -> Gains:
    """Average the gains of several seeds on the same prompts, prompt by prompt.

    Raises
    ------
    InvalidInputError
        Where prompts or lam differ.
    """
    if len({(one.won.shape, one.lam) for one in seeds}) != 1:
        what = [(one.won.shape[-1], one.lam) for one in seeds]
        rule = "(prompts, lam) must be the same for all"
        raise InvalidInputError("seeds", what, rule, "pool runs with the same held-out prompts")
    won, kl, possible = (
        np.mean([getattr(one, part) for one in seeds], axis=0) for part in ("won", "kl", "possible")
    )
    return Gains(won, kl, possible, seeds[0].lam)


def reached(
    samples: pd.DataFrame, rewards: Sequence[str], weights: Floats, lam: float, name: str
) -> Reached:
    """Return the summary of `gains`."""
    return gains(samples, rewards, weights, lam, name).summary()
