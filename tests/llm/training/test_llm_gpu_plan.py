"""The plan of the next run on a GPU: its order and how long it takes by what was measured."""

from itertools import permutations

import pytest

from mechanism.llm.runs import outcomes
from mechanism.llm.studies import gpu
from mechanism.llm.studies.gpu_plan import (
    EVERYTHING,
    PLAN,
    Costs,
    Job,
    lies,
    order,
    process_seconds,
    seconds,
    waiting,
)
from mechanism.tables.candidates import SIZES
from mechanism.tables.trained import TRUE, Report, objectives, reports, without

SETTINGS = gpu.settings_for("small", "harmless_humor", 0, 1.0)


def test_the_plan_ends_within_500_seconds_by_measured_costs():
    """And one game and seed with everything fits as well."""
    assert process_seconds(PLAN, SETTINGS) <= 500
    pools = [job for job in PLAN if not job.rloo]
    drawn = sum(330 * 48 + job.base * 2 * 330 * 24 for job in pools) / 1000  # of 1000 completions
    slower = process_seconds(PLAN, SETTINGS, Costs(draw=3.0)) - process_seconds(PLAN, SETTINGS)
    assert slower == pytest.approx(drawn * (3.0 - Costs().draw)) and len(pools) < len(PLAN)
    assert process_seconds((Job("harmless_humor", 0, EVERYTHING, True, 11),), SETTINGS) <= 500


def test_the_plan_asks_for_all_that_the_pages_call_not_run():
    made = {f"{job.game}, seed {job.seed}" for job in PLAN if job.base}
    made |= {f"{job.game}, {name}" for job in PLAN if not job.rloo for name in job.models}
    assert not set(outcomes.not_run()) - made
    assert set(order(EVERYTHING)) == set(objectives())


def slow_order(questions):
    """All orders of all models, one by one."""
    names = sorted(set().union(*questions.values()))
    return min(waiting(questions, each) for each in permutations(names))


@pytest.mark.parametrize(
    "questions",
    [
        {"a": frozenset("xy"), "b": frozenset("xz"), "c": frozenset("w")},
        {"a": frozenset("xyz"), "b": frozenset("z"), "c": frozenset("zw"), "d": frozenset("v")},
    ],
)
def test_the_order_waits_least_of_all_orders_of_models(questions):
    """Trying questions alone is enough: no order of models beats it, here by trying them all."""
    assert waiting(questions, order(questions)) == slow_order(questions)
    worst = order(questions)[::-1]
    assert waiting(questions, worst) > slow_order(questions)


def test_reports_name_the_models_that_they_lead_to():
    """alpha scales group 1's weight, beta mixes its reward with the other's."""
    named = objectives()
    assert named["SW-Max 3, 7"] == pytest.approx((0.3, 0.7, 0.0))
    assert named["alpha 2 at 5, 5"] == (1.0, 0.5, 0.0)
    assert named["beta 0.5 at 5, 5"] == (0.25, 0.75, 0.0)
    assert named["random"] == (0.0, 0.0, 1.0)
    assert named[without((3.0, 7.0), 0)] == pytest.approx((0, 0.7, 0))
    assert named[without((3.0, 7.0), 1)] == pytest.approx((0.3, 0, 0))
    assert Report(TRUE, "alpha", 0.0).weights == named[without(TRUE, 0)]
    assert {report.model for report in reports()} <= set(named)
    assert {model for models in lies().values() for model in models} <= set(named)
    assert len(named) == 1 + 3 * len(SIZES) + 7


def test_a_tenth_of_the_run_has_a_tenth_of_prompts_and_samples():
    part = gpu.settings_for("small", "harmless_humor", 0, 0.1)
    assert (part.train_prompts, SETTINGS.train_prompts) == (33, 330)
    assert part.pool_samples == 5 and part.trainer == "regression"
    for job in PLAN:
        assert 0 < seconds(job, part) < 0.1 * seconds(job, SETTINGS)
