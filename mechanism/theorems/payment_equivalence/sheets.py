"""Sheets and jumps: payments may depend on the own size by the cheapest chain of jumps."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from mechanism.attack.claim_result import ERROR, Case, ClaimResult, scale, worst_case
from mechanism.attack.games import FAMILIES, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum
from mechanism.attack.spending import Spending
from mechanism.attack.type_graph import shortest_paths, type_graph
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.payment_equivalence.size_jumps import (
    SizeFreedom,
    bregman_gaps,
    min_max_reports,
    size_freedom,
)

SIZES = np.array([1.0, 2.0, 4.0])
STEPS = 10  # min-max reports of three outcomes on each of six legs
Freedom = Callable[[RLHFGame, int, Floats, Floats], SizeFreedom]
LIMIT = "rounding and the two-way cost of the steps inside a size"


@checker("prop-sheets")
def check_sheets(freedom: Freedom = size_freedom, budget: int = 2000, seed: int = 0) -> ClaimResult:
    """Min-max rewards: payments may depend on the size by the cheapest chain of jumps, no more.

    Three outcomes, sizes 1, 2 and 4, reports on a grid of segments. The most by which pay(t') -
    pay(t) may exceed the affine difference, over all payments that make truth optimal on these
    types, is the shortest path of gaps from t to t' (Johnson's algorithm over all types). Between
    two sizes the least of these is at least the cheapest chain of jumps, and at most that, plus
    what the finite steps inside a size cost where the chain passes through a third size. The replay
    takes 50-digit models and Floyd's algorithm.

    Parameters
    ----------
    freedom : callable
        (game, group, reports, sizes) -> `SizeFreedom`, in place of `size_freedom`.

    Returns
    -------
    ClaimResult
        `margin` is the least of: path - chain, and chain + steps - path; reward units.

    Examples
    --------
    >>> check_sheets(budget=200).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    reports = min_max_reports(STEPS)
    for setting in Strata(rng, tuple(FAMILIES.values()), outcomes=("small",)):
        drawn = replace(setting, outcomes=3).draw(rng)
        game = replace(drawn, normalization=None, rewards=_min_max(drawn.rewards))
        cases += _sheet_cases(rng, game, reports, freedom)
        runs.spend(len(SIZES) * len(reports))
        if not runs.room():
            break
    return worst_case("prop-sheets", cases, runs.spent, origin=LIMIT)


def _min_max(rows: Floats) -> Floats:
    low, span = rows.min(axis=-1, keepdims=True), np.ptp(rows, axis=-1)[..., None]
    return np.asarray(np.where(span > 0, (rows - low) / np.where(span > 0, span, 1.0), 0.0))


def _sheet_cases(
    rng: np.random.Generator, game: RLHFGame, reports: Floats, freedom: Freedom
) -> list[Case]:
    i, count = int(rng.integers(game.groups)), len(reports)
    rewards, sizes = np.tile(reports, (len(SIZES), 1)), np.repeat(SIZES, count)
    graph = type_graph(game, i, rewards, sizes)
    chains = freedom(game, i, reports, SIZES).freedom
    batch = game.with_report(i, rewards, sizes)
    error = 8 * ERROR * float(np.max(scale(batch)))

    def slacks(gaps: Floats, paths: Floats | None) -> tuple[float, float]:
        assert paths is not None
        shape, off = (len(SIZES), count) * 2, ~np.eye(len(SIZES), dtype=bool)
        blocks = paths.reshape(shape).min(axis=(1, 3))
        between = gaps.reshape(shape).min(axis=(1, 3))
        inside = sum(_floyd(gaps[k : k + count, k : k + count]).max() for k in _starts(count))
        steps = np.where(_floyd(between) < between - error, inside, 0.0)  # through a third size
        return float((blocks - chains)[off].min()), float((chains + steps - blocks)[off].min())

    def again(which: int) -> float:
        if isinstance(game.divergence, TotalVariation):  # ties: models are taken at their word
            return slacks(fast, _floyd(fast))[which]
        slow = np.maximum(_slow_gaps(game, i, rewards, sizes), 0.0)
        return slacks(slow, _floyd(slow))[which]

    fast = np.maximum(bregman_gaps(graph), 0.0)
    found = slacks(fast, shortest_paths(fast, 1e-300))
    return [
        Case(found[k], error, game, i, None, partial(again, k), comparisons=len(SIZES) * 2)
        for k in range(2)
    ]


def _starts(count: int) -> range:
    """First type of each size."""
    return range(0, len(SIZES) * count, count)


def _floyd(gaps: Floats) -> Floats:
    paths = gaps.copy()
    for k in range(len(paths)):
        paths = np.minimum(paths, paths[:, [k]] + paths[[k]])
    np.fill_diagonal(paths, 0.0)
    return paths


def _slow_gaps(game: RLHFGame, i: int, rewards: Floats, sizes: Floats) -> Floats:
    """Bregman gaps C(s) - C(s') - <s - s', p(s')> from 50-digit optima."""
    own, models, values = sizes[:, None] * rewards, [], []
    for row, size in zip(rewards, sizes, strict=True):
        reported = game.with_report(i, row, size)
        model, value = slow_optimum(reported, reported.scores())
        models.append([float(p) for p in model])
        values.append(float(value))
    at, best = own @ np.array(models).T, np.array(values)
    posing = at - at.diagonal()[None, :]  # <s - s', p(s')>, s in rows
    return np.asarray((best[:, None] - best[None, :] - posing).T)
