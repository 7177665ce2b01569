r"""The truthful utility is an area: Myerson's formula with the group's own size as the parameter.

:math:`u_i = \int_0^1 w_i\,v(\psi(rm, (w_{-i}, s w_i)); rm_i)\,ds`, sizes taken as real numbers,
so that a payment can be read off the valuation-against-alpha curve of Figure 2.
Source: our own, by the envelope theorem; Myerson (1981) for one-parameter types.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.integrate import cubature

from mechanism.attack.claim_result import (
    ERROR,
    Case,
    ClaimResult,
    payment_rounding,
    scale,
    worst_case,
)
from mechanism.attack.games import Draws, Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum, slow_utility
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.affine_maximizer.size_changes import kinks, size_breakpoints

QUADRATURE = 1e-11  # relative error granted to a quadrature, which is asked for a tenth of it
ESTIMATED = "rounding and error of the quadrature, at least 1e-11 (max |S| + lam)"
ENDS = 8.0 ** -np.arange(2.0, 15.0)  # shares at which the ends of the size curve are probed


@dataclass(frozen=True)
class Area:
    """Area under the curve of w_i v_i against the reported share s of the own size, s in (0, 1).

    `error` is the quadrature's own estimate; `edges` bound the pieces it used (all of one model
    each, where `exact`).
    """

    value: float
    error: float
    edges: Floats
    exact: bool
    evaluations: int


class BudgetSpent(Exception):
    """An area needs more runs than are left."""


def size_curve(game: Game, i: int, share: Floats, mechanism: Mechanism | None = None) -> Floats:
    """w_i v_i of the model that group i gets by reporting `share` (...) of its size; true values.

    >>> size_curve(CandidateGame([[1.0, 0.0], [0.0, 0.5]], [2, 1]), 0, np.array([0.1, 0.9]))
    array([0., 2.])
    """
    if mechanism is not None:
        share = np.asarray(share)
        flat = [game.with_report(i, size=s * game.sizes[i]) for s in share.ravel()]
        values = [game.valuations(mechanism.training_rule(one))[i] for one in flat]
        return np.asarray(game.sizes[i] * np.reshape(values, share.shape))
    reported = game.with_report(i, size=share * game.sizes[i])
    return np.asarray(game.sizes[i] * game.valuations(sw_max(reported))[..., i])


def _steep_ends(curve: Callable[[Floats], Floats]) -> Floats:
    """Points close to 0 and 1 between which the curve still moves by more than 1e-9 of it."""
    found = []
    for shares in (ENDS, 1.0 - ENDS):
        heights = curve(shares)
        moved = np.abs(np.diff(heights)) > 1e-9 * np.abs(heights).max()
        found.append(shares[: int(np.max(np.nonzero(moved)[0], initial=-1)) + 1])
    return np.concatenate(found)


def utility_area(
    game: Game, i: int, mechanism: Mechanism | None = None, most: float = np.inf
) -> Area:
    """Integrate `size_curve` over s in (0, 1): the truthful utility, by the envelope theorem.

    Candidate sets and total variation are summed exactly between breakpoints; the others go
    through scipy's adaptive Gauss-Kronrod rule, split at kinks and towards steep ends. The curve
    never falls (the optimum is convex in s), so it has steps but no spikes, and a step inside a
    piece shows in the difference of the two rules. That is the error reported, at least
    1e-11 (max |S| + lam); the rule is asked for a tenth of this. `BudgetSpent` is raised before
    more than `most` runs are made.
    """
    runs = 0

    def curve(share: Floats) -> Floats:
        nonlocal runs
        if runs + share.size > most:
            raise BudgetSpent
        runs += share.size
        return size_curve(game, i, share, mechanism)

    steps = isinstance(game, CandidateGame) or isinstance(game.divergence, TotalVariation)
    points = size_breakpoints(game, i) if steps else np.empty(0)
    if mechanism is None and steps:
        edges = np.concatenate([[0.0], points, [1.0]])
        heights = curve((edges[1:] + edges[:-1]) / 2)
        return Area(float(heights @ np.diff(edges)), 0.0, edges, True, len(heights))
    if mechanism is not None and steps:
        extra = points  # a rule like SW-Max jumps there
    else:
        extra = np.concatenate([kinks(game, i), _steep_ends(curve)])
    cuts = np.unique(np.concatenate([[0.0], extra, [1.0]]))
    # one call a piece: given all cuts at once, scipy 1.17 does not split the worst piece first
    pieces = [
        cubature(
            lambda s: curve(s[:, 0])[:, None], [left], [right],
            rule="gk21", rtol=0.0, atol=QUADRATURE / 10 * float(scale(game)) / (len(cuts) - 1),
            max_subdivisions=100,
        )
        for left, right in pairwise(cuts)
    ]  # fmt: skip
    edges = np.unique([[r.a[0], r.b[0]] for piece in pieces for r in piece.regions])
    error = max(sum(float(p.error[0]) for p in pieces), QUADRATURE * float(scale(game)))
    return Area(sum(float(p.estimate[0]) for p in pieces), error, edges, False, runs)


@checker("identity-area")
def check_identity_area(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    r"""Truthful utility is an area: u_i = int_0^1 w_i v(psi(s w_i, w_-i); rm_i) ds.

    Sizes are reals here. It holds for every DSIC mechanism in which a group of size 0 has utility
    0, so it is a test of the payments of any mechanism (claim identity-area). The tolerance adds
    the quadrature's error estimate. Every node counts as a run; an area that would pass the budget
    is broken off and compared with nothing. The replay knows the area under SW-Max without a
    quadrature: C(S) - C(S_-i), by the oracle.

    >>> check_identity_area(games="candidate", budget=200).status
    'holds'
    """
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget, piece=1)
    for game, i in draws.ranked():
        left = budget - draws.spent - 1
        try:  # the first is finished whatever it takes
            case, runs = _area_case(mechanism, game, i, left if cases else np.inf)
        except BudgetSpent:
            draws.spend(left + 1)
            break
        cases.append(case)
        draws.spend(runs)
    return worst_case("identity-area", cases, draws.spent, origin=ESTIMATED)


def _area_case(mechanism: Mechanism | None, game: Game, i: int, most: float) -> tuple[Case, int]:
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    integrated = None if rule.training_rule is sw_max else mechanism
    area, payments = utility_area(game, i, integrated, most), rule.payment_rule(game)
    utility = float(game.utilities(rule.training_rule(game), payments)[i])
    unit = float(scale(game))
    error = area.error + ERROR * unit + payment_rounding(payments)
    if integrated is None and game.batch_shape == ():
        off = abs(area.value - _exact_area(game, i))
        error = max(error, 2 * off if off < 1e-8 * unit else 0.0)  # an estimate may be too small

    def again() -> float:
        slow = _slow_area(game, i) if integrated is None else _gauss(integrated, game, i, area)
        return -abs(slow_utility(mechanism, game, game, i) - slow)

    return Case(-abs(utility - area.value), error, game, i, None, again), area.evaluations + 1


def _exact_area(game: Game, i: int) -> float:
    """C(S) - C(S_-i): what the area under SW-Max is, without a quadrature."""
    if isinstance(game, CandidateGame):
        return _slow_area(game, i)
    others = leave_one_out_scores(game.sizes, game.rewards)[i]
    both = optimal_policies(np.stack([game.scores(), others]), game.reference, game.divergence)[1]
    return float(both[0] - both[1])


def _slow_area(game: Game, i: int) -> float:
    """C(S) - C(S_-i): what the area under SW-Max is, by oracles."""
    if isinstance(game, CandidateGame):
        others = leave_one_out_scores(game.sizes, game.values)[i]
        costs = 0.0 if game.divergences is None else game.divergences
        return float(game.scores().max() - (others - costs).max())
    others = leave_one_out_scores(game.sizes, game.rewards)[i]
    best, without = (slow_optimum(game, scores)[1] for scores in (game.scores(), others))
    return float(best - without)


def _gauss(mechanism: Mechanism, game: Game, i: int, area: Area) -> float:
    """The same area by the Gauss half of the rule on the same pieces."""
    nodes, weights = np.polynomial.legendre.leggauss(1 if area.exact else 10)
    total = 0.0
    for left, right in pairwise(area.edges):
        share = left + (right - left) * (1 + nodes) / 2
        total += (right - left) / 2 * float(weights @ size_curve(game, i, share, mechanism))
    return total
