"""Checkers of the two heuristics of Section 4.4."""

from mechanism.attack.claim_result import Case, ClaimResult, combined, scale, worst_case
from mechanism.attack.games import Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_payment, slow_utility
from mechanism.core.payments import Mechanism
from mechanism.theorems.affine_maximizer.check import check_dsic, check_ir, check_non_negative
from mechanism.theorems.efficient_payments.heuristics import (
    ROUNDING,
    agreement_witness,
    checkpoint_payments,
    early_stopped_payments,
    exaggeration_witness,
    gain,
    heuristic_mechanism,
)

CLEAR = 1e-3  # a failure that the paper only calls possible must show by more than this


@checker("heuristic-1")
def check_heuristic_1(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Heuristic 1: payments >= 0, IR, and (for the paper's own rule) not DSIC.

    The final model is optimal and among the checkpoints. Half of `budget` goes to each of payments
    and IR, on type tables. That DSIC fails is exhibited by `exaggeration_witness`.

    Returns
    -------
    ClaimResult
        `margin` is the least payment or truthful utility, or the witness's gain less 1e-3.

    Examples
    --------
    >>> check_heuristic_1(budget=200).status
    'holds'
    """
    rule = heuristic_mechanism(checkpoint_payments) if mechanism is None else mechanism
    parts = [
        check_non_negative(rule, games, budget // 2, seed),
        check_ir(rule, games, budget // 2, seed + 1),
    ]
    if mechanism is None:
        parts.append(_gain_result(rule, *exaggeration_witness()))
    return combined("heuristic-1", parts)


@checker("heuristic-2")
def check_heuristic_2(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Heuristic 2: DSIC, IR, and (for the paper's own rule) payments may be negative.

    The final model is optimal and the stopping rule blind to the group's report. Three quarters of
    `budget` attack DSIC with reports and sizes, the rest tests IR. A negative payment is exhibited
    by `agreement_witness`.

    Returns
    -------
    ClaimResult
        `margin` is the least truthful advantage or utility, or what is paid out less 1e-3.

    Examples
    --------
    >>> check_heuristic_2(budget=200).status
    'holds'
    """
    rule = heuristic_mechanism(early_stopped_payments) if mechanism is None else mechanism
    parts = [
        check_dsic(rule, games, 3 * budget // 4, seed),
        check_ir(rule, games, budget // 4, seed + 1),
    ]
    if mechanism is None:
        parts.append(_subsidy_result(rule, agreement_witness()))
    return combined("heuristic-2", parts)


def _gain_result(rule: Mechanism, game: Game, report: Game) -> ClaimResult:
    found = gain(rule, game, report)

    def recompute() -> float:
        slow = [slow_utility(rule, game, said, 0) for said in (report, game)]
        return slow[0] - slow[1] - CLEAR

    case = Case(found - CLEAR, _tolerance(game), game, 0, report, recompute, found)
    return worst_case("heuristic-1", [case], 2)


def _subsidy_result(rule: Mechanism, game: Game) -> ClaimResult:
    paid_out = -float(rule.payment_rule(game)[0])
    case = Case(
        paid_out - CLEAR, _tolerance(game), game, 0, None,
        lambda: -slow_payment(rule, game, 0) - CLEAR, paid_out,
    )  # fmt: skip
    return worst_case("heuristic-2", [case], 1)


def _tolerance(game: Game) -> float:
    return ROUNDING * float(scale(game))
