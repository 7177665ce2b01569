"""V against affine maximizer payments, the exact two-way cost, moduli, fees on the size."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanism import (
    KL,
    CandidateGame,
    ChiSquared,
    FDivergence,
    Mechanism,
    RLHFGame,
    TotalVariation,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.paths import path_payment
from mechanism.attack.reports import random_type
from mechanism.attack.type_graph import shortest_paths, type_graph
from mechanism.certificates.payment_equivalence import (
    kl_modulus_reached,
    kl_paper_factor,
    size_gap_floor,
)
from mechanism.claims import noticed
from mechanism.controls.payment_equivalence import CONTROLS
from mechanism.core.samplers import sample_candidate_game, sample_game
from mechanism.theorems.payment_equivalence import (
    around_constant,
    bregman_gaps,
    check_cor_4_10,
    check_lemma_B_1,
    check_lemma_C_1,
    check_lemma_C_2,
    check_prop_4_6,
    check_prop_4_8_chi2,
    check_prop_4_8_kl,
    check_thm_4_9,
    chi2_paper,
    chi2_sharp,
    kl_paper,
    kl_sharp,
    min_max_reports,
    refine,
    rough_arc,
    rough_arc_game,
    size_freedom,
    swap_game,
    through_constant,
    tightness,
)

PATH_CHECKS = [check_prop_4_6, check_thm_4_9, check_cor_4_10, check_lemma_C_1, check_lemma_C_2]


@pytest.mark.parametrize("check", PATH_CHECKS)
@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_equivalence_holds(check, games):
    assert check(games=games, budget=500, seed=4).status == "holds"


@pytest.mark.parametrize("check", [check_prop_4_8_kl, check_prop_4_8_chi2, check_lemma_B_1])
def test_moduli_hold(check):
    assert check(budget=1000, seed=4).status == "holds"


@pytest.mark.parametrize(
    ("claim", "name"), [(claim, name) for claim, named in CONTROLS.items() for name in named]
)
def test_control_is_noticed(claim, name):
    assert noticed(CONTROLS[claim][name], 21)


@given(st.integers(0, 10**6), st.sampled_from([KL(0.3), ChiSquared(0.2), TotalVariation(0.4)]))
def test_two_way_cost_telescopes(seed, divergence):
    rng = np.random.default_rng(seed)
    game = sample_game(rng, 3, 4, divergence, "maximum")
    path = through_constant(game, 0, random_type(rng, game, 0), random_type(rng, game, 0))
    for steps in (1, 7, 40):
        bracket = refine(game, 0, path, steps)
        assert bracket.two_way_cost == pytest.approx(bracket.closed_form, abs=1e-12)
        assert bracket.two_way_cost * steps == pytest.approx(
            refine(game, 0, path, 1).two_way_cost, abs=1e-10
        )
        start, end = (game.with_report(0, reward=t[0], size=t[1]) for t in (path[0], path[-1]))
        paid = (affine_maximizer_payments(end) - affine_maximizer_payments(start))[0]
        assert -bracket.backward - 1e-12 <= paid <= bracket.forward + 1e-12


def test_v_does_not_see_a_term_of_the_others_reports():
    rng = np.random.default_rng(0)
    game = sample_game(rng, 3, 5, KL(0.2), "summation")

    def other(g):
        return affine_maximizer_payments(g) + g.sizes.sum() - g.sizes

    for check in (check_cor_4_10, check_thm_4_9, check_prop_4_6):
        assert check(Mechanism(sw_max, other), budget=400, seed=1).status == "holds"
    path = through_constant(game, 1, random_type(rng, game, 1), random_type(rng, game, 1))
    ends = [game.with_report(1, reward=t[0], size=t[1]) for t in (path[0], path[-1])]
    assert (other(ends[1]) - other(ends[0]))[1] == pytest.approx(
        path_payment(game, 1, path).value, abs=1e-10
    )


def test_two_paths_give_the_same_v():
    rng = np.random.default_rng(6)
    game = sample_game(rng, 3, 4, ChiSquared(0.2), "maximum")
    start, end = random_type(rng, game, 0, 2.0), random_type(rng, game, 0, 2.0)
    first = path_payment(game, 0, around_constant(game, start, end))
    second = path_payment(game, 0, through_constant(game, 0, start, end))
    assert first.value == pytest.approx(second.value, abs=1e-6)


@pytest.mark.parametrize("change", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("lam", [0.1, 1.0, 30.0])
def test_sharp_moduli_are_reached(change, lam):
    for divergence, bound in ((KL(lam), kl_sharp), (ChiSquared(lam), chi2_sharp)):
        move = swap_game(change, divergence)
        moved = np.abs(sw_max(move.after) - sw_max(move.before)).max()
        assert move.size == pytest.approx(change)
        assert moved == pytest.approx(float(bound(np.array(change), np.array(lam))), abs=1e-12)


def test_search_reaches_the_sharp_constants_and_a_quarter_of_the_papers():
    assert tightness("kl", kl_sharp).ratio == pytest.approx(1, abs=1e-3)
    assert tightness("chi2", chi2_sharp).ratio == pytest.approx(1, abs=1e-3)
    assert tightness("kl", kl_paper).ratio < 0.25
    assert tightness("chi2", chi2_paper).ratio == pytest.approx(0.25, abs=1e-3)


def test_the_sharp_bound_needs_no_derivative():
    kinked = FDivergence(lambda x: (x - 1) ** 2 + np.abs(x - 1), lam=0.5)  # modulus 2 lam = 1
    rng = np.random.default_rng(1)
    game = sample_game(rng, 2, 3, kinked, "maximum", batch=(20,))
    other = sample_game(rng, 2, 3, kinked, "maximum", batch=(20,))
    other = replace(other, reference=game.reference, sizes=game.sizes)
    change = np.abs(other.scores() - game.scores()).max(axis=-1)
    distance = np.abs(sw_max(other) - sw_max(game)).sum(axis=-1) / 2
    assert np.all(distance <= np.minimum(1, change / 2) + 1e-6)


def test_balls_certify():
    assert bool(kl_modulus_reached(Fraction(1, 2), Fraction(3, 10)).contains(0))
    assert bool(kl_paper_factor(Fraction(1, 100), Fraction(1)) > 4)


def min_max_game(divergence, others=(0.0, 0.0, 0.0)):
    return RLHFGame([[1.0, 0.5, 0.0], others], [1, 1], np.full(3, 1 / 3), divergence)


def test_min_max_rewards_leave_room_for_a_fee_on_the_size():
    game, reports = min_max_game(KL(1.0)), min_max_reports(20)
    freedom = size_freedom(game, 0, reports, np.array([1.0, 2.0]))
    third = [Fraction(1, 3)] * 3
    floor = float(size_gap_floor([Fraction(0)] * 3, third, Fraction(1), 1, 2).lower())
    assert 0 < floor <= freedom.jumps[[0, 1], [1, 0]].min()
    rewards, sizes = np.tile(reports, (2, 1)), np.repeat([1.0, 2.0], len(reports))
    gaps = bregman_gaps(type_graph(game, 0, rewards, sizes))
    fee = floor * (sizes == 2.0)
    assert (gaps - (fee[None] - fee[:, None])).min() >= -1e-12
    fee = 1.02 * freedom.jumps[0, 1] * (sizes == 2.0)
    assert (gaps - (fee[None] - fee[:, None])).min() < 0


def test_real_sizes_close_the_room():
    game = min_max_game(KL(1.0))
    path = [(np.array([1.0, 0.5, 0.0]), 1.0), (np.array([1.0, 0.5, 0.0]), 2.0)]
    assert refine(game, 0, path, 1).two_way_cost > 0.05
    assert refine(game, 0, path, 1000).two_way_cost < 1e-3


def test_candidates_total_variation_and_min_max():
    sizes, reports = np.array([1.0, 2.0]), min_max_reports(20)
    rng = np.random.default_rng(3)
    for _ in range(10):
        game = sample_candidate_game(rng, 2, 3)
        assert size_freedom(game, 0, reports, sizes).width <= 1e-12
    two = CandidateGame([[1.0, 0.0], [0.0, 0.75]], [1, 2])
    assert size_freedom(two, 0, np.array([[0.0, 1.0], [1.0, 0.0]]), sizes).width == 0
    assert size_freedom(min_max_game(TotalVariation(0.75)), 0, reports, sizes).width > 0.1
    assert size_freedom(min_max_game(TotalVariation(0.3)), 0, reports, sizes).width == 0


def test_connected_is_not_enough_on_a_rough_arc():
    t = np.linspace(0, 1, 4**4 + 1)
    rewards = rough_arc(t)
    assert rewards.min() > 0
    np.testing.assert_allclose(rewards.sum(axis=-1), 1)
    graph = type_graph(rough_arc_game(), 0, rewards, np.ones(len(t)))
    slope = 0.4 * 2 / (1.1**2 * 16**2) / 64
    gaps = bregman_gaps(graph)
    apart = np.abs(t[:, None] - t)
    assert (gaps - slope * apart)[apart > 0].min() >= 0
    paths = shortest_paths(graph.lengths, 1e-15)
    assert paths[0, -1] + paths[-1, 0] >= 2 * slope
