"""Negative controls by name, of payments, misreports and the rule; other chapters test theirs."""

import pytest

from mechanism.claims import CONTROL_SEED
from mechanism.controls import affine_maximizer, misreport, sw_max

NAMED = [
    (claim, name, control)
    for module in (affine_maximizer, misreport, sw_max)
    for claim, controls in module.CONTROLS.items()
    for name, control in controls.items()
]


@pytest.mark.parametrize(("claim", "name", "control"), NAMED, ids=lambda value: str(value)[:40])
def test_control_is_noticed(claim, name, control):
    result = control(500, CONTROL_SEED + 1)
    assert result.claim == claim and result.status == "violated", name
