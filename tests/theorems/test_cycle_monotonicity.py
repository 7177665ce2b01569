"""Cycles, Rochet's theorem in numbers, and the rules that fail it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanism import KL, CandidateGame, Mechanism, RLHFGame, sw_max
from mechanism.attack.programs import least_regret
from mechanism.attack.reports import random_type
from mechanism.attack.type_graph import (
    cycle_length,
    least_cycle_mean,
    shortest_paths,
    shortest_violating_cycle,
    type_graph,
)
from mechanism.certificates.cycle_monotonicity import (
    WITNESSES,
    implementable_is_monotone,
    monotone_is_implementable,
    prove,
)
from mechanism.claims import noticed
from mechanism.controls.cycle_monotonicity import CONTROLS
from mechanism.theorems.cycle_monotonicity import (
    RULES,
    check_prop_E_2,
    draw_two_groups,
    hand_example,
    maxmin_rlhf,
    nash_welfare,
    search,
    solve_slowly,
    survey,
    triangle_loop,
    truth_slack,
    v_payment,
    v_payments,
)


def free(game):
    return np.zeros(game.groups)


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_prop_E_2_holds(games):
    result = check_prop_E_2(games=games, budget=600, seed=3)
    assert result.status == "holds"
    assert result.trials >= 0.9 * 600


def test_sw_max_is_cyclically_monotone():
    assert check_prop_E_2(Mechanism(sw_max, free), budget=500, seed=1).status == "holds"


@pytest.mark.parametrize("name", CONTROLS["prop-E.2"])
def test_control_is_noticed(name):
    assert noticed(CONTROLS["prop-E.2"][name], 11)


@given(st.integers(0, 10**6), st.integers(2, 9))
def test_least_regret_is_minus_the_least_cycle_mean(seed, k):
    lengths = np.random.default_rng(seed).standard_normal((k, k))
    assert least_regret(lengths) == pytest.approx(-least_cycle_mean(lengths), abs=1e-8)


@given(st.integers(0, 10**6))
def test_shortest_violating_cycle_is_a_cycle(seed):
    lengths = np.random.default_rng(seed).standard_normal((7, 7)) + 0.6
    found = shortest_violating_cycle(lengths, 1e-12, longest=7)
    if found is None:
        assert least_cycle_mean(lengths) >= -1e-9
        assert shortest_paths(lengths) is not None
    else:
        assert len(set(found.types)) == len(found.types)
        assert cycle_length(lengths, found.types) == pytest.approx(found.length) and (
            found.length < 0
        )
        pairs = lengths + lengths.T
        np.fill_diagonal(pairs, np.inf)
        assert (len(found.types) == 2) == (pairs.min() < 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("how", ["summation", "maximum"])
def test_fast_rules_agree_with_a_conic_solver(rule, how):
    rng = np.random.default_rng(5)
    for _ in range(4):
        game = draw_two_groups(rng, 4, how)
        fast, slow = RULES[rule](game), solve_slowly(game, rule)

        def welfare(p, game=game):
            v = game.valuations(p)
            gained = game.sizes @ np.log(v) if rule == "nash" else v.min()
            return gained - game.divergence_cost(p)

        assert welfare(fast) >= welfare(np.maximum(slow, 1e-300)) - 1e-7
        np.testing.assert_allclose(fast, slow, atol=2e-3)


def test_nash_with_three_groups_and_sizes():
    rng = np.random.default_rng(2)
    game = RLHFGame(rng.random((3, 5)), [1, 4, 2], np.full(5, 0.2), KL(0.3))
    np.testing.assert_allclose(nash_welfare(game), solve_slowly(game, "nash"), atol=1e-4)


def test_maxmin_wants_two_groups():
    game = RLHFGame(np.ones((3, 2)), np.ones(3), [0.5, 0.5], KL(1.0))
    with pytest.raises(ValueError, match="3 groups"):
        maxmin_rlhf(game)


@pytest.mark.parametrize("rule", RULES)
def test_the_example_by_hand(rule):
    game, types = hand_example(rule)
    graph = type_graph(game, 0, types, np.ones(2), Mechanism(RULES[rule], free))
    assert list(graph.models) == [0, 1]
    assert shortest_violating_cycle(graph.lengths, 1e-12).length == pytest.approx(-0.1)
    assert v_payments(graph) is None


@pytest.mark.parametrize("rule", RULES)
def test_two_outcomes_pass_and_v_makes_truth_optimal(rule):
    rng = np.random.default_rng(4)
    for how in ("summation", "maximum"):
        game = draw_two_groups(rng, 2, how, KL(0.2))
        assert search(rule, game, rng, types=30).cycle is None
        mechanism = v_payment(RULES[rule])
        types = [random_type(rng, game, 0, 1.0) for _ in range(6)]
        reports = [game.with_report(0, reward=t[0]) for t in types]
        pays = np.array([mechanism.payment_rule(report)[0] for report in reports])
        graph = type_graph(
            game, 0, np.array([t[0] for t in types]), np.ones(6), Mechanism(RULES[rule], free)
        )
        assert truth_slack(graph.lengths, pays) >= -1e-6


@pytest.mark.parametrize("rule", RULES)
def test_three_outcomes_fail(rule):
    found = survey(rule, 3, "summation", KL(0.1), 2, 1)
    assert found.violated == 2
    assert found.worst < -1e-3


def test_loops_see_what_short_cycles_do_not():
    rows = [[1.0, 0.0, 0.0], [0.1, 0.2, 0.7]]
    game = RLHFGame(rows, [1, 1], np.full(3, 1 / 3), KL(1.0), "summation")
    corners = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.0, 0.5]])
    assert abs(triangle_loop(sw_max, game, 0, corners).value) < 1e-12
    loop = triangle_loop(nash_welfare, game, 0, corners)
    assert abs(loop.value) > 1e-4 > loop.error
    assert loop.types is not None and loop.length < 0


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: f"{w.rule}-{w.normalization}")
def test_witness_is_certified(witness):
    ball = witness.certify()
    rows = np.array([*witness.types, witness.other]) / 10
    game = RLHFGame(
        [rows[0], rows[-1]], [1, 1], [float(q) for q in witness.reference],
        KL(float(witness.lam)), witness.normalization,
    )  # fmt: skip
    graph = type_graph(game, 0, rows[:-1], np.ones(2), Mechanism(RULES[witness.rule], free))
    assert bool(ball < 0)
    assert float(ball) == pytest.approx(cycle_length(graph.lengths, (0, 1)), abs=1e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_z3_proves_both_directions(k):
    proof = implementable_is_monotone(k)
    assert proof.proved and proof.each_needed and len(proof.core) == k + 1
    for proof in monotone_is_implementable(k):
        assert proof.proved and proof.each_needed


def test_z3_refuses_what_is_false():
    import z3

    a, b = z3.Reals("a b")
    assert not prove({"a": a >= 0}, a + b < 0).proved


def test_slack_of_truth_by_hand():
    game = CandidateGame([[1.0, 0.0], [0.0, 0.6]], [1, 1])
    graph = type_graph(game, 0, np.array([[1.0, 0.0], [0.5, 0.0]]), np.ones(2))
    assert truth_slack(graph.lengths, np.array([0.6, 0.0])) == pytest.approx(0.1)
