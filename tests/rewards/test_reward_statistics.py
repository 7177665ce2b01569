"""Statistics of rewards within prompts, on answers whose law is known."""

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.rewards import report, statistics
from tests.rewards.made_up_rewards import made_up


@pytest.mark.parametrize("truth", [-0.5, 0.0, 0.7])
def test_correlation_within_prompts_is_not_that_between_them(truth):
    table = made_up(truth)
    found = statistics.correlation(table, "a", "b")
    assert abs(found.value - truth) < 4 * found.standard_error
    assert found.low < found.value < found.high
    pooled = table[["reward_a", "reward_b"]].corr().iloc[0, 1]
    assert pooled > max(0.75, found.value + 0.15)


def test_the_bootstrap_error_is_the_spread_over_fresh_samples():
    drawn = [statistics.correlation(made_up(-0.5, seed=k), "a", "b", 2).value for k in range(60)]
    error = statistics.correlation(made_up(-0.5, seed=99), "a", "b").standard_error
    assert error == pytest.approx(np.std(drawn), rel=0.4)


def test_the_error_counts_prompts_and_not_answers():
    table = made_up(-0.5)
    once = statistics.correlation(table, "a", "b").standard_error
    repeated = pd.concat([table] * 9, ignore_index=True)
    assert statistics.correlation(repeated, "a", "b").standard_error == pytest.approx(once)


def test_spread_separates_within_from_between():
    rows = statistics.spread(made_up(0.0, prompts=400, between=3.0), ["a", "b"])
    np.testing.assert_allclose(rows["sd within"], 1, atol=0.05)
    np.testing.assert_allclose(rows["sd between"], np.sqrt(9 + 1 / 30), rtol=0.1)


def test_left_over_rewards_have_mean_zero_in_every_prompt_of_any_order():
    table = made_up(0.3).sample(frac=1, random_state=0)
    left = statistics.within(table, ["a", "b"])
    assert np.abs(left.groupby(table["prompt"]).mean()).max().max() < 1e-12
    ordered = statistics.correlation(table.sort_values("prompt", kind="stable"), "a", "b", 10)
    assert statistics.correlation(table, "a", "b", 10).value == pytest.approx(ordered.value)


def test_every_pair_once_and_a_constant_reward_has_no_correlation():
    table = made_up(0.3).assign(reward_c=0.1)
    found = statistics.correlations(table, ["a", "b"], 10)
    assert [(c.first, c.second) for c in found] == [("a", "b")]
    assert statistics.rewards_in(table) == ("a", "b", "c")
    constant = statistics.correlation(table, "a", "c", 10)
    assert np.isnan([constant.value, constant.standard_error, constant.low]).all()


def test_the_design_grid_starts_from_the_committed_pair():
    table = report.recorded("selection_faithful_summary")
    grid = statistics.design_grid(table)
    committed = statistics.correlation(table, "faithful", "summary", seed=0)
    assert grid["correlation"].iloc[0] == pytest.approx(committed.value, abs=1e-9)
    assert len(grid) == 2 * len(statistics.GATES)


def test_a_histogram_counts_every_answer():
    table = pd.DataFrame({"reward_a": [0.0, 0.5, 1.0, 1.0]})
    edges, shares = statistics.histogram(table, "a", bins=4)
    np.testing.assert_allclose(shares, [0.25, 0, 0.25, 0.5])
    np.testing.assert_allclose(edges, [0, 0.25, 0.5, 0.75, 1])
    with pytest.raises(InvalidInputError, match=r"outside \[0.0, 1.0\]"):
        statistics.histogram(table + 1, "a")


def test_statistics_name_what_is_wrong():
    table = made_up(0.3)
    with pytest.raises(InvalidInputError, match="names = wit: the table has the rewards a, b"):
        statistics.within(table, ["wit"])
    with pytest.raises(InvalidInputError, match="every prompt has one answer"):
        statistics.within(table.drop_duplicates("prompt"), ["a"])
    with pytest.raises(InvalidInputError, match="bootstrap = 1"):
        statistics.correlation(table, "a", "b", bootstrap=1)
