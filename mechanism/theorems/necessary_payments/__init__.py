r"""Theorem 4.11 and Corollary 4.13: what payments must be, once they are DSIC, IR and >= 0.

By payment equivalence pay_i = pay_i^AFF + g, where g depends on the others' reports and q alone.
Payments >= 0 force g >= 0, since group i's constant report costs nothing. IR forces g <= *room*,

.. math:: \mathrm{room}_i = \min_{rm_i \in R,\ w_i \ge 1}
          \max_p \{w_i E_p[rm_i] + ASW_{-i}(p)\} - \max_p ASW_{-i}(p),

the least truthful utility under affine maximizer payments: every g in [0, room] is allowed.
Source: Theorem 4.11 and Corollary 4.13, arXiv:2405.16276v4; the room is our own.
"""

from mechanism.theorems.necessary_payments.bounds import (
    PathBounds,
    affine_payments,
    one_group_room,
    path_bounds,
    room,
    rooms,
    truthful_utility,
    witness_inputs,
)
from mechanism.theorems.necessary_payments.check import (
    CHAIN,
    OTHERS,
    STEPS,
    Inputs,
    check_cor_4_13,
    check_thm_4_11_lower,
    check_thm_4_11_upper,
)
from mechanism.theorems.necessary_payments.room_check import (
    check_room,
    computed_room,
)

__all__ = [
    "CHAIN",
    "OTHERS",
    "STEPS",
    "Inputs",
    "PathBounds",
    "affine_payments",
    "check_cor_4_13",
    "check_room",
    "check_thm_4_11_lower",
    "check_thm_4_11_upper",
    "computed_room",
    "one_group_room",
    "path_bounds",
    "room",
    "rooms",
    "truthful_utility",
    "witness_inputs",
]
