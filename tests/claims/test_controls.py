"""Negative controls by name, of payments, misreports and the rule; other chapters test theirs."""

import pytest

from mechanism.claims import CONTROL_SEED, noticed
from mechanism.controls import affine_maximizer, misreport, sw_max

NAMED = [
    (claim, name, control)
    for module in (affine_maximizer, misreport, sw_max)
    for claim, controls in module.CONTROLS.items()
    for name, control in controls.items()
]


IDS = [f"{claim}: {name}" for claim, name, _ in NAMED]


@pytest.mark.parametrize(("claim", "name", "control"), NAMED, ids=IDS)
def test_control_is_noticed(claim, name, control):
    assert noticed(control, CONTROL_SEED + 1)
    assert control(100, 0).claim == claim
