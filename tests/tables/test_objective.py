"""What a training reached of what is possible: by hand, on made-up tables."""

import numpy as np
import pandas as pd
import pytest

from mechanism.tables.objective import gains, reached, released_gains


def table(candidate, rewards, log_ratio):
    """Two prompts, four samples each; log pi - log q as given."""
    rewards = np.asarray(rewards, dtype=float)
    return pd.DataFrame(
        {
            "candidate": candidate,
            "prompt": np.repeat([0, 1], 4),
            "sample": np.tile(range(4), 2),
            "log_prob": -5.0 + log_ratio,
            "log_prob_initial": -5.0,
            "reward_a": rewards.ravel(),
            "reward_b": 1 - rewards.ravel(),
        }
    )


SAMPLES = pd.concat(
    [
        table("initial", [[0, 0, 1, 1], [0, 0, 0, 1]], 0.0),
        table("tuned", [[0, 1, 1, 1], [0, 1, 1, 1]], 0.25),
    ]
)


def test_won_kl_and_net_by_hand():
    found = reached(SAMPLES, ["a"], np.array([2.0]), 0.4, "tuned")
    assert found.won == pytest.approx(2 * (0.25 + 0.5) / 2) and found.kl == pytest.approx(0.25)
    assert found.net == pytest.approx(found.won - 0.4 * 0.25)
    assert found.won_se == pytest.approx(2 * 0.25 / 2) and found.kl_se == pytest.approx(0, abs=1e-9)
    assert found.share == pytest.approx(found.net / found.possible)


def test_possible_is_the_log_partition_less_the_mean_up_to_its_jackknife():
    lam, scores = 0.4, np.array([[0, 0, 1, 1], [0, 0, 0, 1]], dtype=float)
    plain = [lam * np.log(np.mean(np.exp(s / lam))) - s.mean() for s in scores]
    left = [
        [lam * np.log(np.mean(np.exp(np.delete(s, k) / lam))) for k in range(4)] for s in scores
    ]
    jackknife = [
        4 * (p + s.mean()) - 3 * np.mean(one) - s.mean()
        for p, one, s in zip(plain, left, scores, strict=True)
    ]
    found = reached(SAMPLES, ["a"], np.array([1.0]), lam, "tuned")
    assert found.possible == pytest.approx(np.mean(jackknife))


def test_weights_of_opposite_rewards_cancel():
    found = reached(SAMPLES, ["a", "b"], np.array([0.5, 0.5]), 0.4, "tuned")
    assert found.won == pytest.approx(0) and found.net == pytest.approx(-0.1)


def test_a_soup_that_is_scaled_down_is_released_where_its_kl_is_less_by_more_than_it_wins():
    """By hand: whole it wins 0.375 at KL 2, halved 0.25 at KL 0.5."""
    whole = table("soup 1.00", [[0, 1, 1, 1], [0, 1, 1, 1]], 2.0)
    half = table("0.5 of soup 1.00", [[0, 0, 1, 1], [0, 1, 1, 1]], 0.5)
    found = pd.concat([SAMPLES, whole, half])
    for lam, name in ((0.3, "0.5 of soup 1.00"), (0.01, "soup 1.00")):
        released = released_gains(found, ["a"], np.ones(1), lam, folds=1)
        expected = gains(found, ["a"], np.ones(1), lam, name)
        assert released.summary() == expected.summary()
