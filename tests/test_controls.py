"""The negative controls of payments and misreports, each by name; other chapters test their own."""

import pytest

from mechanism.claims import CONTROL_SEED
from mechanism.controls import affine_maximizer, misreport

NAMED = [
    (claim, name, control)
    for module in (affine_maximizer, misreport)
    for claim, controls in module.CONTROLS.items()
    for name, control in controls.items()
]


@pytest.mark.parametrize(("claim", "name", "control"), NAMED, ids=lambda value: str(value)[:40])
def test_control_is_noticed(claim, name, control):
    result = control(500, CONTROL_SEED + 1)
    assert result.claim == claim and result.status == "violated", name
