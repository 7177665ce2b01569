"""Theorem 4.2: the checkers hold for SW-Max, and notice what is broken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanism import (
    KL,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    RLHFGame,
    TotalVariation,
    misreports,
    solve,
    sw_max,
)
from mechanism.attack.games import Strata, pick
from mechanism.theorems import misreport as chapter
from mechanism.theorems.misreport import flat_kl, kl_plus_tv, kl_with_kink


def changed(game, rewards):
    return RLHFGame(rewards, game.sizes, game.reference, game.divergence)


def frozen(game):
    return game.reference


def coarse(game):
    return sw_max(changed(game, game.rewards.round(1)))


def reversed_sign(game):
    return sw_max(changed(game, -game.rewards))


def deaf_to_the_first(game):
    rewards = game.rewards.copy()
    rewards[0] = 0.5
    return sw_max(changed(game, rewards))


def blind_where_it_is_sharp(game):
    """SW-Max, but stays at q where some reward is close to 0: only large lies meet it."""
    return game.reference if game.rewards[0].min() < 1e-2 else sw_max(game)


def unnormalised(game):
    return sw_max(game) * (1 + 1e-6 * game.rewards[0, 0])


def unnormalised_for_large_groups(game):
    return sw_max(game) * (1 + 1e-9 * (game.sizes[0] > 20))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_parts_hold(seed):
    for check in (chapter.check_part_1, chapter.check_part_2):
        result = check(budget=1000, seed=seed)
        assert result.status == "holds"
        assert result.trials >= 900
        assert result.oracle_gap <= result.tolerance < 1e-9
    assert result.margin > 0  # strictly: part 2


def test_claims_and_determinism():
    first, again = (chapter.check_part_2(budget=400, seed=5) for _ in range(2))
    assert first.claim == "thm-4.2-2"
    assert (first.margin, first.oracle_gap) == (again.margin, again.oracle_gap)
    assert chapter.check_part_1(budget=200).claim == "thm-4.2-1"


@pytest.mark.parametrize(
    "rule", [frozen, coarse, reversed_sign, deaf_to_the_first, blind_where_it_is_sharp]
)
def test_part_2_notices_a_broken_rule(rule):
    result = chapter.check_part_2(rule, seed=11)
    assert result.status == "violated"
    assert result.witness.replay() < 0


@pytest.mark.parametrize("rule", [unnormalised, unnormalised_for_large_groups])
def test_part_1_notices_a_broken_rule(rule):
    assert chapter.check_part_1(rule, seed=11).status == "violated"


def test_a_correct_rule_of_a_user_passes():
    def rule(game):
        return np.asarray(solve(game).policy)

    assert chapter.check_part_1(rule, budget=600).status == "holds"
    assert chapter.check_part_2(rule, budget=600).status == "holds"


@pytest.mark.parametrize("family", [TotalVariation, ChiSquared])
def test_part_2_fails_without_its_assumptions(family):
    result = chapter.check_part_2(families=(family,), interior=False, budget=300, seed=3)
    assert result.status == "violated"


@pytest.mark.parametrize("k", range(len(chapter.SMOOTH)))
def test_error_bound_covers_the_distance_to_the_oracle(k):
    rng, judged = np.random.default_rng(k), 0
    strata = Strata(rng, (chapter.SMOOTH[k],), outcomes=("small", "medium"))
    for _ in range(8):
        batch = chapter.draw_batch(rng, next(strata))
        if batch.outcomes > 6 or (batch.rewards[:, 0].min(axis=-1) <= 0).any():
            continue
        game = pick(batch, (0,))
        if sw_max(game).min() < 1e-100 or np.ptp(game.rewards[0]) == 0:
            continue
        report = chapter.exaggerated(game, np.array(0.5))
        gain, error = chapter.gains(game, report, 0), chapter.gain_error(game, 0)
        exact, sure = chapter.oracle_gain(game, report, 0)
        assert sure
        assert abs(gain - exact) <= error
        judged += 1
    assert judged > 0


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_gain_grows_with_epsilon(seed):
    rng = np.random.default_rng(seed)
    rewards = rng.dirichlet(np.ones(4), size=2) * 0.9 + 0.025
    family = (KL, ReverseKL, JensenShannon)[seed % 3]
    game = RLHFGame(rewards, [2, 3], rng.dirichlet(np.ones(4) * 5), family(1.0), "summation")
    curve = chapter.gains(game, chapter.exaggerated(game, np.linspace(0.1, 0.9, 9)), 0)
    assert curve[0] > 0
    assert np.all(np.diff(curve) > 0)


def test_kink_stops_every_report_and_flat_piece_does_not():
    rewards, line = [[0.6, 0.4], [0.3, 0.7]], np.linspace(0, 1, 101)
    reports = np.stack([line, 1 - line], axis=-1)
    most = {}
    for family in (KL, kl_plus_tv, flat_kl, TotalVariation):
        game = RLHFGame(rewards, [1, 1], [0.5, 0.5], family(1.0), "summation")
        assert solve(game).dual_gap < 1e-12
        most[family.__name__] = chapter.gains(game, game.with_report(0, reports), 0).max()
    assert most["KL"] > 1e-3 and most["flat_kl"] > 1e-3
    assert abs(most["kl_plus_tv"]) < 1e-15 and abs(most["TotalVariation"]) < 1e-15


@pytest.mark.parametrize("seed", range(3))
def test_strictly_convex_with_a_kink_never_loses(seed):
    rng = np.random.default_rng(seed)
    rewards = rng.dirichlet(np.ones(4), size=(200, 2))
    sizes, reference = rng.integers(1, 11, (200, 2)), rng.dirichlet(np.ones(4), 200)
    for divergence in (kl_plus_tv(0.5), kl_with_kink(0.5, 1.5, 1.0)):
        game = RLHFGame(rewards, sizes, reference, divergence, "summation")
        report = chapter.exaggerated(game, np.full(200, 0.9))
        assert chapter.gains(game, report, 0).min() > -1e-12


def test_search_reports_a_gain_at_its_worst():
    game, report = chapter.worst_alignment(KL, "maximum", 2000, 0)
    assert 0 < chapter.alignment(game, report, 0) < 0.1
    assert chapter.gains(game, report, 0) > 2 * chapter.gain_error(game, 0)


def test_oracle_agrees_on_the_example_by_hand():
    game = RLHFGame(
        [[1 / 2, 1 / 3, 1 / 6], [1 / 6, 1 / 3, 1 / 2]],
        [12, 12], [1 / 3, 1 / 3, 1 / 3], KL(1 / np.log(2)), "summation",
    )  # fmt: skip
    report = misreports.theorem_4_2(game, 0, 1 / 12)
    assert chapter.gains(game, report, 0) == pytest.approx(6 / 7, abs=1e-13)
    assert chapter.oracle_gain(game, report, 0)[0] == pytest.approx(6 / 7, abs=1e-13)
