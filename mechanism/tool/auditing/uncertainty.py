r"""Theorem 4.12 at the table at hand: how far the rewards may be off, and what that lets through.

With rewards within eps of the truth a misreport of the reward gains group i at most
:math:`2 w_i \varepsilon`, and :math:`2 w_i \varepsilon + \delta` where training ends delta short of
the optimum. eps is a quantile of the bootstrap of the *normalised* mean rewards: the largest
deviation over candidates as the theorem has it, and half their spread, which suffices since noise
that is the same for all candidates changes no choice.
Source: Theorem 4.12, arXiv:2405.16276v4; delta and the spread are our own.
"""

from dataclasses import dataclass

import numpy as np

from mechanism.core.errors import Floats
from mechanism.tool.bootstrap import resampled
from mechanism.tool.tables import CandidateTable, scaled


@dataclass(frozen=True)
class Noise:
    """Bounds on what a misreport can gain with payments, reward units.

    Attributes
    ----------
    epsilon : float
        Largest deviation over candidates.
    half_spread : float or None
        Half the spread of the deviations; None where eps was given.
    bound : float
        2 w eps + delta.
    sharp_bound : float or None
        2 w half_spread + delta.
    """

    epsilon: float
    half_spread: float | None
    bound: float
    sharp_bound: float | None


def noise_of(
    table: CandidateTable, delta: float, epsilon: float | None, replicates: int, level: float,
    seed: int,
) -> list[Noise | None]:  # fmt: skip
    """One `Noise` a group; None without prompts and without a given epsilon."""
    if epsilon is not None:
        return [Noise(epsilon, None, float(2 * w * epsilon + delta), None) for w in table.sizes]
    if table.blocks is None or replicates == 0:
        return [None] * len(table.groups)
    sup, spread = _deviations(table, replicates, seed)
    eps, half = np.quantile(sup, level, axis=0), np.quantile(spread, level, axis=0) / 2
    return [
        Noise(float(e), float(h), float(2 * w * e + delta), float(2 * w * h + delta))
        for e, h, w in zip(eps, half, table.sizes, strict=True)
    ]


def _deviations(table: CandidateTable, replicates: int, seed: int) -> tuple[Floats, Floats]:
    """Largest deviation and spread of deviations of every replicate, (R, n) each."""
    assert table.blocks is not None
    number = table.blocks.sums.shape[-1]
    widen = np.sqrt(number / (number - 1))  # P prompts have P - 1 degrees of freedom
    sups, spreads = [], []
    for means, _ in resampled(table, table.blocks, replicates, seed):
        values = scaled(means) if table.normalization == "min-max" else means
        off = widen * (values - table.values)
        sups.append(np.abs(off).max(axis=-1))
        spreads.append(np.ptp(off, axis=-1))
    return np.concatenate(sups), np.concatenate(spreads)
