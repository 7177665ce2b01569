"""Models, utilities and payments recomputed by the oracles: what every witness is replayed with."""

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from mechanism import oracles
from mechanism.attack.games import Game
from mechanism.attack.reports import own_row
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame


def oracle_digits(game: RLHFGame, scores: Floats | None = None) -> int:
    """Digits that the slow oracle needs: more where f' has a limit and the best outcome is rare.

    With probability q it needs slopes as near to the limit as q**2 (alpha = -1), and the oracle's
    doubling of the depth overshoots to the square of that.

    >>> from mechanism import KL
    >>> oracle_digits(RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0)))
    50
    """
    top = game.reference[(game.scores() if scores is None else scores).argmax()]
    limited = np.isfinite(game.divergence.slope_limit)
    return oracles.DIGITS + (int(-4 * np.log10(top)) if limited else 0)


def slow_optimum(game: RLHFGame, scores: Floats, digits: int = 0) -> tuple[list[Any], Any]:
    """Optimal policy and value of given scores (m,) by the oracle; `digits` 0: `oracle_digits`.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> round(float(slow_optimum(game, game.scores())[1]), 6)
    0.620115
    """
    digits = digits or oracle_digits(game, scores)
    return _optimum(tuple(scores.tolist()), tuple(game.reference.tolist()), game.divergence, digits)


@lru_cache(maxsize=4)
def _optimum(
    scores: tuple[float, ...], reference: tuple[float, ...], divergence: Any, digits: int
) -> tuple[list[Any], Any]:
    """Remember the last optima: each payment of a game asks for that of the whole game again."""
    return oracles.optimum_mpmath(scores, reference, divergence, digits)


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
    others = leave_one_out_scores(report.sizes, report.rewards)[i]
    own = report.sizes[i] * own_row(report, i)
    policy, best = slow_optimum(report, report.scores())
    pivot = slow_optimum(report, others)[1]
    gained = sum((p * float(r) for p, r in zip(policy, own, strict=True)), start=0 * best)
    value = sum((p * float(r) for p, r in zip(policy, row, strict=True)), start=0 * best)
    return size * float(value), -float(pivot - (best - gained))


def _exact_dot(first: list[float], second: Floats) -> float:
    pairs = zip(first, second, strict=True)
    return float(sum((Fraction(float(a)) * Fraction(float(b)) for a, b in pairs), Fraction(0)))


def slow_model(game: Game, digits: int = 0) -> Floats:
    """SW-Max's policy (m,) by the oracles; candidates: the chosen one has probability 1."""
    if isinstance(game, CandidateGame):
        return np.eye(game.candidates)[oracles.brute_force_candidates(game)[0]]
    return np.array([float(p) for p in slow_optimum(game, game.scores(), digits)[0]])
