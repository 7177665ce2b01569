r"""Theorems 4.3 and B.2: the slope of a group's true valuation in its own report, without payments.

With :math:`a(x) = q(x)/f''(p(x)/q(x))` and :math:`t(x) = \sum_z (rm_i(x) - rm_i(z))\,a(z)`, raising
the report at x by epsilon changes :math:`v(p; rm_i)` by
:math:`w_i\,\varepsilon\,a(x)\,t(x)/\sum a + O(\varepsilon^2)`. Three sufficient conditions follow
for truth not to be optimal where :math:`\min rm_i = 0`. Gains are in reward units, w_i times v.
Source: Theorems 4.3 and B.2, arXiv:2405.16276v4; `pair` and `critical` are our own.
"""

from mechanism.theorems.gradient.census import all_reports, survey
from mechanism.theorems.gradient.check import (
    CASES,
    LARGEST_PIECE,
    check_case,
    check_thm_4_3,
    check_thm_B_2_1,
    check_thm_B_2_2,
    check_thm_B_2_3,
    judge,
)
from mechanism.theorems.gradient.complete import (
    POSITIVE,
    check_kl_complete,
    check_pair,
    check_zero_one,
    kl_optimal_game,
    twin_outcomes,
    zero_one_game,
)
from mechanism.theorems.gradient.deviations import (
    NOTABLE,
    STEPS,
    Condition,
    Deviation,
    Weights,
    case_1,
    case_2,
    case_3,
    epsilons,
    pair,
    pull,
    reports,
    slope,
    weights,
)
from mechanism.theorems.gradient.games import (
    draw,
    game_with_optimum,
    near_edge,
    near_twins,
    small_game,
    worst_drive,
)

__all__ = [
    "CASES",
    "LARGEST_PIECE",
    "NOTABLE",
    "POSITIVE",
    "STEPS",
    "Condition",
    "Deviation",
    "Weights",
    "all_reports",
    "case_1",
    "case_2",
    "case_3",
    "check_case",
    "check_kl_complete",
    "check_pair",
    "check_thm_4_3",
    "check_thm_B_2_1",
    "check_thm_B_2_2",
    "check_thm_B_2_3",
    "check_zero_one",
    "draw",
    "epsilons",
    "game_with_optimum",
    "judge",
    "kl_optimal_game",
    "near_edge",
    "near_twins",
    "pair",
    "pull",
    "reports",
    "slope",
    "small_game",
    "survey",
    "twin_outcomes",
    "weights",
    "worst_drive",
    "zero_one_game",
]
