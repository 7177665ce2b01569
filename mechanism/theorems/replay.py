"""Utilities and payments recomputed by the oracles: what a witness is replayed with."""

from fractions import Fraction

import numpy as np

from mechanism import oracles
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame
from mechanism.theorems.best_response import Game, own_row


def slow_payment(mechanism: Mechanism | None, game: Game, i: int) -> float:
    """Payment of group i by the oracles; a user's rule is taken at its word."""
    return -_slow(mechanism, game, game, i)[1]


def slow_utility(mechanism: Mechanism | None, truth: Game, report: Game, i: int) -> float:
    """True utility of group i after a report: high-precision arithmetic, or enumeration."""
    value, transfer = _slow(mechanism, truth, report, i)
    return value + transfer


def _slow(mechanism: Mechanism | None, truth: Game, report: Game, i: int) -> tuple[float, float]:
    """w_i v_i and -pay_i, each recomputed by slow means."""
    row, size = own_row(truth, i), float(truth.sizes[i])
    if mechanism is not None:
        model, pay = mechanism.training_rule(report), mechanism.payment_rule(report)
        at = [float(model == k) for k in range(len(row))] if np.ndim(model) == 0 else list(model)
        return size * _exact_dot(at, row), -float(pay[i])
    if isinstance(report, CandidateGame):
        index, payments = oracles.brute_force_candidates(report)
        return size * float(row[index]), -payments[i]
    scores, reference = report.scores().tolist(), report.reference.tolist()
    others = leave_one_out_scores(report.sizes, report.rewards)[i].tolist()
    own = report.sizes[i] * own_row(report, i)
    policy, best = oracles.optimum_mpmath(scores, reference, report.divergence, 34)
    pivot = oracles.optimum_mpmath(others, reference, report.divergence, 34)[1]
    gained = sum((p * float(r) for p, r in zip(policy, own, strict=True)), start=0 * best)
    value = sum((p * float(r) for p, r in zip(policy, row, strict=True)), start=0 * best)
    return size * float(value), -float(pivot - (best - gained))


def _exact_dot(first: list[float], second: Floats) -> float:
    pairs = zip(first, second, strict=True)
    return float(sum((Fraction(float(a)) * Fraction(float(b)) for a, b in pairs), Fraction(0)))
