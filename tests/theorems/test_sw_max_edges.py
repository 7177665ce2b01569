"""The SW-Max rule at the edges of its range, in ties, and under a user's own f."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from mechanism import (
    KL,
    ChiSquared,
    FDivergence,
    JensenShannon,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    solve,
    sw_max,
)
from mechanism.attack.claim_result import scale
from mechanism.attack.games import FAMILIES
from mechanism.theorems.rlhf_game import example_game
from mechanism.theorems.sw_max import policy_path

SEEDS = st.integers(0, 2**32 - 1)

EVERY = pytest.mark.parametrize("name", FAMILIES)


# --- edges of the range ------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("lam", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_no_nan_and_no_warning_at_the_extremes(name, lam, size):
    rng = np.random.default_rng(0)
    for m in (1, 2, 7):
        reference = 10.0 ** -np.linspace(0, 300, m)
        for q in (reference, reference[::-1]):
            rewards = size * rng.uniform(-1, 1, (5, 2, m))
            rewards[0] = rewards[0, :, :1]  # all outcomes tie
            rewards[1, :, : m // 2 + 1] = 1.0 * size
            game = RLHFGame(rewards, [1.0, 1.0], q / q.sum(), FAMILIES[name](lam))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                solution, payments = solve(game), affine_maximizer_payments(game)
            for array in (solution.policy, solution.value, solution.multiplier, payments):
                assert np.all(np.isfinite(array))
            assert np.all(solution.policy >= 0)
            assert np.all(np.abs(solution.policy.sum(axis=-1) - 1) <= 1e-12)
            assert np.all(solution.dual_gap <= 1e-12 * scale(game))
            assert np.all(payments >= -4e-12 * scale(game)[:, None])


@EVERY
def test_one_outcome_and_empty_batch(name):
    one = RLHFGame(np.array([[3.0], [1.0]]), [1, 2], [1.0], FAMILIES[name](0.1))
    assert sw_max(one).tolist() == [1.0] and abs(solve(one).value - 5) < 1e-12
    none = RLHFGame(np.empty((0, 2, 3)), np.ones((0, 2)), np.full(3, 1 / 3), FAMILIES[name](0.1))
    assert sw_max(none).shape == (0, 3) and affine_maximizer_payments(none).shape == (0, 2)
    assert solve(none).value.shape == (0,)


@EVERY
def test_indifferent_groups_keep_the_initial_model(name):
    game = RLHFGame(np.ones((2, 4)), [1, 5], [0.1, 0.2, 0.3, 0.4], FAMILIES[name](1e-3))
    np.testing.assert_allclose(sw_max(game), game.reference, atol=1e-12)


def test_tie_rule_of_total_variation():
    game = example_game(TotalVariation(1.0))
    assert sw_max(game).tolist() == [0.25, 0.5, 0.25]  # what ties, stays
    equal = RLHFGame([[1.0, 1.0, 0.0]], [10], [0.1, 0.3, 0.6], TotalVariation(1.0))
    np.testing.assert_allclose(sw_max(equal), [0.25, 0.75, 0.0], atol=1e-15)


def test_tied_optima_value_the_groups_differently():
    game = example_game(TotalVariation(1.0))
    stay, move = np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.5, 0.0])
    assert game.welfare(stay) == game.welfare(move) == solve(game).value
    assert game.valuations(stay).tolist() == [0.5, 0.5]
    assert game.valuations(move).tolist() == [0.75, 0.25]


# --- a user's own f ----------------------------------------------------------------------------

GENERATORS = {
    KL: lambda x: x * np.log(np.where(x > 0, x, 1.0)),
    ChiSquared: lambda x: (x - 1) ** 2,
    TotalVariation: lambda x: np.abs(x - 1),
    ReverseKL: lambda x: -np.log(x),
    SquaredHellinger: lambda x: (np.sqrt(x) - 1) ** 2,
    JensenShannon: lambda x: x * np.log(np.where(x > 0, x, 1.0)) - (1 + x) * np.log((1 + x) / 2),
}


@pytest.mark.parametrize("named", GENERATORS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("lam", [0.2, 5.0])
def test_own_f_alone_equals_the_named_divergence(named, lam):
    rng = np.random.default_rng(4)
    own = FDivergence(GENERATORS[named], lam=lam)
    rewards, sizes = rng.random((6, 3, 4)), rng.integers(1, 4, (6, 3)).astype(float)
    game = RLHFGame(rewards, sizes, rng.dirichlet(np.full(4, 3.0), 6), named(lam))
    lost = solve(game).value - game.welfare(sw_max(replace(game, divergence=own)))
    assert np.all(np.abs(lost) <= 1e-12 * scale(game))


@EVERY
def test_total_reward_falls_as_lam_rises(name):
    total = policy_path(example_game(), name, np.logspace(-3, 3, 200)) @ example_game().scores()
    assert np.all(np.diff(total) <= 1e-12)
    assert total[0] > 3.8 and abs(total[-1] - 3) < 0.01
