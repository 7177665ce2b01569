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


IDS = [f"{claim}: {name}" for claim, name, _ in NAMED]


@pytest.mark.parametrize(("claim", "name", "control"), NAMED, ids=IDS)
def test_control_is_noticed(claim, name, control):
    results = (control(budget, CONTROL_SEED + 1) for budget in (500, 2000))
    assert any(result.claim == claim and result.status == "violated" for result in results), name
