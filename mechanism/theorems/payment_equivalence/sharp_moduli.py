"""Sharp moduli of continuity: no pair of reports moves the model more, some move it that far."""

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, combined, worst_case
from mechanism.attack.replay import slow_optimum
from mechanism.core.divergences import KL, ChiSquared
from mechanism.core.errors import Floats
from mechanism.core.sw_max import sw_max
from mechanism.theorems.payment_equivalence.continuity import (
    check_lemma_B_1,
    check_prop_4_8_chi2,
    check_prop_4_8_kl,
)
from mechanism.theorems.payment_equivalence.moduli import (
    Bound,
    Change,
    chi2_sharp,
    kl_sharp,
    strong_sharp,
    swap_game,
)

MOVES = 20  # pairs that reach the bound, for each of KL and chi-squared


def check_sharp_moduli(
    kl: Bound = kl_sharp, chi2: Bound = chi2_sharp, strong: Bound = strong_sharp,
    budget: int = 2000, seed: int = 0,
) -> ClaimResult:  # fmt: skip
    """The moduli tanh(D / 2 lam), min(1, D / 4 lam) and min(1, D / 2 alpha) hold, and are reached.

    A quarter of the budget goes to KL and to chi-squared each, half to strongly convex f. Then the
    pairs of `swap_game` must move the model by exactly the bound of KL and of chi-squared.

    Parameters
    ----------
    kl, chi2, strong : callable
        Moduli, functions of D and of lam (of the modulus alpha).

    Examples
    --------
    >>> check_sharp_moduli(budget=300).status
    'holds'
    """
    rng = np.random.default_rng(seed)
    parts = [
        check_prop_4_8_kl(None, budget // 4, seed, kl),
        check_prop_4_8_chi2(None, budget // 4, seed, chi2),
        check_lemma_B_1(None, budget // 2 - 4 * MOVES, seed, strong),
    ]
    reached = []
    for family, bound in ((KL, kl), (ChiSquared, chi2)):
        for _ in range(MOVES):
            size, lam = float(rng.uniform(0.01, 1)), float(10 ** rng.uniform(-2, 1))
            move = swap_game(size, family(lam))
            reached.append(_reached_case(move, float(bound(move.size, np.asarray(lam)))))
    parts.append(worst_case("sharp-moduli", reached, 4 * MOVES))
    return combined("sharp-moduli", parts)


def _reached_case(move: Change, limit: float) -> Case:
    def slack(first: Floats, second: Floats) -> float:
        return -abs(limit - float(np.abs(second - first).max()))

    def again() -> float:
        ends = [slow_optimum(g, g.scores())[0] for g in (move.before, move.after)]
        return slack(*(np.array([float(p) for p in one]) for one in ends))

    models = [np.asarray(sw_max(g), dtype=np.float64) for g in (move.before, move.after)]
    lam = move.before.divergence.lam
    return Case(slack(*models), 1e-13 * (1 + 2 / lam), move.before, None, move.after, again)
