"""Statements that sharpen the paper's, each on the smallest game that shows it."""

import numpy as np
import pytest

from mechanism import (
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    Mechanism,
    RLHFGame,
    SquaredHellinger,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.type_graph import type_graph
from mechanism.core.misreports import mix_rewards
from mechanism.theorems.cycle_monotonicity import maxmin_rlhf, nash_welfare


def two_cycle(rule, other, types):
    game = RLHFGame([types[0], other], [1, 1], [0.5, 0.5], KL(1.0), "maximum")
    free = Mechanism(rule, lambda g: np.zeros(g.groups))
    lengths = type_graph(game, 0, np.array(types), np.array([1.0, 3.0]), free).lengths
    return lengths[0, 1] + lengths[1, 0]


def test_private_sizes_break_both_rules_at_two_outcomes():
    maxmin = two_cycle(maxmin_rlhf, [1.0, 0.0], [[0.0, 1.0], [0.4, 1.0]])
    assert maxmin == pytest.approx(-0.1, abs=1e-9)
    assert two_cycle(nash_welfare, [0.0, 1.0], [[1.0, 0.0], [1.0, 0.6]]) < -0.005


def test_identical_groups_pay_under_a_divergence():
    game = RLHFGame([[1, 0.5, 0]] * 2, [1, 1], np.full(3, 1 / 3), KL(0.2))
    paid = affine_maximizer_payments(game)
    assert paid == pytest.approx(np.full(2, 0.0123), abs=1e-4)


def test_valuation_and_payment_can_fall_along_beta():
    game = RLHFGame([[0.1, 0.0], [1.0, 0.0]], [5, 5], [0.5, 0.5], KL(5.0))
    reported = mix_rewards(game, 0, np.linspace(0, 1, 41), 1)
    assert (np.diff(game.valuations(sw_max(reported))[:, 0]) < 0).all()
    assert (np.diff(affine_maximizer_payments(reported)[:, 0]) < 0).all()


@pytest.mark.parametrize(
    "divergence", [KL, ChiSquared, JensenShannon, SquaredHellinger, lambda lam: Alpha(3.0, lam)]
)
def test_two_types_of_nash_welfare_under_a_strong_divergence(divergence):
    """The length of a 2-cycle times lam over the squared distance goes to 1 / f''(1)."""
    lam, rng = 3e3, np.random.default_rng(0)
    strong = divergence(lam)
    types = rng.dirichlet(np.full(4, 0.5), 30)
    game = RLHFGame([types[0], rng.dirichlet(np.ones(4))], [1, 1], np.full(4, 0.25), strong)
    free = Mechanism(nash_welfare, lambda g: np.zeros(g.groups))
    lengths = type_graph(game, 0, types, np.ones(30), free).lengths
    apart = np.square(types[:, None] - types).sum(axis=-1)
    ratio = (lengths + lengths.T)[apart > 1e-3] * lam / apart[apart > 1e-3]
    assert ratio == pytest.approx(lam / strong.d2f(np.array(1.0)), rel=1e-2)


@pytest.mark.parametrize("normalization", ["summation", "maximum"])
def test_at_the_constant_report_the_size_is_worth_nothing(normalization):
    """l = 0 both ways between sizes at a constant report, for any rule: valuations are constant.

    So Theorem 4.9 needs neither continuity nor its third assumption nor SW-Max.
    """
    rng, level = np.random.default_rng(1), 0.25 if normalization == "summation" else 1.0

    def arbitrary(game):
        return np.random.default_rng(int(1e6 * game.sizes[0])).dirichlet(np.ones(4))

    constant, sizes = np.full((3, 4), level), np.array([1.0, 2.5, 7.0])
    game = RLHFGame([constant[0], rng.dirichlet(np.ones(4))], [1, 1], np.full(4, 0.25), KL(1.0))
    free = Mechanism(arbitrary, lambda g: np.zeros(g.groups))
    lengths = type_graph(game, 0, constant, sizes, free).lengths
    assert np.abs(lengths).max() < 1e-12
