"""Real models: enumeration over candidates against random and hand-made reports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechanism import Mechanism, affine_maximizer_payments, sw_max
from mechanism.experiments import soups
from mechanism.experiments.soups import METHODS, SIZES, best_report, soups_game
from mechanism.oracles import brute_force_candidates

RECORDED = Path(__file__).parents[2] / "results" / "published" / "soups.csv"
GAMES = [(method, sizes) for method in METHODS for sizes in SIZES]


def test_the_data_are_all_there_and_normalised_over_all_rows():
    frame = soups.soups_frame()
    assert len(frame) == 105
    assert frame.groupby("method").size().to_dict() == dict.fromkeys(METHODS, 21)
    rewards = frame[list(soups.REWARDS)]
    assert rewards.min().tolist() == [0, 0, 0]
    assert rewards.max().tolist() == [1, 1, 1]
    assert len(set(soups.model_names("RS"))) == 21


@pytest.mark.parametrize(("method", "sizes"), GAMES)
def test_no_report_beats_the_exact_best(method, sizes):
    """Random reports never gain more than enumeration says, and nothing with payments."""
    game = soups_game(method, sizes)
    random = np.random.default_rng(0)
    index, payments = brute_force_candidates(game)
    assert sw_max(game) == index
    np.testing.assert_allclose(affine_maximizer_payments(game), payments, atol=1e-12)
    assert min(payments) >= 0
    truth = game.utilities(index, payments)
    assert truth.min() >= 0
    for i in range(3):
        best = best_report(game, i)
        own = game.sizes[i] * game.values[i]
        rewards = random.uniform(size=(3000, game.candidates)) ** random.choice([1, 8], (3000, 1))
        wild = 10 * random.normal(size=(1000, game.candidates))
        for reports, limit in ((rewards, best.free_gain_true_size), (wild, best.free_gain)):
            reported = game.with_report(i, reward=reports)
            chosen, paid = sw_max(reported), affine_maximizer_payments(reported)[:, i]
            assert (own[chosen] - own[index]).max() <= limit + 1e-12
            assert (own[chosen] - paid - truth[i]).max() <= 1e-12
        assert best.paid_gain <= 1e-12
        for strategy in (soups.play_alpha(game, i), soups.play_beta(game, i)):
            assert strategy.utility.max() <= truth[i] + 1e-12
            assert strategy.valuation.max() <= own[index] + best.free_gain + 1e-12
            assert strategy.utility[strategy.parameter == 1].item() == pytest.approx(truth[i])


@pytest.mark.parametrize(("method", "sizes"), GAMES[::3])
def test_the_exact_best_is_reached(method, sizes):
    """The indicator of a candidate forces it, with the true size or with a large one."""
    game = soups_game(method, sizes)
    for i in range(3):
        best = best_report(game, i)
        indicators = np.eye(game.candidates)
        own = game.sizes[i] * game.values[i]
        for size, gain in ((game.sizes[i], best.free_gain_true_size), (1e4, best.free_gain)):
            chosen = sw_max(game.with_report(i, reward=indicators, size=size))
            assert max(own[chosen]) - own[sw_max(game)] == pytest.approx(gain, abs=1e-12)


def test_wrong_payments_leave_something_to_gain():
    """Negative control: with half the payments some strategy pays, so the test above can fail."""
    gains = []
    for method, sizes in GAMES:
        game = soups_game(method, sizes)
        play = soups.play_alpha(game)
        half = replace(play, utility=play.valuation - play.payment / 2)
        gains.append(half.utility.max() - half.utility[half.parameter == 1].item())
    assert max(gains) > 0.1


def test_without_payments_lying_pays_in_most_games():
    table = soups.results_frame()
    assert (table.free_gain_any_report > 0.01).mean() > 0.75
    assert (table.free_gain_any_report + 1e-9 >= table.free_gain_any_reward).all()
    paid = table[[name for name in table.columns if name.startswith("paid")]]
    assert paid.to_numpy().max() == 0


def test_strategies_are_the_mechanism_run_report_by_report():
    game, mechanism = soups_game("MOD", (3, 2, 1)), Mechanism.affine_maximizer()
    play = soups.play_alpha(game, 1, np.array([0.5, 1.0, 2.5]))
    one_by_one = [
        mechanism.utilities(game, game.with_report(1, size=alpha * game.sizes[1]))[1]
        for alpha in play.parameter
    ]
    np.testing.assert_allclose(play.utility, one_by_one, atol=1e-12)


def test_recorded_results_are_what_the_code_gives():
    pd.testing.assert_frame_equal(
        pd.read_csv(RECORDED), soups.results_frame(), check_dtype=False, rtol=0, atol=2e-5
    )


def test_the_random_attack_reports_its_margins():
    attack = soups.random_attack(50, 1)
    assert len(attack) == 3 * len(GAMES)
    assert attack[["free", "paid"]].to_numpy().min() >= -1e-12
    assert (attack.free < 1e-12).any()  # somewhere the best free report is hit
