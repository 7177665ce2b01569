import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechanism import (
    KL,
    Alpha,
    CandidateGame,
    ChiSquared,
    JensenShannon,
    Mechanism,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    misreports,
    sw_max,
)
from mechanism.attack.best_response import (
    candidate_reports,
    derivative_free_search,
    gradient_search,
    utility_gradient,
)
from mechanism.attack.claim_result import scale
from mechanism.attack.reports import project_face, project_simplex, report_sizes, zero_payments
from mechanism.core.samplers import sample_candidate_game, sample_game

FREE = Mechanism(sw_max, zero_payments)
PAID = Mechanism.affine_maximizer()
SMOOTH = [
    KL(0.7), ReverseKL(0.7), SquaredHellinger(1.5), JensenShannon(1.5), ChiSquared(9.0),
    Alpha(-0.5, 1.0), Alpha(0.3, 1.0), Alpha(1.5, 3.0), Alpha(3.0, 9.0),
]  # fmt: skip
points = arrays(np.float64, st.integers(1, 8), elements=st.floats(-5, 5))


@pytest.mark.parametrize("payments", [False, True])
@pytest.mark.parametrize("divergence", SMOOTH, ids=repr)
def test_gradient_is_the_slope_of_the_utility(divergence, payments):
    rng = np.random.default_rng(11)
    game = dataclasses.replace(sample_game(rng, 3, 4, divergence, "maximum"), normalization=None)
    mechanism, h = PAID if payments else FREE, 1e-5
    for reward in rng.random((4, 4)):  # away from the truth, at another size
        size = float(rng.integers(1, 8))
        ups, downs = (
            [
                mechanism.utilities(
                    game, game.with_report(1, reward=reward + sign * step, size=size)
                )
                for step in h * np.eye(4)
            ]
            for sign in (1, -1)
        )
        slope = (np.array(ups)[:, 1] - np.array(downs)[:, 1]) / (2 * h)
        found = utility_gradient(game, game.with_report(1, reward=reward, size=size), 1, payments)
        np.testing.assert_allclose(found, slope, atol=2e-6 * scale(game))
        assert np.abs(slope).max() > 1e-3  # the comparison is not one of zeros


@pytest.mark.parametrize("divergence", SMOOTH, ids=repr)
def test_gradient_with_payments_vanishes_at_truth_and_without_does_not(divergence):
    game = sample_game(np.random.default_rng(3), 4, 5, divergence, "summation")
    assert np.abs(utility_gradient(game, game, 2)).max() < 1e-13 * scale(game)
    assert np.abs(utility_gradient(game, game, 2, payments=False)).max() > 1e-4


@given(points)
def test_simplex_projection_is_the_nearest_point(x):
    p = project_simplex(x)
    assert p.min() >= 0 and abs(p.sum() - 1) < 1e-12
    corners = np.eye(len(x))  # nearest if and only if no corner lies on the far side
    assert ((corners - p) @ (x - p)).max() < 1e-11


@given(points)
def test_face_projection_is_the_nearest_point(x):
    p = project_face(x, 0)
    assert p[0] == 1 and p.min() >= 0 and p.max() <= 1
    inside = np.random.default_rng(0).random((20, len(x)))
    inside[:, 0] = 1
    assert ((inside - p) @ (x - p)).max() < 1e-12


@pytest.mark.parametrize("how", ["summation", "maximum"])
@pytest.mark.parametrize("divergence", SMOOTH[:6], ids=repr)
def test_without_payments_gains_beat_theorem_4_2_and_with_payments_there_are_none(divergence, how):
    game = sample_game(np.random.default_rng(21), 3, 4, divergence, how)
    free = gradient_search(game, 0, payments=False, starts=6, steps=40)
    limit = misreports.largest_epsilon(game.rewards[0], how)
    named = misreports.theorem_4_2(game, 0, 0.999 * limit)
    assert free.gain > FREE.utilities(game, named)[0] - FREE.utilities(game, game)[0] > 0
    paid = gradient_search(game, 0, starts=6, steps=40)
    assert paid.gain <= 1e-12 * max(scale(game), scale(paid.report))
    for found, mechanism in ((free, FREE), (paid, PAID)):  # the gain is what the report brings
        gain = mechanism.utilities(game, found.report) - mechanism.utilities(game, game)
        assert found.gain == pytest.approx(gain[0], abs=1e-14)


@pytest.mark.parametrize("how", ["summation", "maximum"])
@pytest.mark.parametrize("seed", range(2))
def test_gradient_search_is_as_good_as_scipy(how, seed):
    game = sample_game(np.random.default_rng(seed), 2, 3, KL(0.5), how)
    climbed = gradient_search(game, 0, payments=False)
    evolved = derivative_free_search(game, 0, FREE, budget=600)
    assert climbed.gain >= evolved.gain - 1e-9
    assert climbed.gain == pytest.approx(evolved.gain, rel=0.02)
    assert derivative_free_search(game, 0, PAID, budget=300).gain <= 1e-12 * scale(game)


def test_search_pulls_back_from_wrong_payments_to_the_known_best_response():
    """Payments times 2: the best response is half the size, or half the spread of the reward."""
    game = RLHFGame([[0.8, 0.2], [0.3, 0.7]], [4, 4], [0.5, 0.5], KL(2.0), "summation")
    doubled = Mechanism(sw_max, lambda g: 2 * affine_maximizer_payments(g))
    at_half_size = doubled.utilities(game, game.with_report(0, size=2.0))[0]
    best = at_half_size - doubled.utilities(game, game)[0]
    found = derivative_free_search(game, 0, doubled, budget=600)
    assert best > 1e-3 and found.gain == pytest.approx(best, rel=1e-4)


def test_total_variation_and_candidates_have_no_gradient():
    game = sample_game(np.random.default_rng(0), 3, 4, TotalVariation(0.5), "maximum")
    candidates = sample_candidate_game(np.random.default_rng(0), 3, 6)
    for one in (game, candidates):
        with pytest.raises(ValueError, match="derivative_free_search"):
            gradient_search(one, 0)
        assert derivative_free_search(one, 0, PAID, budget=200).gain <= 1e-12 * scale(one)
        assert derivative_free_search(one, 0, FREE, budget=400).gain > 0


@pytest.mark.parametrize("seed", range(5))
def test_candidate_search_finds_the_best_winner(seed):
    """Without payments the best response makes the best candidate win that can be made to win."""
    game = sample_candidate_game(np.random.default_rng(seed), 2, 5)
    own = np.linspace(0, 1, 5)
    grid = np.stack(np.meshgrid(*[own] * 5, indexing="ij"), -1).reshape(-1, 5)
    reported = game.with_report(0, reward=grid, size=10.0)
    best = (game.sizes[0] * game.valuations(sw_max(reported))[:, 0]).max()
    truth = FREE.utilities(game, game)[0]
    assert derivative_free_search(game, 0, FREE, budget=2000).gain >= best - truth - 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["summation", "maximum", None]), st.integers(60, 300))
def test_budget_is_kept_and_counted(seed, how, budget):
    game = sample_game(np.random.default_rng(seed), 2, 3, KL(1.0), how or "maximum")
    game = dataclasses.replace(game, normalization=how)
    calls = 0

    def counted(reported):
        nonlocal calls
        calls += 1
        return sw_max(reported)

    found = derivative_free_search(game, 1, Mechanism(counted, zero_payments), budget=budget)
    assert calls <= 1.3 * budget + 5
    assert abs(calls - found.evaluations) <= 2


def test_result_is_frozen_and_repeats_itself():
    game = sample_game(np.random.default_rng(2), 3, 3, KL(1.0), "maximum")
    first, second = (gradient_search(game, 0, payments=False, starts=4, steps=5) for _ in range(2))
    np.testing.assert_array_equal(first.report.rewards, second.report.rewards)
    assert first.evaluations == 6 * 4 * len(report_sizes(game, 0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.gain = 0.0


def test_batch_is_refused_and_sizes_cover_the_grid():
    game = sample_game(np.random.default_rng(2), 3, 3, KL(1.0), batch=(2,))
    with pytest.raises(ValueError, match="one game at a time"):
        gradient_search(game, 0)
    single = CandidateGame([[1.0, 0.0], [0.0, 1.0]], [2.5, 12])
    np.testing.assert_array_equal(report_sizes(single, 0), np.sort([*range(1, 13), 2.5]))
    assert candidate_reports(np.random.default_rng(0), single, 0, random=4).shape == (14, 2)
