"""The game chapter: numbers by hand, effects of a report, Lemma D.1 and its sharp constant."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from mechanism import KL, affine_maximizer_payments, sw_max
from mechanism.attack.claim_result import scale
from mechanism.attack.games import FAMILIES, draw_games, pick
from mechanism.core.normalization import check_rewards
from mechanism.figures.rlhf_game import plot_report, plot_shares
from mechanism.theorems.rlhf_game import (
    check_lemma_d_1,
    example_game,
    extremal_pair,
    largest_difference,
    polarised,
    report_effect,
    sharp_constant,
    steered,
)

SEEDS = st.integers(0, 2**32 - 1)


def test_example_by_hand():
    game = example_game()
    policy = sw_max(game)
    np.testing.assert_allclose(policy, np.array([4, 4, 1]) / 9, atol=1e-15)
    np.testing.assert_allclose(game.valuations(policy), [2 / 3, 1 / 3], atol=1e-15)
    np.testing.assert_allclose(game.welfare(policy), np.log2(9), atol=1e-14)
    utilities = game.utilities(policy, affine_maximizer_payments(game))
    np.testing.assert_allclose(utilities, np.log2(9) - np.log2([9 / 4, 6.25]), atol=1e-14)


def test_polarised_report_of_figure_1():
    game = example_game()
    effect = report_effect(game, game.with_report(0, reward=polarised(game.rewards[0])), 0)
    np.testing.assert_allclose(effect.misled, np.array([4, 1, 1]) / 6, atol=1e-15)
    np.testing.assert_allclose(effect.valuations_after, [3 / 4, 1 / 4], atol=1e-15)
    lost = game.divergence.value(effect.misled, effect.truthful)
    np.testing.assert_allclose(effect.welfare_loss, lost, atol=1e-14)
    assert effect.gain > 0 > report_effect(game, game.with_report(1, reward=[0, 0, 1]), 1).gain


@given(SEEDS, st.sampled_from(["summation", "maximum"]))
def test_polarised_lies_in_the_domain(seed, normalization):
    rewards = np.random.default_rng(seed).random((4, 3, 5))
    out = polarised(rewards)
    check_rewards(out, normalization)
    assert np.array_equal(out.argmax(axis=-1), rewards.argmax(axis=-1))


@given(SEEDS, st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=40, deadline=None)
def test_no_report_raises_the_true_welfare(seed, name):
    rng = np.random.default_rng(seed)
    games = draw_games(rng, 4, name)
    other = rng.random((4, games.outcomes))
    other /= other.sum(axis=-1, keepdims=True)
    if games.normalization == "maximum":
        other /= other.max(axis=-1, keepdims=True)
    effect = report_effect(games, games.with_report(0, reward=other, size=3.0), 0)
    assert np.all(effect.welfare_loss >= -1e-12 * scale(games))
    np.testing.assert_array_equal(
        effect.gain, effect.valuations_after[:, 0] - effect.valuations_before[:, 0]
    )


def test_draw_games_covers_what_it_promises():
    rng = np.random.default_rng(0)
    games = [draw_games(rng, 2) for _ in range(300)]
    lams = [g.divergence.lam for g in games]
    assert min(lams) < 1e-2 and max(lams) > 1e2
    assert {g.normalization for g in games} == {"summation", "maximum"}
    assert len({repr(g.divergence).split("lam")[0] for g in games}) >= 7
    assert {g.groups for g in games} == set(range(2, 11))
    assert max(g.outcomes for g in games) > 250 and min(g.outcomes for g in games) < 5
    assert min(g.reference.min() for g in games) < 1e-30
    assert any(len(np.unique(g.rewards[0, 0])) < g.outcomes for g in games)


def test_pick_is_the_game_of_the_batch():
    games = draw_games(np.random.default_rng(1), 5)
    np.testing.assert_allclose(sw_max(pick(games, 3)), sw_max(games)[3], atol=1e-15)
    one = example_game()
    batch = one.with_report(0, size=[1.0, 2.0])
    assert pick(batch, 1).sizes.tolist() == [2.0, 2.0] and pick(batch, 0).outcomes == 3


def _best_ratio(p, normalization):
    """Largest <p, rm - rm'> / max|rm - rm'| by linear programs over pairs of reward models."""
    m, s = len(p), 1.0 / len(p)
    eye = np.eye(m)
    a_ub = np.block([[eye, -eye], [-eye, eye]])
    best = -np.inf
    faces = [(None, None)] if normalization == "summation" else product(range(m), repeat=2)
    for first, second in faces:
        a_eq = np.zeros((2, 2 * m))
        if first is None:
            a_eq[0, :m] = a_eq[1, m:] = 1.0
        else:
            a_eq[0, first] = a_eq[1, m + second] = 1.0
        out = linprog(np.r_[-p, p], a_ub, np.full(2 * m, s), a_eq, np.ones(2), bounds=(0, 1))
        best = max(best, -out.fun / s)
    return best


@pytest.mark.parametrize("normalization", ["summation", "maximum"])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_sharp_constant_agrees_with_linear_programs(normalization, m):
    rng = np.random.default_rng(m)
    for concentration in (0.2, 1.0, 20.0):
        p = rng.dirichlet(np.full(m, concentration))
        c = sharp_constant(p, normalization)
        np.testing.assert_allclose(c, _best_ratio(p, normalization), atol=1e-8)
        first, other = extremal_pair(p, normalization)
        check_rewards(np.stack([first, other]), normalization)
        reached = p @ (first - other) / np.abs(first - other).max()
        np.testing.assert_allclose(reached, c, atol=1e-12)


def test_sharp_constant_at_the_ends():
    assert sharp_constant(np.full(5, 0.2), "summation") == 0.0
    for normalization in ("summation", "maximum", None):
        np.testing.assert_allclose(sharp_constant([1.0, 0, 0], normalization), 1.0, atol=1e-15)


def test_steering_reaches_a_vertex():
    game = example_game(KL(2.0))
    policy = sw_max(steered(game, 0, np.array([2, 0]), 1e5))
    np.testing.assert_allclose(policy, [[0, 0, 1], [1, 0, 0]], atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_lemma_d_1_holds_and_is_tight(seed):
    result = check_lemma_d_1(budget=600, seed=seed)
    assert result.status == "holds" and result.trials == 600
    assert abs(result.margin) < 1e-6  # the adversary comes this close
    assert result.witness is not None and result.witness.report is not None
    assert abs(result.witness.replay() - result.margin) <= result.tolerance
    assert check_lemma_d_1(budget=600, seed=seed).margin == result.margin


@pytest.mark.parametrize(
    "bound",
    [
        lambda d: 0.99 * largest_difference(d),
        lambda d: (1 - 1e-5) * largest_difference(d),
        lambda d: np.abs(d).mean(axis=-1),
        lambda d: d.max(axis=-1),
        lambda d: np.abs(d[..., :-1]).max(axis=-1),
    ],
    ids=["one per cent less", "1e-5 less", "mean", "no absolute value", "last outcome forgotten"],
)
def test_broken_bounds_are_noticed(bound):
    result = check_lemma_d_1(bound, budget=400, seed=7)
    assert result.status == "violated"


def test_a_generous_bound_leaves_slack():
    assert check_lemma_d_1(lambda d: largest_difference(d) + 0.1, budget=200).margin > 0.09


def test_figures_draw():
    game = example_game()
    effect = report_effect(game, game.with_report(0, reward=[1, 0, 0]), 0)
    assert len(plot_report(effect).axes) == 3
    shares = {"maximum": np.ones(2), "summation": np.ones(2)}
    assert len(plot_shares(np.array([1.0, 2.0]), shares).axes) == 1
    plt.close("all")
