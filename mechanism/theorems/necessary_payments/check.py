"""Checkers of Theorem 4.11 and Corollary 4.13."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ERROR, Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Draws, Game, Games, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.programs import cheapest_payment
from mechanism.attack.replay import slow_model, slow_optimum, slow_payment
from mechanism.attack.reports import constant_report, draw_types, own_row, random_type
from mechanism.attack.spending import Spending
from mechanism.attack.type_graph import type_graph
from mechanism.attack.type_tables import TypeTable, draw_tables, run_types
from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.necessary_payments.bounds import (
    affine_payments,
    truthful_utility,
    witness_inputs,
)

CHAIN = "linear program: 2e-10 of the largest length for each type"
STEPS, OTHERS = 24, 6  # types on the path from the constant report, and beside it
Inputs = Callable[[float, Divergence, int], RLHFGame]


@checker("thm-4.11-lower")
def check_thm_4_11_lower(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0,
    *, constant_report: bool = True,
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, first half: DSIC and payments >= 0 imply pay_i >= pay_i^AFF.

    Without `mechanism`, a linear program finds the least payment of a type over all payments that
    are DSIC and >= 0 on a finite set of types: `STEPS` equal steps from the constant report, and
    types of a random kind. On a finite set it may lie below pay^AFF, by at most the two-way cost of
    the steps, w <p - p_0, rm - rm*> / STEPS; the slack is what is left of that. With a mechanism,
    its payments are compared with pay^AFF on type tables.

    Parameters
    ----------
    mechanism : Mechanism, optional
        One that claims to be DSIC with payments >= 0.
    games : "rlhf", "candidate" or callable
    budget : int
        Runs of the mechanism.
    seed : int
    constant_report : bool
        Whether the constant reward model may be reported; without it the statement fails.

    Returns
    -------
    ClaimResult
        `margin` is the least (cheapest pay + two-way cost - pay^AFF), reward units.

    Examples
    --------
    >>> check_thm_4_11_lower(budget=200).status
    'holds'
    """
    if mechanism is not None:
        tables = list(draw_tables(mechanism, games, budget, seed))
        cases = [_below_case(mechanism, table) for table in tables]
        return worst_case("thm-4.11-lower", cases, sum(len(table.sizes) for table in tables))
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget)
    for game, i in draws.ranked():
        cases.append(_cheapest_case(rng, game, i, constant_report))
        draws.spend(STEPS + 1 + OTHERS)
    return worst_case("thm-4.11-lower", cases, draws.spent, origin=CHAIN)


def _cheapest_case(rng: np.random.Generator, game: Game, i: int, constant: bool) -> Case:
    """Least payment of the truth by linear program, on a path from the constant report."""
    own, flat, size = own_row(game, i), constant_report(game, i), float(game.sizes[i])
    share = np.linspace(0.0 if constant else 0.2, 1.0, STEPS + 1)[:, None]
    others = [random_type(rng, game, i) for _ in range(OTHERS)]
    rewards = np.concatenate([flat + share * (own - flat), [row for row, _ in others]])
    sizes = np.concatenate([np.full(STEPS + 1, size), [w for _, w in others]])
    graph = type_graph(game, i, rewards, sizes)
    lengths, unit = graph.lengths, float(np.abs(graph.lengths).max())
    cheapest = cheapest_payment(lengths + graph.tolerance, STEPS)
    cost = float(lengths[0, STEPS] + lengths[STEPS, 0]) / STEPS
    paid = float(affine_payments(game)[i])
    error = 2e-10 * len(sizes) * unit + 4 * len(sizes) * graph.tolerance

    ties = isinstance(game, RLHFGame) and not game.divergence.strictly_convex

    def again() -> float:
        if ties:  # two optima may both be right: models and payment are taken at their word
            models = np.asarray(graph.models)
        else:
            models = np.array([slow_model(graph.reported(k)) for k in range(len(sizes))])
        exact = _lengths(rewards, sizes, models)
        for k in range(len(exact)):  # Floyd and Warshall: the dual of the linear program
            exact = np.minimum(exact, exact[:, k : k + 1] + exact[k : k + 1])
        least = max(0.0, -float(exact[STEPS].min()))
        return least + cost - (paid if ties else slow_payment(None, game, i))

    return Case(cheapest + cost - paid, error, game, i, None, again, comparisons=len(sizes))


def _lengths(rewards: Floats, sizes: Floats, models: Floats) -> Floats:
    values = sizes[:, None] * (rewards @ models.T)
    return np.asarray((values.diagonal()[:, None] - values).T)


def _below_case(mechanism: Mechanism, table: TypeTable) -> Case:
    exact = run_types(None, table.game, table.group, table.rewards, table.sizes).payments
    slack = table.payments - exact
    k, i = (int(index) for index in np.unravel_index(slack.argmin(), slack.shape))
    game = table.reported(k)
    return Case(
        float(slack[k, i]), table.tolerance, game, i, None,
        lambda: slow_payment(mechanism, game, i) - slow_payment(None, game, i),
        comparisons=slack.size,
    )  # fmt: skip


@checker("thm-4.11-upper")
def check_thm_4_11_upper(
    mechanism: Mechanism | None = None, games: str = "rlhf", budget: int = 2000, seed: int = 0,
    *, inputs: Inputs = witness_inputs, groups: tuple[int, int] = (2, 10),
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, second half: DSIC and IR imply pay_1 <= pay_1^AFF + eps at the witness.

    Without `mechanism`: the dearest rule that is IR is pay^AFF + room, and the room at the witness
    must be <= eps, for random eps, every divergence (total variation included: continuity is not
    needed) and number of groups. With a mechanism: its payment
    at the witness, for many own reports.

    Parameters
    ----------
    mechanism : Mechanism, optional
        One that claims to be DSIC and IR.
    games : "rlhf"
        The witness is a continuous game.
    budget : int
    seed : int
    inputs : callable
        (eps, divergence, groups) -> game, in place of the paper's witness.
    groups : tuple of int
        Least and greatest number of groups.

    Returns
    -------
    ClaimResult
        `margin` is the least (pay^AFF + eps - pay) / eps.

    Examples
    --------
    >>> check_thm_4_11_upper(budget=200).status
    'holds'
    """
    return _at_witness("thm-4.11-upper", mechanism, games, budget, seed, inputs, groups)


@checker("cor-4.13")
def check_cor_4_13(
    mechanism: Mechanism | None = None, games: str = "rlhf", budget: int = 2000, seed: int = 0,
    *, inputs: Inputs = witness_inputs, groups: tuple[int, int] = (2, 10),
) -> ClaimResult:  # fmt: skip
    """Corollary 4.13: DSIC, IR and payments >= 0 imply |pay_1 - pay_1^AFF| <= eps at the witness.

    As `check_thm_4_11_upper`, from both sides: the lowest and the dearest rule are compared.

    >>> check_cor_4_13(budget=200).status
    'holds'
    """
    return _at_witness("cor-4.13", mechanism, games, budget, seed, inputs, groups)


def _at_witness(
    claim: str, mechanism: Mechanism | None, games: str, budget: int, seed: int,
    inputs: Inputs, groups: tuple[int, int],
) -> ClaimResult:  # fmt: skip
    if games != "rlhf":
        fix = 'pass games="rlhf"'
        raise InvalidInputError("games", repr(games), "the witness is a continuous game", fix)
    rng, cases, runs = np.random.default_rng(seed), list[Case](), Spending(budget)
    strata, both = (
        Strata(rng, normalizations=("maximum",), outcomes=("small",)),
        claim == "cor-4.13",
    )
    while runs.room():
        epsilon, setting = float(10 ** rng.uniform(-6, -0.05)), next(strata)
        count = int(np.clip(setting.groups, *groups))
        game = inputs(epsilon, setting.divergence, count)
        if mechanism is None:
            cases += _extreme_rules(game, epsilon, both)
            runs.spend(2 if both else 1)
        else:
            rewards, sizes = draw_types(rng, game, 0)
            table = run_types(mechanism, game, 0, rewards, sizes)
            cases.append(_own_reports_case(mechanism, table, epsilon, both))
            runs.spend(len(sizes))
    return worst_case(claim, cases, runs.spent, by="slack")


def _extreme_rules(game: RLHFGame, epsilon: float, both: bool) -> list[Case]:
    """The dearest rule that is IR, pay^AFF + room; the lowest that is >= 0, pay^AFF - least."""
    error = ERROR * float(scale(game)) / epsilon
    dear = 1.0 - float(truthful_utility(game, 0)) / epsilon
    cases = [Case(dear, error, game, 0, None, lambda: 1.0 - _slow_utility(game) / epsilon)]
    if both:
        constant = game.with_report(0, reward=np.ones(game.outcomes))
        least = float(affine_payments(constant)[0])
        cases.append(
            Case(
                1.0 - abs(least) / epsilon, error, constant, 0, None,
                lambda: 1.0 - abs(slow_payment(None, constant, 0)) / epsilon,
            )
        )  # fmt: skip
    return cases


def _slow_utility(game: RLHFGame) -> float:
    others = leave_one_out_scores(game.sizes, game.rewards)[0]
    best, without = (slow_optimum(game, scores)[1] for scores in (game.scores(), others))
    return float(best - without)


def _own_reports_case(mechanism: Mechanism, table: TypeTable, epsilon: float, both: bool) -> Case:
    exact = run_types(None, table.game, 0, table.rewards, table.sizes).payments[:, 0]
    excess = table.payments[:, 0] - exact
    slack = (epsilon - (np.abs(excess) if both else excess)) / epsilon
    k = int(slack.argmin())
    game = table.reported(k)

    def recompute() -> float:
        slow = slow_payment(mechanism, game, 0) - slow_payment(None, game, 0)
        return (epsilon - (abs(slow) if both else slow)) / epsilon

    return Case(
        float(slack[k]), table.tolerance / epsilon, game, 0, None, recompute, comparisons=len(slack)
    )
