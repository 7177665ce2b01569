"""The SW-Max rule against oracles and symmetries, and rules that are wrong."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanism import (
    KL,
    ChiSquared,
    RLHFGame,
    TotalVariation,
    affine_maximizer_payments,
    solve,
    sw_max,
)
from mechanism.attack.claim_result import scale
from mechanism.attack.games import FAMILIES, draw_games, pick
from mechanism.figures.sw_max import plot_duals, plot_simplex, plot_strength
from mechanism.oracles import optimum_cvxpy, optimum_mpmath
from mechanism.theorems.rlhf_game import example_game
from mechanism.theorems.sw_max import (
    CERTIFIED,
    challenge,
    check_optimality,
    compare_with_oracles,
    dual_bound,
    extreme_games,
    policy_path,
    project_to_simplex,
    stationarity,
)

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(sorted(FAMILIES))
EVERY = pytest.mark.parametrize("name", FAMILIES)


def small_game(seed, name, lam=None, groups=3):
    """One mild game that every oracle can solve."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 6))
    q = rng.dirichlet(np.ones(m)) + 0.01
    lam = float(10 ** rng.uniform(-1, 1)) if lam is None else lam
    sizes = rng.integers(1, 5, groups).astype(float)
    return RLHFGame(rng.random((groups, m)), sizes, q / q.sum(), FAMILIES[name](lam))


def without(game, i):
    keep = [j for j in range(game.groups) if j != i]
    return replace(game, rewards=game.rewards[keep], sizes=game.sizes[keep])


# --- against the oracles ---------------------------------------------------------------------


@given(SEEDS, NAMES)
@settings(max_examples=60)
def test_value_agrees_with_fifty_digits(seed, name):
    game = small_game(seed, name)
    policy, best = optimum_mpmath(game.scores(), game.reference, game.divergence)
    solution = solve(game)
    tolerance = 1e-12 * scale(game)
    assert abs(float(best - solution.value)) <= tolerance
    assert 0 <= solution.dual_gap <= tolerance
    if game.divergence.strictly_convex:
        np.testing.assert_allclose(solution.policy, [float(p) for p in policy], atol=1e-10)


@EVERY
def test_value_agrees_with_a_conic_solver(name):
    game = small_game(5, name)
    _, best = optimum_cvxpy(game.scores(), game.reference, game.divergence)
    assert abs(best - solve(game).value) <= 1e-6 * scale(game)


@given(SEEDS, NAMES, st.booleans())
@settings(max_examples=60)
def test_nothing_beats_the_optimum(seed, name, extreme):
    rng = np.random.default_rng(seed)
    games = (extreme_games if extreme else draw_games)(rng, 4, name)
    policy = sw_max(games)
    lead = challenge(games, policy, rng) - games.welfare(policy)
    assert np.all(lead <= CERTIFIED * scale(games))


@EVERY
def test_the_attacker_can_climb(name):
    game = small_game(3, name, lam=0.5)
    start = np.broadcast_to(game.reference, (1, game.outcomes))
    batch = replace(game, rewards=game.rewards[None])
    found = challenge(batch, start, np.random.default_rng(0), rounds=4)
    gained, possible = found[0] - game.welfare(start[0]), solve(game).value - game.welfare(start[0])
    assert 0.5 * possible < gained <= possible + 1e-12


@given(SEEDS, NAMES, st.floats(-3, 3))
@settings(max_examples=60)
def test_dual_bound_holds_at_any_multiplier(seed, name, shift):
    game = small_game(seed, name)
    solution = solve(game)
    bound = dual_bound(game, solution.multiplier + shift)
    assert bound >= solution.value - 1e-12 * scale(game)


@given(SEEDS, NAMES)
@settings(max_examples=60)
def test_condition_opt(seed, name):
    game = small_game(seed, name)
    if not game.divergence.strictly_convex:
        return
    solution = solve(game)
    level = stationarity(game, solution.policy)
    active = solution.policy > 0
    slack = 1e-9 * scale(game)
    assert np.all(np.abs(level - solution.multiplier)[active] <= slack)
    assert np.all(level[~active] <= solution.multiplier + slack)
    assert active.all() or not game.divergence.interior


def test_hand_computed_optima():
    cases = [
        (KL(1 / np.log(2)), [4 / 9, 4 / 9, 1 / 9]),
        (ChiSquared(1.0), [3 / 8, 1 / 2, 1 / 8]),
        (ChiSquared(0.25), [2 / 3, 1 / 3, 0]),
        (ChiSquared(1 / 8), [1, 0, 0]),
        (TotalVariation(0.75), [1 / 2, 1 / 2, 0]),
        (TotalVariation(0.49), [1, 0, 0]),
        (TotalVariation(1.0), [1 / 4, 1 / 2, 1 / 4]),
    ]
    for divergence, expected in cases:
        np.testing.assert_allclose(sw_max(example_game(divergence)), expected, atol=1e-15)


def test_kl_value_is_the_log_sum():
    game = small_game(0, "KL")
    lam = game.divergence.lam
    expected = lam * np.log(game.reference @ np.exp(game.scores() / lam))
    np.testing.assert_allclose(solve(game).value, expected, rtol=1e-13)


# --- symmetries --------------------------------------------------------------------------------


@given(SEEDS, NAMES, st.floats(-5, 5))
@settings(max_examples=60)
def test_a_constant_in_one_reward_moves_nothing(seed, name, constant):
    game = small_game(seed, name)
    shifted = game.with_report(1, reward=game.rewards[1] + constant)
    error = 1e-12 * (scale(game) + scale(shifted))
    np.testing.assert_allclose(sw_max(shifted), sw_max(game), atol=1e-9)
    raised = solve(shifted).value - solve(game).value
    assert abs(raised - game.sizes[1] * constant) <= error
    pay = affine_maximizer_payments(shifted) - affine_maximizer_payments(game)
    assert abs(pay[1]) <= 4 * error


@given(SEEDS, NAMES)
@settings(max_examples=60)
def test_relabelling_outcomes_relabels_the_policy(seed, name):
    game = small_game(seed, name)
    order = np.random.default_rng(seed).permutation(game.outcomes)
    moved = replace(game, rewards=game.rewards[:, order], reference=game.reference[order])
    np.testing.assert_allclose(sw_max(moved), sw_max(game)[order], atol=1e-10)


@given(SEEDS, NAMES)
@settings(max_examples=60)
def test_relabelling_groups_relabels_the_payments(seed, name):
    game = small_game(seed, name)
    order = np.random.default_rng(seed).permutation(game.groups)
    moved = replace(game, rewards=game.rewards[order], sizes=game.sizes[order])
    np.testing.assert_allclose(sw_max(moved), sw_max(game), atol=1e-10)
    payments = affine_maximizer_payments(game)[order]
    error = 1e-11 * scale(game)
    np.testing.assert_allclose(affine_maximizer_payments(moved), payments, rtol=0, atol=error)


@given(SEEDS, NAMES, st.floats(0.01, 100))
@settings(max_examples=40)
def test_units_of_reward_do_not_matter(seed, name, unit):
    game = small_game(seed, name, lam=0.5)
    other = replace(game, rewards=game.rewards * unit, divergence=FAMILIES[name](0.5 * unit))
    np.testing.assert_allclose(sw_max(other), sw_max(game), atol=1e-9)


@given(SEEDS, NAMES)
@settings(max_examples=40)
def test_splitting_a_group_changes_nothing(seed, name):
    game = small_game(seed, name)
    twice = replace(
        game,
        rewards=np.concatenate([game.rewards, game.rewards[:1]]),
        sizes=np.r_[game.sizes[0] / 4, game.sizes[1:], 3 * game.sizes[0] / 4],
    )
    np.testing.assert_allclose(sw_max(twice), sw_max(game), atol=1e-10)


@given(SEEDS, NAMES)
@settings(max_examples=60)
def test_value_identity_and_signs(seed, name):
    game = small_game(seed, name)
    policy, payments = sw_max(game), affine_maximizer_payments(game)
    gained = game.utilities(policy, payments)
    others = np.array([solve(without(game, i)).value for i in range(game.groups)])
    error = 1e-11 * scale(game)
    np.testing.assert_allclose(gained, solve(game).value - others, rtol=0, atol=error)
    assert np.all(payments >= -error) and np.all(gained >= -error)


@EVERY
def test_a_batch_is_its_games(name):
    games = draw_games(np.random.default_rng(8), 6, name)
    together = solve(games)
    for k in range(6):
        alone = solve(pick(games, k))
        np.testing.assert_allclose(alone.policy, together.policy[k], atol=1e-12)
        gap = abs(alone.value - together.value[k])
        assert gap <= 1e-12 * float(scale(pick(games, k)))


# --- the checker and its negative controls -------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_the_rule_passes(seed):
    result = check_optimality(budget=600, seed=seed)
    assert result.status == "holds" and result.trials == 600
    assert abs(result.margin) <= CERTIFIED and result.witness is not None
    assert check_optimality(budget=600, seed=seed).margin == result.margin


def stronger(factor):
    return lambda game: sw_max(replace(game, sizes=game.sizes / factor))


BROKEN = {
    "drops the divergence": lambda g: (np.arange(g.outcomes) == g.scores().argmax()) * 1.0,
    "never trains": lambda g: g.reference,
    "ignores sizes": lambda g: sw_max(replace(g, sizes=np.ones(g.groups))),
    "squares sizes": lambda g: sw_max(replace(g, sizes=g.sizes**2)),
    "forgets a group": lambda g: sw_max(without(g, 0) if g.groups > 1 else g),
    "lam 1 % too large": stronger(1.01),
    "lam 1 % too small": stronger(0.99),
    "lam off by 1e-4": stronger(1.0001),
    "mixes in 0.1 % of the initial model": lambda g: 0.999 * sw_max(g) + 0.001 * g.reference,
}


@pytest.mark.parametrize("rule", BROKEN.values(), ids=BROKEN)
def test_rules_that_are_no_argmax_are_noticed(rule):
    result = check_optimality(rule, budget=300, seed=11)
    assert result.status == "violated" and result.margin < -1e-10


def test_a_rule_that_is_wrong_on_large_games_only():
    def sometimes(game):
        return game.reference if game.outcomes > 20 else sw_max(game)

    assert check_optimality(sometimes, budget=300, seed=2).status == "violated"


def test_a_rule_must_return_a_distribution():
    result = check_optimality(lambda game: 1.01 * sw_max(game), budget=10)
    assert result.status == "violated" and "no distribution" in result.fault


def test_the_oracle_table_sees_rounding_only():
    row = compare_with_oracles("squared Hellinger", games=50, oracle_games=2, seed=3)
    assert max(row.dual_gap, row.beaten_by, row.by_mpmath, row.by_mpmath_extreme) < CERTIFIED
    assert row.by_cvxpy < 1e-6 and row.games == 50


@given(SEEDS)
@settings(max_examples=40)
def test_projection_is_the_nearest_distribution(seed):
    rng = np.random.default_rng(seed)
    point = rng.normal(size=5) * 3
    near = project_to_simplex(point)
    assert near.min() >= 0 and abs(near.sum() - 1) < 1e-14
    others = rng.dirichlet(np.full(5, 0.3), 200)
    assert np.all(((others - point) ** 2).sum(axis=-1) >= ((near - point) ** 2).sum() - 1e-12)


def test_figures_draw():
    game = example_game()
    paths = {n: policy_path(game, n, [0.1, 0.7, 2.0, 9.0]) for n in ("KL", "total variation")}
    plot_strength(np.array([0.1, 0.7, 2.0, 9.0]), paths)
    plot_simplex(game.reference, paths)
    grid = np.linspace(1, 5, 9)
    plot_duals(grid, {"KL": (dual_bound(game, grid), float(solve(game).value))})
    plt.close("all")
