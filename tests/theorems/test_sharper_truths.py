"""Statements that sharpen the paper's, each on the smallest game that shows it."""

import numpy as np
import pytest

from mechanism import KL, Mechanism, RLHFGame, affine_maximizer_payments
from mechanism.attack.type_graph import type_graph
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
