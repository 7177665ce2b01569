"""Where the model changes abruptly as one group's size grows: edges for quadratures over it.

Source: our own; the optimality condition of `mechanism.core.multiplier`.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mechanism.attack.games import Game
from mechanism.attack.paths import turning_points
from mechanism.attack.reports import own_row
from mechanism.core.errors import Floats
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max

RARE = 1e-6  # probability below which an outcome comes in within a sliver that nodes may miss
INSET = 1e-9  # share of a bracket that is left out at its ends
Indices: TypeAlias = NDArray[np.intp]


def size_breakpoints(game: Game, i: int) -> Floats:
    """Points s in (0, 1) where the best outcome of S(s) = S_-i + s w_i rm_i changes.

    See `turning_points`: for total variation and candidate sets the model is constant in between.

    >>> size_breakpoints(CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1]), 0)
    array([0.5])
    """
    if isinstance(game, CandidateGame):
        base = leave_one_out_scores(game.sizes, game.values)[i]
        base = base if game.divergences is None else base - game.divergences
    else:
        base = leave_one_out_scores(game.sizes, game.rewards)[i]
    return turning_points(game, base, game.sizes[i] * own_row(game, i))[1:-1]


def kinks(game: Game, i: int) -> Floats:
    """Shares s where an outcome's probability reaches 0, or a rare one's rises from next to 0.

    With mu such that x is just at 0 (f'(0) finite), or takes whatever is left (f' bounded above),
    the others' mass is sum_y q(y) (f')^-1(bound + S(y) - S(x)): x is out where it exceeds 1.
    Crossings of the lines S(x), S(y) bracket the changes, but above 40 outcomes the optima
    themselves are bisected, see `_support_changes`.
    """
    if not isinstance(game, RLHFGame):
        return np.empty(0)
    f, found = game.divergence, [np.empty(0)]
    if not f.interior and game.outcomes > 40:
        found.append(_support_changes(game, i))
    elif not f.interior:
        found.append(_changes(game, i, f.df(0.0), np.arange(game.outcomes)))
    if f.strictly_convex and f.slope_limit < np.inf and game.outcomes <= 40:
        rare = np.flatnonzero(game.reference < RARE)
        found.append(_changes(game, i, np.asarray(f.lam * f.slope_limit), rare))
    return np.concatenate(found)


def _changes(game: RLHFGame, i: int, bound: Floats, of: Indices) -> Floats:
    """Shares where the others' mass at outcomes `of` crosses 1; it may be infinite at crossings."""
    slopes = game.sizes[i] * own_row(game, i)
    base = leave_one_out_scores(game.sizes, game.rewards)[i]

    def excess(s: Floats, x: Indices) -> Floats:
        scores = base + s[:, None] * slopes
        rises = scores - np.take_along_axis(scores, x[:, None], axis=-1)
        ratios = np.array(game.divergence.df_inverse(bound + rises))
        np.put_along_axis(ratios, x[:, None], 0.0, axis=-1)
        return np.asarray(ratios @ game.reference - 1.0)

    with np.errstate(all="ignore"):
        cross = -(base[:, None] - base) / (slopes[:, None] - slopes)
    grid = np.unique(np.concatenate([[0.0, 1.0], cross[(cross > 0) & (cross < 1)]]))
    low, high = (np.repeat(ends, len(of)) for ends in (grid[:-1], grid[1:]))
    low, high = low + INSET * (high - low), high - INSET * (high - low)
    x = np.tile(of, len(grid) - 1)
    before = excess(low, x) > 0
    changed = before != (excess(high, x) > 0)
    low, high, before, x = low[changed], high[changed], before[changed], x[changed]
    for _ in range(55):
        middle = (low + high) / 2
        same = (excess(middle, x) > 0) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found = np.unique(low)
    return found[(found > 0) & (found < 1)]


def _support_changes(game: RLHFGame, i: int, cells: int = 64, rounds: int = 20) -> Floats:
    """Both ends of the short brackets in which the support of the optimum changes."""

    def support(share: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        sizes = np.maximum(share, 1e-300) * game.sizes[i]
        return np.asarray(sw_max(game.with_report(i, size=sizes))) > 0

    grid = np.linspace(0.0, 1.0, cells + 1)
    kept = support(grid)
    cell, which = np.nonzero(kept[1:] != kept[:-1])
    low, high, before = grid[cell], grid[cell + 1], kept[cell, which]
    for _ in range(rounds if len(cell) else 0):
        middle = (low + high) / 2
        same = support(middle)[np.arange(len(which)), which] == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found = np.unique(np.concatenate([low, high]))
    return found[(found > 0) & (found < 1)]
