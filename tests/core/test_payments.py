"""Affine maximizer payments against the 50-digit oracle, and what Proposition 4.4 says of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanism import (
    KL,
    ChiSquared,
    Mechanism,
    RLHFGame,
    TotalVariation,
    affine_maximizer_payments,
    solve,
    sw_max,
)
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.samplers import sample_game
from mechanism.oracles import payments_mpmath, utility_after_report


def scale(game):
    return np.abs(game.scores()).max(axis=-1) + game.divergence.lam


@pytest.mark.parametrize("lam", [1e-3, 0.3, 30.0])
def test_payments_agree_with_50_digits(divergence_class, lam):
    game = sample_game(np.random.default_rng(7), 3, 4, divergence_class(lam), "maximum", skew=3)
    exact = np.array([float(x) for x in payments_mpmath(game)])
    np.testing.assert_allclose(
        affine_maximizer_payments(game), exact, rtol=0, atol=1e-13 * scale(game)
    )


def test_payments_are_non_negative_and_truth_is_rational(divergence_class):
    rng = np.random.default_rng(5)
    for lam in (1e-6, 1e-2, 1.0, 1e6):
        game = sample_game(rng, 4, 7, divergence_class(lam), "summation", batch=(50,), skew=5)
        payments = affine_maximizer_payments(game)
        slack = 1e-13 * scale(game)[:, None]
        assert np.all(payments >= -slack)
        assert np.all(game.utilities(sw_max(game), payments) >= -slack)


def test_utility_is_a_difference_of_welfares(divergence_class):
    game = sample_game(
        np.random.default_rng(6), 3, 5, divergence_class(0.2), "maximum", batch=(20,)
    )
    utilities = game.utilities(sw_max(game), affine_maximizer_payments(game))
    total = solve(game).value
    for i in range(3):
        others = RLHFGame(
            np.delete(game.rewards, i, axis=1),
            np.delete(game.sizes, i, axis=1),
            game.reference,
            game.divergence,
        )
        np.testing.assert_allclose(utilities[:, i], total - solve(others).value, atol=1e-12)


def test_a_group_alone_pays_the_divergence(divergence_class):
    game = sample_game(np.random.default_rng(8), 1, 5, divergence_class(0.2), "maximum")
    cost = game.divergence_cost(sw_max(game))
    assert cost > 1e-3
    assert affine_maximizer_payments(game)[0] == pytest.approx(cost, abs=1e-14)


def test_constant_rewards_pay_nothing(divergence_class):
    game = sample_game(np.random.default_rng(9), 3, 5, divergence_class(0.2), "maximum")
    game = game.with_report(1, reward=np.ones(5))
    assert affine_maximizer_payments(game)[1] == pytest.approx(0.0, abs=1e-13)


@given(st.integers(0, 10**6), st.sampled_from([KL(0.1), ChiSquared(0.4)]))
def test_equivariance_to_relabelling_groups(seed, divergence):
    rng = np.random.default_rng(seed)
    game = sample_game(rng, 4, 6, divergence, "summation")
    order = rng.permutation(4)
    mixed = RLHFGame(game.rewards[order], game.sizes[order], game.reference, divergence)
    np.testing.assert_allclose(
        affine_maximizer_payments(mixed), affine_maximizer_payments(game)[order], atol=1e-13
    )


def test_batches_equal_single_games(divergence_class):
    game = sample_game(
        np.random.default_rng(1), 3, 5, divergence_class(0.2), "maximum", batch=(2, 3)
    )
    payments = affine_maximizer_payments(game)
    for index in np.ndindex(2, 3):
        one = RLHFGame(
            game.rewards[index], game.sizes[index], game.reference[index], game.divergence
        )
        np.testing.assert_allclose(payments[index], affine_maximizer_payments(one), atol=1e-13)


@pytest.mark.parametrize("batched", ["rewards", "sizes", "reference"])
def test_leading_axes_broadcast(batched):
    game = sample_game(np.random.default_rng(2), 3, 5, KL(0.2), "maximum", batch=(4,))
    parts = {name: getattr(game, name)[0] for name in ("rewards", "sizes", "reference")}
    parts[batched] = getattr(game, batched)
    mixed = RLHFGame(**parts, divergence=KL(0.2))
    payments = affine_maximizer_payments(mixed)
    assert payments.shape == (4, 3)
    for k in range(4):
        one = RLHFGame(**{**parts, batched: parts[batched][k]}, divergence=KL(0.2))
        np.testing.assert_allclose(payments[k], affine_maximizer_payments(one), atol=1e-13)


def test_payments_belong_to_the_model_even_at_a_tie_that_rounding_decides():
    thirds = [[1, 3, 2, 1], [3, 1, 0, 2], [0, 1, 1, 3], [1, 1, 0, 3], [0, 3, 0, 0]]
    game = RLHFGame(
        np.array(thirds) / 3, [1, 6, 8, 5, 10], [0.5, 0.2, 0.05, 0.25], TotalVariation(1.5)
    )
    utilities = game.utilities(sw_max(game), affine_maximizer_payments(game))
    for i in range(5):
        alone = game.with_report(i, reward=np.zeros(4))
        expected = solve(game).value - solve(alone).value
        assert utilities[i] == pytest.approx(expected, abs=1e-12)


def test_leave_one_out_scores_do_not_cancel():
    rewards = np.array([[1e16, 0.0], [1.0, 2.0]])
    np.testing.assert_array_equal(leave_one_out_scores(np.ones(2), rewards)[0], [1.0, 2.0])


def test_mechanism_of_the_paper_is_its_two_rules():
    game = sample_game(np.random.default_rng(3), 3, 4, KL(0.2), "maximum")
    reported = game.with_report(0, size=2.5)
    utilities = Mechanism.affine_maximizer().utilities(game, reported)
    for i in range(3):
        assert utilities[i] == pytest.approx(utility_after_report(game, reported, i), abs=1e-12)
