"""Negative controls by name, of payments, misreports and the rule; other chapters test theirs."""

from types import SimpleNamespace

import pytest

from mechanism.claims import CONTROL_SEED, noticed
from mechanism.controls import affine_maximizer, misreport, sw_max
from mechanism.controls.attempts import attempt

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


@pytest.mark.parametrize(
    ("shown", "budget", "least", "tried"),
    [
        (1, 4000, 50, [250]),
        (300, 4000, 50, [250, 1000]),
        (4000, 4000, 50, [250, 1000, 4000]),
        (9999, 4000, 50, [250, 1000, 4000]),
        (9999, 400, 200, [200, 400]),
        (9999, 3, 1, [1, 3]),
        (9999, 40, 200, [200]),
    ],
)
def test_a_control_gets_all_of_the_budget_before_it_counts_as_unnoticed(
    shown, budget, least, tried
):
    runs = []

    def control(budget, seed):
        runs.append(budget)
        assert seed == 7
        return SimpleNamespace(status="violated" if budget >= shown else "holds", budget=budget)

    found = attempt(control, 7, budget, least)
    assert runs == tried and found.budget == tried[-1]
    assert (found.status == "violated") == (shown <= tried[-1])
