"""The reward domain and the way into it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechanism import KL, RLHFGame, normalize
from mechanism.core.errors import InvalidInputError, RewardDomainError
from mechanism.core.samplers import sample_rewards

TABLES = arrays(float, (3, 4), elements=st.floats(-1e6, 1e6))


@given(TABLES, st.sampled_from(["summation", "maximum"]))
def test_normalised_rewards_are_in_the_domain(table, how):
    table = table + np.array([0.0, 1.0, 2.0, 4.0])  # not all equal to 0
    rewards = normalize(table, how)
    game = RLHFGame(rewards, [1, 2, 3], np.full(4, 0.25), KL(1.0), how)
    assert np.all(game.rewards >= 0)


@given(TABLES)
def test_min_max_spans_the_unit_interval(table):
    table = table + np.array([0.0, 1.0, 2.0, 4e7])
    scaled = normalize(table, "min-max")
    assert np.all(scaled.min(-1) == 0) and np.all(scaled.max(-1) == 1)


def test_preferences_are_kept_by_normalising():
    raw = np.array([3.0, -1.0, 0.5])
    for how in ("summation", "maximum", "min-max"):
        scaled = normalize(raw, how)
        ratio = (scaled[0] - scaled[2]) / (scaled[2] - scaled[1])
        assert ratio == pytest.approx((raw[0] - raw[2]) / (raw[2] - raw[1]))


def test_non_negative_rewards_are_only_scaled():
    np.testing.assert_allclose(normalize([2.0, 6.0], "maximum"), [1 / 3, 1.0])


@pytest.mark.parametrize("table", [[0.0, 0.0], [-3.0, -3.0], [np.nan, 1.0], [np.inf, 1.0], []])
def test_nothing_to_scale(table):
    with pytest.raises(InvalidInputError, match="rewards"):
        normalize(table, "summation")


def test_constant_positive_rewards_are_indifference():
    np.testing.assert_allclose(normalize([5.0, 5.0], "summation"), [0.5, 0.5])
    with pytest.raises(InvalidInputError, match="all equal"):
        normalize([5.0, 5.0], "min-max")


def test_unknown_domain():
    with pytest.raises(InvalidInputError, match="how"):
        normalize([1.0, 2.0], "softmax")


@pytest.mark.parametrize(
    ("rewards", "how", "word"),
    [
        ([[0.5, 0.6]], "summation", r"sum of rewards\[0\]"),
        ([[0.5, 0.6]], "maximum", r"maximum of rewards\[0\]"),
        ([[-0.5, 1.5]], "summation", r"rewards\[0, 0\] = -0.5"),
    ],
)
def test_outside_the_domain(rewards, how, word):
    with pytest.raises(RewardDomainError, match=word):
        RLHFGame(rewards, [1], [0.5, 0.5], KL(1.0), how)


def test_sampler_is_seeded():
    first, second = (sample_rewards(np.random.default_rng(3), (2, 5), "maximum") for _ in "ab")
    np.testing.assert_array_equal(first, second)
