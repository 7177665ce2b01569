"""Finite candidate sets against enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanism import CandidateGame, affine_maximizer_payments, sw_max
from mechanism.core.samplers import sample_candidate_game
from mechanism.oracles import brute_force_candidates


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 9), st.sampled_from([0.0, 3.0]))
def test_agrees_with_enumeration(seed, groups, candidates, cost):
    game = sample_candidate_game(np.random.default_rng(seed), groups, candidates, (), cost)
    index, payments = brute_force_candidates(game)
    assert sw_max(game) == index
    np.testing.assert_allclose(affine_maximizer_payments(game), payments, rtol=0, atol=1e-12)


@given(st.integers(0, 10**6))
def test_payments_and_truthful_utilities_are_non_negative(seed):
    game = sample_candidate_game(
        np.random.default_rng(seed), 3, 6, batch=(10,), divergence_scale=2.0
    )
    payments = affine_maximizer_payments(game)
    assert np.all(payments >= 0)
    without = game.scores().max(-1)[:, None] - np.stack(
        [(game.scores() - game.sizes[:, i, None] * game.values[:, i]).max(-1) for i in range(3)], -1
    )
    np.testing.assert_allclose(game.utilities(sw_max(game), payments), without, atol=1e-12)
    assert np.all(without >= -1e-12)


def test_first_of_equals():
    game = CandidateGame([[0.0, 1.0, 1.0]], [2.0])
    assert sw_max(game) == 1


def test_welfare_valuations_and_divergences():
    game = CandidateGame([[1.0, 0.5], [0.0, 1.0]], [2.0, 3.0], [0.25, 0.5])
    np.testing.assert_array_equal(game.valuations(1), [0.5, 1.0])
    assert game.welfare(1) == pytest.approx(2 * 0.5 + 3 * 1.0 - 0.5)
    assert game.welfare(1, without=1) == pytest.approx(2 * 0.5 - 0.5)
    np.testing.assert_allclose(game.utilities(0, [0.5, 0.1]), [1.5, -0.1])


def test_one_true_game_judges_many_reports():
    game = CandidateGame([[1.0, 0.5], [0.0, 1.0]], [2.0, 3.0])
    reported = game.with_report(0, size=[1.0, 9.0])
    models = sw_max(reported)
    np.testing.assert_array_equal(models, [1, 0])
    utilities = game.utilities(models, affine_maximizer_payments(reported))
    np.testing.assert_allclose(utilities, [[1.0, 2.5], [-1.0, 0.0]])


def test_a_constant_factor_on_sizes_and_divergences_changes_only_the_unit():
    game = sample_candidate_game(np.random.default_rng(2), 3, 6, divergence_scale=1.0)
    tenth = CandidateGame(game.values, game.sizes / 10, game.divergences / 10)
    assert sw_max(game) == sw_max(tenth)
    np.testing.assert_allclose(
        affine_maximizer_payments(tenth), affine_maximizer_payments(game) / 10, atol=1e-14
    )
