"""Proposition 4.4: affine maximizer payments make SW-Max DSIC and IR, and they are >= 0.

Every check works on type tables (`mechanism.attack.type_tables`); `identity_area` holds the area.
Source: Definitions 3.2 and 3.3, Proposition 4.4, arXiv:2405.16276v4.
"""

import numpy as np

from mechanism.attack.best_response import BestResponse, derivative_free_search, gradient_search
from mechanism.attack.claim_result import (
    ERROR,
    Case,
    ClaimResult,
    payment_rounding,
    utility_scale,
    worst_case,
)
from mechanism.attack.games import Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_payment, slow_utility
from mechanism.attack.reports import report_sizes
from mechanism.attack.type_tables import LARGEST_TABLE, TypeTable, draw_tables
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max


def value_identity_gap(game: Game) -> Floats:
    """(..., n): |truthful utility - (ASW(psi(all)) - ASW_-i(psi(others)))|, reward units.

    >>> value_identity_gap(CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])).round(12)
    array([0., 0.])
    """
    model = sw_max(game)
    utilities = game.utilities(model, affine_maximizer_payments(game))
    if isinstance(game, CandidateGame):
        costs = 0.0 if game.divergences is None else game.divergences[..., None, :]
        best = (leave_one_out_scores(game.sizes, game.values) - costs).max(axis=-1)
    else:
        scores = leave_one_out_scores(game.sizes, game.rewards)
        best = optimal_policies(scores, game.reference[..., None, :], game.divergence)[1]
    return np.asarray(np.abs(utilities - (np.asarray(game.welfare(model))[..., None] - best)))


@checker("def-3.2")
def check_dsic(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Definition 3.2: no group gains by another report of reward and size (claim def-3.2).

    Four fifths of `budget` go into type tables, stratum by stratum, and the rest into searches from
    the worst of them, and into more tables where no search fits:
    `gradient_search` for the paper's mechanism, `derivative_free_search` for any other.

    Parameters
    ----------
    mechanism : Mechanism, optional
        Checked in place of the paper's; called on one game at a time.
    games : "rlhf", "candidate" or callable
        Where games come from; a callable takes a random generator.
    budget : int
        Runs of the mechanism.
    seed : int

    Returns
    -------
    ClaimResult
        `margin` is the least (utility of truth - utility of report) in reward units, at the case
        that is worst in units of its own tolerance, 1e-12 (max |S| + lam).

    Examples
    --------
    >>> check_dsic(budget=200).status
    'holds'
    """
    cases, tables, searched = _dsic_cases(mechanism, games, budget, seed)
    return worst_case("def-3.2", cases, _runs(tables) + searched)


@checker("def-3.3")
def check_ir(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Definition 3.3: truth gives every group a utility of at least 0 (claim def-3.3).

    >>> check_ir(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, budget, seed))
    return worst_case("def-3.3", [_ir_case(mechanism, t) for t in tables], _runs(tables))


@checker("prop-4.4")
def check_non_negative(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """No payment is negative (third part of prop-4.4).

    >>> check_non_negative(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, budget, seed))
    return worst_case("prop-4.4", [_sign_case(mechanism, t) for t in tables], _runs(tables))


@checker("prop-4.4")
def check_prop_4_4(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Proposition 4.4: DSIC, IR and payments >= 0, on the same tables (claim prop-4.4).

    >>> check_prop_4_4(budget=200).status
    'holds'
    """
    cases, tables, searched = _dsic_cases(mechanism, games, budget, seed)
    for table in tables:
        cases += [_ir_case(mechanism, table), _sign_case(mechanism, table)]
    return worst_case("prop-4.4", cases, _runs(tables) + searched)


def _runs(tables: list[TypeTable]) -> int:
    return sum(len(table.sizes) for table in tables)


def _dsic_cases(
    mechanism: Mechanism | None, games: Games, budget: int, seed: int
) -> tuple[list[Case], list[TypeTable], int]:
    """Cases, tables, and the runs of the searches; what no search takes goes into more tables."""
    tables = list(draw_tables(mechanism, games, 4 * budget // 5, seed))
    cases = [_dsic_case(mechanism, table) for table in tables]
    trials = first = _runs(tables)
    for case in sorted(cases, key=lambda case: case.ratio):
        i = 0 if case.group is None else case.group
        if trials + _least_search(mechanism, case.game, i) > budget:
            continue
        found = _search(mechanism, case.game, i, budget - trials, seed)
        trials += found.evaluations
        cases.append(_response_case(mechanism, found))
    more = []
    if budget - trials >= LARGEST_TABLE:
        more = list(draw_tables(mechanism, games, budget - trials, seed + 1))
        cases += [_dsic_case(mechanism, table) for table in more]
    return cases, tables + more, trials - first


def _dsic_case(mechanism: Mechanism | None, table: TypeTable) -> Case:
    gains, i = table.gains(), table.group
    np.fill_diagonal(gains, -np.inf)
    j, k = (int(index) for index in np.unravel_index(gains.argmax(), gains.shape))
    truth, report = table.reported(j), table.reported(k)
    return Case(
        -float(gains[j, k]), table.tolerance, truth, i, report,
        lambda: slow_utility(mechanism, truth, truth, i)
        - slow_utility(mechanism, truth, report, i),
        comparisons=gains.size - len(gains),
    )  # fmt: skip


def _response_case(mechanism: Mechanism | None, found: BestResponse) -> Case:
    game, report, i = found.game, found.report, found.group
    tolerance = ERROR * float(max(utility_scale(game), utility_scale(report)))
    if mechanism is not None:
        tolerance += payment_rounding(mechanism.payment_rule(report))
    return Case(
        -found.gain, tolerance, game, i, report,
        lambda: slow_utility(mechanism, game, game, i) - slow_utility(mechanism, game, report, i),
        comparisons=found.evaluations,
    )  # fmt: skip


def _climbs(mechanism: Mechanism | None, game: Game) -> bool:
    smooth = isinstance(game, RLHFGame) and game.divergence.strictly_convex
    return mechanism is None and smooth


def _least_search(mechanism: Mechanism | None, game: Game, i: int) -> int:
    """Runs that a search makes at least."""
    if _climbs(mechanism, game) and isinstance(game, RLHFGame):
        starts = max(4, min(game.outcomes, 64)) if game.normalization == "maximum" else 4
        return 15 * starts * len(_searched_sizes(game, i))
    return 12


def _searched_sizes(game: Game, i: int) -> Floats:
    return np.unique([1.0, game.sizes[i], report_sizes(game, i)[-1]])


def _search(mechanism: Mechanism | None, game: Game, i: int, left: int, seed: int) -> BestResponse:
    sizes = _searched_sizes(game, i)
    if _climbs(mechanism, game) and isinstance(game, RLHFGame):
        return gradient_search(game, i, sizes=sizes, starts=4, steps=14, seed=seed)
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    return derivative_free_search(game, i, rule, sizes=sizes, budget=min(left - 1, 400), seed=seed)


def _ir_case(mechanism: Mechanism | None, table: TypeTable) -> Case:
    utilities = table.truthful_utilities()
    k, i = (int(index) for index in np.unravel_index(utilities.argmin(), utilities.shape))
    game = table.reported(k)
    return Case(
        float(utilities[k, i]), table.tolerance, game, i, None,
        lambda: slow_utility(mechanism, game, game, i), comparisons=utilities.size,
    )  # fmt: skip


def _sign_case(mechanism: Mechanism | None, table: TypeTable) -> Case:
    k, i = (int(x) for x in np.unravel_index(table.payments.argmin(), table.payments.shape))
    game = table.reported(k)
    return Case(
        float(table.payments[k, i]), table.tolerance, game, i, None,
        lambda: slow_payment(mechanism, game, i), comparisons=table.payments.size,
    )  # fmt: skip
