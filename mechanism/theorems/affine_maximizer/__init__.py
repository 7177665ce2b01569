r"""Proposition 4.4: affine maximizer payments make SW-Max DSIC and IR, and they are >= 0.

Every check works on type tables (`mechanism.attack.type_tables`); `identity_area` holds the area,
`size_changes` where its curve bends.
Source: Definitions 3.2 and 3.3, Proposition 4.4, arXiv:2405.16276v4.
"""

from mechanism.theorems.affine_maximizer.check import (
    check_dsic,
    check_ir,
    check_non_negative,
    check_prop_4_4,
    value_identity_gap,
)
from mechanism.theorems.affine_maximizer.identity_area import (
    ENDS,
    ESTIMATED,
    QUADRATURE,
    Area,
    check_identity_area,
    size_curve,
    utility_area,
)
from mechanism.theorems.affine_maximizer.size_changes import kinks, size_breakpoints

__all__ = [
    "ENDS",
    "ESTIMATED",
    "QUADRATURE",
    "Area",
    "check_dsic",
    "check_identity_area",
    "check_ir",
    "check_non_negative",
    "check_prop_4_4",
    "kinks",
    "size_breakpoints",
    "size_curve",
    "utility_area",
    "value_identity_gap",
]
