r"""Theorem 4.2: where nobody pays, only an indifferent group has no reason to misreport.

Part 1: a constant reward model makes every model worth the same. Part 2: any other reward model
without a zero gains strictly by the construction `misreports.theorem_4_2`, whatever the others
report. Everything here is without payments; gains are in reward units, :math:`w_i\,\Delta v_i`.
Source: Theorem 4.2, arXiv:2405.16276v4.
"""

from mechanism.theorems.misreport.check import CLEAR, check_part_1, check_part_2
from mechanism.theorems.misreport.gains import (
    UNIT,
    Pair,
    TrainingRule,
    alignment,
    gain_case,
    gain_error,
    gains,
    models,
    oracle_gain,
    replayed,
    strict,
)
from mechanism.theorems.misreport.games import (
    BATCH,
    SMOOTH,
    attack,
    best_lie_of_the_indifferent,
    draw_batch,
    exaggerated,
    small_game,
    worst_alignment,
)
from mechanism.theorems.misreport.kinked import flat_kl, kl_plus_tv, kl_with_kink

__all__ = [
    "BATCH",
    "CLEAR",
    "SMOOTH",
    "UNIT",
    "Pair",
    "TrainingRule",
    "alignment",
    "attack",
    "best_lie_of_the_indifferent",
    "check_part_1",
    "check_part_2",
    "draw_batch",
    "exaggerated",
    "flat_kl",
    "gain_case",
    "gain_error",
    "gains",
    "kl_plus_tv",
    "kl_with_kink",
    "models",
    "oracle_gain",
    "replayed",
    "small_game",
    "strict",
    "worst_alignment",
]
