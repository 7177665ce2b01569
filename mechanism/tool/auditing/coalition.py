"""False names and pairs of groups, for the audit's tables: what payments do not stop."""

from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from mechanism.attack.joint_reports import (
    false_name_payments,
    joint_gains,
    pair_gains,
    with_sizes_scaled,
)
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max

NAMES = (1, 2, 5, 10, 100)
PAIRS = 300  # pairs that are looked at, of n (n - 1) / 2


@dataclass(frozen=True)
class FalseNames:
    """A group that splits its size over equal names.

    Attributes
    ----------
    names : int
    payment : float
        Of all names together.
    utility : float
        Of the group behind them.
    """

    names: int
    payment: float
    utility: float


@dataclass(frozen=True)
class Pair:
    """Two groups that agree on what to report.

    Attributes
    ----------
    groups : tuple of str
    utilities : tuple of float
        When all are truthful.
    doubled_gains : tuple of float
        What each gains when both double their sizes.
    best_gain : float or None
        Most that they can gain together, by any report; None where it is not known exactly.
    outcome : str or None
        The candidate that brings it; both pay nothing then.
    """

    groups: tuple[str, str]
    utilities: tuple[float, float]
    doubled_gains: tuple[float, float]
    best_gain: float | None
    outcome: str | None


def false_names(game: CandidateGame, i: int) -> tuple[FalseNames, ...]:
    """What group i pays under 1, 2, 5, 10 and 100 names."""
    worth = float(game.sizes[i] * game.valuations(sw_max(game))[i])
    paid = false_name_payments(game, i, NAMES)
    return tuple(
        FalseNames(names, float(p), worth - float(p)) for names, p in zip(NAMES, paid, strict=True)
    )


def pairs(game: CandidateGame, groups: tuple[str, ...], names: tuple[str, ...]) -> tuple[Pair, ...]:
    """Every pair of groups (the first `PAIRS`), worst first."""
    truth = game.utilities(sw_max(game), affine_maximizer_payments(game))
    found = []
    for i, j in islice(combinations(range(game.groups), 2), PAIRS):
        doubled = joint_gains(game, (i, j), with_sizes_scaled(game, (i, j), 2.0))
        gains = pair_gains(game, i, j)
        best = int(np.argmax(gains))
        found.append(
            Pair(
                (groups[i], groups[j]), (float(truth[i]), float(truth[j])),
                (float(doubled[0]), float(doubled[1])), float(gains[best]), names[best],
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda pair: -(pair.best_gain or 0.0)))
