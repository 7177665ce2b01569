"""False names and collusion: closed forms against games that are really split, and controls."""

from fractions import Fraction

import numpy as np
import pytest

from mechanism import KL, CandidateGame, RLHFGame, affine_maximizer_payments, oracles, sw_max
from mechanism.attack.games import draw_candidate_game, draw_rlhf_game
from mechanism.attack.joint_reports import (
    false_name_payments,
    joint_gains,
    names_bound,
    overwhelming_report,
    pair_gains,
    split_group,
    with_sizes_scaled,
)
from mechanism.controls.coalitions import CONTROLS
from mechanism.core.errors import InvalidInputError
from mechanism.theorems.coalitions import (
    check_collusion,
    check_false_names,
    check_false_names_rate,
)


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_false_names_hold(games):
    assert check_false_names(games=games, budget=400, seed=3).status == "holds"


def test_false_names_at_a_tie_that_rounded_shares_tip():
    """Two candidates of equal welfare: names that add up to a little less get the other one."""
    values = [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    tied = CandidateGame(values, [9, 3, 3, 2, 7])
    assert np.ptp(tied.scores()) == 0
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    assert {int(sw_max(split_group(tied, 1, t / t.sum()))) for t in shares} == {0, 1}
    assert check_false_names(games=lambda rng: tied, budget=100).status == "holds"


def test_rate_and_collusion_hold():
    assert check_false_names_rate(budget=600, seed=3).status == "holds"
    assert check_collusion(budget=600, seed=3).status == "holds"


@pytest.mark.parametrize(("claim", "name"), [(c, n) for c, row in CONTROLS.items() for n in row])
def test_control_is_noticed(claim, name):
    result = CONTROLS[claim][name](500, 1_000_004)
    assert result.claim == claim and result.status == "violated"


@pytest.mark.parametrize("draw", [draw_rlhf_game, draw_candidate_game])
@pytest.mark.parametrize("seed", range(12))
def test_closed_form_is_the_split_game(draw, seed):
    rng = np.random.default_rng(seed)
    game = draw(rng)
    i = int(rng.integers(game.groups))
    for names in (1, 2, 7):
        split = split_group(game, i, np.full(names, 1 / names))
        total = affine_maximizer_payments(split)[i : i + names].sum()
        scale = np.abs(game.scores()).max() + getattr(getattr(game, "divergence", None), "lam", 0)
        assert false_name_payments(game, i, names)[0] == pytest.approx(total, abs=1e-12 * scale)


def test_hand_worked_split_in_fractions():
    """Sizes 5 and 4, candidates A, B, C: b pays 2 alone and 4 (5/2 - 21/10) = 8/5 as two names."""
    values = [
        [Fraction(1), Fraction(0), Fraction(3, 5)],
        [Fraction(0), Fraction(1), Fraction(3, 5)],
    ]
    alone = 5 * values[0][0] - 5 * values[0][2]
    rest = [5 * values[0][k] + 2 * values[1][k] for k in range(3)]
    halves = 2 * (max(rest) - rest[2])
    assert (alone, halves) == (2, Fraction(8, 5))
    game = CandidateGame([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6]], [5, 4])
    assert false_name_payments(game, 1, [1, 2]) == pytest.approx([2.0, 1.6], abs=1e-12)
    assert oracles.brute_force_candidates(split_group(game, 1, [0.5, 0.5]))[1][1:] == pytest.approx(
        [0.8, 0.8]
    )


def test_payments_of_names_fall_like_one_over_m_and_meet_the_bound():
    game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(50.0))
    paid, most = (f(game, 0, [10, 100, 1000]) for f in (false_name_payments, names_bound))
    assert paid == pytest.approx(most, rel=1e-4)
    assert paid[0] / paid[1] == pytest.approx(10, rel=1e-3)


def test_like_minded_groups_that_double_their_sizes_gain():
    like = [[1.0, 0.2, 0.0], [0.9, 0.3, 0.0], [0.0, 0.1, 1.0]]
    game = RLHFGame(like, [5, 5, 12], np.full(3, 1 / 3), KL(2.0))
    gains = joint_gains(game, (0, 1), with_sizes_scaled(game, (0, 1), 2.0))
    assert (gains > 0.5).all()
    for i in range(2):  # either of them alone loses by it
        alone = with_sizes_scaled(game, (i,), 2.0)
        assert joint_gains(game, (i,), alone)[0] < 0


def test_overwhelming_report_in_a_continuous_game_pays_ever_less():
    game = RLHFGame(np.eye(3), [5, 4, 3], np.full(3, 1 / 3), KL(1.0))
    paid = [affine_maximizer_payments(overwhelming_report(game, (0, 2), 1, w))[[0, 2]].sum()
            for w in (10, 20, 40)]  # fmt: skip
    assert paid[0] > paid[1] > paid[2] >= -1e-12 and paid[2] < 1e-9


def test_pair_gains_of_three_groups_are_equal():
    """With three groups the best joint gain of every pair is ASW less all utilities."""
    game = CandidateGame(np.random.default_rng(0).random((3, 8)), [3, 2, 1])
    best = [pair_gains(game, *pair).max() for pair in ((0, 1), (0, 2), (1, 2))]
    honest = game.utilities(sw_max(game), affine_maximizer_payments(game))
    assert best == pytest.approx([game.welfare(sw_max(game)) - honest.sum()] * 3)


def test_bad_arguments():
    game = CandidateGame([[1.0, 0.0]], [1])
    for call in (lambda: split_group(game, 0, [0.5, 0.6]), lambda: split_group(game, 0, [1.0, 0.0]),
                 lambda: false_name_payments(game, 0, [0.5]),
                 lambda: split_group(game, 1, [1.0])):  # fmt: skip
        with pytest.raises(InvalidInputError):
            call()
