"""Checkers of Theorem 4.11 and Corollary 4.13."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Games
from mechanism.attack.replay import slow_optimum, slow_payment
from mechanism.attack.reports import constant_report, draw_types
from mechanism.attack.spending import Spending
from mechanism.attack.type_tables import ERROR, TypeTable, draw_tables, run_types
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
)
from mechanism.core.errors import InvalidInputError
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.necessary_payments.bounds import (
    affine_payments,
    path_bounds,
    truthful_utility,
    witness_inputs,
)

CONTINUOUS: tuple[Callable[[float], Divergence], ...] = (
    KL, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon,
    lambda lam: Alpha(-1.0, lam), lambda lam: Alpha(1.5, lam), lambda lam: Alpha(3.0, lam),
)  # fmt: skip
Inputs = Callable[[float, Divergence, int], RLHFGame]


def check_thm_4_11_lower(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0,
    *, constant_report: bool = True,
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, first half: DSIC and payments >= 0 imply pay_i >= pay_i^AFF.

    Without `mechanism` the lowest rule that is DSIC and >= 0 on each type table is built,
    pay^AFF - min over types of pay^AFF, and compared with pay^AFF; a quarter of the budget goes
    into `path_bounds`, which do without payment equivalence: the upper bound of every path may not
    be below pay^AFF. With a mechanism, its payments are compared with pay^AFF on the same tables.

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
        `margin` is the least (pay - pay^AFF), reward units.

    Examples
    --------
    >>> check_thm_4_11_lower(budget=200).status
    'holds'
    """
    cases, trials = [], 0
    for table in draw_tables(
        mechanism, games, 3 * budget // 4 if mechanism is None else budget, seed
    ):
        trials += len(table.sizes)
        if mechanism is None:
            cases.append(_lowest_rule_case(table, constant_report))
            if trials + 9 <= budget and isinstance(table.game, RLHFGame):
                cases.append(_path_case(table.game, table.group))
                trials += 9
        else:
            cases.append(_below_case(mechanism, table))
    return worst_case("thm-4.11-lower", cases, trials, by="slack")


def _lowest_rule_case(table: TypeTable, constant_report: bool) -> Case:
    pay = table.payments[:, table.group]
    varied = np.ptp(table.rewards, axis=-1) > 1e-9
    pay = np.where(varied | constant_report, pay, np.inf)
    k = int(pay.argmin())
    cheapest, i = table.reported(k), table.group
    return Case(
        -float(pay[k]), table.tolerance, cheapest, i, None, lambda: -slow_payment(None, cheapest, i)
    )


def _path_case(game: RLHFGame, i: int) -> Case:
    bounds = path_bounds(game, i, 8)
    constant = game.with_report(i, reward=constant_report(game, i))

    def recompute() -> float:
        return bounds.upper - (slow_payment(None, game, i) - slow_payment(None, constant, i))

    error = 2 * ERROR * float(max(scale(game), scale(constant)))
    return Case(bounds.upper - bounds.exact, error, game, i, None, recompute)


def _below_case(mechanism: Mechanism, table: TypeTable) -> Case:
    exact = run_types(None, table.game, table.group, table.rewards, table.sizes).payments
    slack = table.payments - exact
    k, i = (int(index) for index in np.unravel_index(slack.argmin(), slack.shape))
    game = table.reported(k)
    return Case(
        float(slack[k, i]), table.tolerance, game, i, None,
        lambda: slow_payment(mechanism, game, i) - slow_payment(None, game, i),
    )  # fmt: skip


def check_thm_4_11_upper(
    mechanism: Mechanism | None = None, games: str = "rlhf", budget: int = 2000, seed: int = 0,
    *, inputs: Inputs = witness_inputs, groups: tuple[int, int] = (2, 10),
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, second half: DSIC and IR imply pay_1 <= pay_1^AFF + eps at the witness.

    Without `mechanism`: the dearest rule that is IR is pay^AFF + room, and the room at the witness
    must be <= eps, for random eps, divergence and number of groups. With a mechanism: its payment
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
    rng, cases = np.random.default_rng(seed), list[Case]()
    both = claim == "cor-4.13"
    runs = Spending(budget)
    while runs.room((2 if both else 1) if mechanism is None else 0):
        epsilon = float(10 ** rng.uniform(-6, -0.05))
        family = CONTINUOUS[int(rng.integers(len(CONTINUOUS)))]
        count = int(rng.integers(groups[0], groups[1], endpoint=True))
        game = inputs(epsilon, family(float(10 ** rng.uniform(-3, 3))), count)
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

    return Case(float(slack[k]), table.tolerance / epsilon, game, 0, None, recompute)
