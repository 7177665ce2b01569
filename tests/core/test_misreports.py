"""The three misreports against their definitions."""

import numpy as np
import pytest

from mechanism import KL, CandidateGame, RLHFGame
from mechanism.core.errors import InvalidInputError
from mechanism.core.misreports import (
    exaggerated_reward,
    largest_epsilon,
    mix_rewards,
    scale_size,
    theorem_4_2,
)
from mechanism.core.samplers import sample_candidate_game, sample_game


@pytest.mark.parametrize("how", ["summation", "maximum"])
def test_theorem_4_2_stays_in_the_domain_and_changes_one_group(how):
    game = sample_game(np.random.default_rng(0), 3, 5, KL(0.2), how, batch=(20,))
    limit = largest_epsilon(game.rewards[:, 1], how)
    reported = theorem_4_2(game, 1, 0.9 * limit)
    assert reported.normalization == how
    np.testing.assert_array_equal(reported.rewards[:, [0, 2]], game.rewards[:, [0, 2]])
    change = reported.rewards[:, 1] - game.rewards[:, 1]
    assert np.all((change != 0).sum(-1) == (2 if how == "summation" else 1))
    worst = game.rewards[:, 1].argmin(-1)
    np.testing.assert_allclose(np.take_along_axis(change, worst[:, None], -1)[:, 0], -0.9 * limit)


def test_of_equal_outcomes_the_first_is_taken():
    game = RLHFGame([[0.1, 0.4, 0.4, 0.1]], [1], np.full(4, 0.25), KL(1.0), "summation")
    np.testing.assert_allclose(theorem_4_2(game, 0, 0.05).rewards[0], [0.05, 0.45, 0.4, 0.1])


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 0.1, 0.2, np.nan])
def test_epsilon_outside_the_open_range(epsilon):
    game = RLHFGame([[0.1, 0.4, 0.4, 0.1]], [1], np.full(4, 0.25), KL(1.0), "summation")
    with pytest.raises(InvalidInputError, match="epsilon"):
        theorem_4_2(game, 0, epsilon)


def test_the_construction_needs_a_domain():
    game = RLHFGame([[0.1, 0.9]], [1], [0.5, 0.5], KL(1.0))
    with pytest.raises(InvalidInputError, match="normalization"):
        theorem_4_2(game, 0, 0.05)


def test_clipping_stops_at_the_least_reward():
    np.testing.assert_allclose(
        exaggerated_reward(np.array([0.2, 0.8]), [0.1, 0.5], "summation", clip=True),
        [[0.1, 0.9], [0.0, 1.0]],
    )
    assert exaggerated_reward(np.array([0.2, 0.8]), 0.5, "summation")[0] == pytest.approx(-0.3)


@pytest.mark.parametrize("sample", [sample_game, sample_candidate_game])
def test_alpha_and_beta(sample):
    rng = np.random.default_rng(1)
    game = sample(rng, 3, 4, KL(0.2)) if sample is sample_game else sample(rng, 3, 4)
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    np.testing.assert_allclose(scale_size(game, 2, 0.5).sizes[2], 0.5 * game.sizes[2])
    truth = mix_rewards(game, 0, 1.0, 1)
    mixed = mix_rewards(game, 0, [0.5, 2.0], 1)
    changed = mixed.values if isinstance(mixed, CandidateGame) else mixed.rewards
    same = truth.values if isinstance(truth, CandidateGame) else truth.rewards
    np.testing.assert_array_equal(same, rows)
    np.testing.assert_allclose(changed[0, 0], (rows[0] + rows[1]) / 2)
    np.testing.assert_allclose(changed[1, 0], 2 * rows[0] - rows[1])
    np.testing.assert_array_equal(changed[:, 1:], np.stack([rows[1:]] * 2))


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.inf])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(InvalidInputError, match="alpha"):
        scale_size(CandidateGame([[1.0, 0.0]], [1.0]), 0, alpha)
