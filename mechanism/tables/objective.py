r"""How much of what is possible a training reached, by its own objective, with errors.

A model trained for :math:`S = \sum_i w_i rm_i` should raise :math:`J = E_\pi S - \lambda KL`.
What it could gain at most over the initial model is :math:`\lambda \log E_q e^{S/\lambda} - E_q S`,
here from samples of the initial model on the same prompts, corrected for its bias by the jackknife.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.tables.candidates import INITIAL, from_table, standard_error
from mechanism.tables.frontier import optimum_bracket
from mechanism.tables.support import from_table as support_of


@dataclass(frozen=True)
class Reached:
    """What one training won, in units of its objective, with standard errors over prompts.

    Attributes
    ----------
    won, won_se : float
        Weighted reward less that of the initial model, paired over prompts.
    kl, kl_se : float
        KL to the initial model of a whole completion, nats.
    net, net_se : float
        won - lam kl: by how much J rose.
    possible, possible_se : float
        What the optimum would win, net.
    share, share_se : float
        net / possible; its error by the delta method, paired over prompts.
    """

    won: float
    won_se: float
    kl: float
    kl_se: float
    net: float
    net_se: float
    possible: float
    possible_se: float
    share: float
    share_se: float


def reached(
    samples: pd.DataFrame, rewards: Sequence[str], weights: Floats, lam: float, name: str
) -> Reached:
    """Compare candidate `name` with the initial model of the same sample table.

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
    found = from_table(samples[samples["candidate"].isin([INITIAL, name])], rewards)
    score = np.tensordot(np.asarray(weights, float), found.rewards, 1)
    row, first = found.names.index(name), found.names.index(INITIAL)
    won, kl = score[row] - score[first], found.kl[row]
    drawn = support_of(samples, rewards, scale=(np.zeros(len(rewards)), np.ones(len(rewards))))
    scores = np.tensordot(np.asarray(weights, float), drawn.values, (0, 1))
    possible = optimum_bracket(scores, lam).corrected - scores.mean(axis=-1)
    net = won - lam * kl
    share = float(net.mean() / possible.mean())
    figures: list[float] = []
    for part in (won, kl, net, possible):
        figures += [float(part.mean()), float(standard_error(part))]
    off = (net - share * possible) / possible.mean()
    figures += [share, float(standard_error(off))]
    return Reached(*figures)
