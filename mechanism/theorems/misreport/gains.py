r"""What a report gains without payments, how exactly that is known, and what slow optima say.

Gains are in reward units, :math:`w_i\,\Delta v_i`.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mechanism.attack.claim_result import Case
from mechanism.attack.games import pick
from mechanism.attack.replay import slow_optimum
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max

Pair: TypeAlias = tuple[RLHFGame, RLHFGame]
TrainingRule: TypeAlias = Callable[[RLHFGame], Any]
UNIT = float(np.finfo(float).eps)


def gains(game: RLHFGame, report: RLHFGame, i: int, training_rule: TrainingRule = sw_max) -> Floats:
    r"""True gain :math:`w_i [v_i(\psi(report)) - v_i(\psi(game))]` of group i, shape (...).

    >>> from mechanism import KL, misreports
    >>> game = RLHFGame([[0.7, 0.3], [0.5, 0.5]], [1, 1], [0.5, 0.5], KL(1.0), "summation")
    >>> gains(game, misreports.theorem_4_2(game, 0, 0.1), 0).round(4)
    np.float64(0.0188)
    """
    before, after = models(training_rule, game), models(training_rule, report)
    change = game.valuations_of(after)[..., i] - game.valuations_of(before)[..., i]
    return np.asarray(game.sizes[..., i] * change)[()]


def gain_error(game: RLHFGame, i: int, policy: Floats | None = None) -> Floats:
    r"""Bound on the rounding error of `gains`, shape (...): first order, times 4.

    Scores carry an error of at most :math:`\eta = (n+4)\,u\max|S|`, which moves the optimum by at
    most :math:`2\eta\sum_x a(x)` in total, with :math:`a = q/f''(p/q)` (Theorem B.2's weights).
    """
    p = sw_max(game) if policy is None else policy
    with np.errstate(all="ignore"):
        curvature = game.divergence.d2f(p / game.reference)
        weights = np.where(curvature > 0, game.reference / curvature, 0.0)
    total = weights.sum(axis=-1)
    free = np.minimum(total, 2 * (total - weights.max(axis=-1)))  # the largest is fixed by the sum
    scores = (game.groups + 4) * UNIT * np.abs(game.scores()).max(axis=-1)
    moved = np.minimum(2.0 * scores * free, 2.0) + (game.outcomes + 8) * UNIT
    rewards = game.rewards[..., i, :]
    return np.asarray(4.0 * game.sizes[..., i] * np.abs(rewards).max(axis=-1) * moved)[()]


def alignment(
    game: RLHFGame, report: RLHFGame, i: int, training_rule: TrainingRule = sw_max
) -> Floats:
    r"""How well the model moves for i: gain over the most that this much movement can gain.

    :math:`\langle p'-p, rm_i\rangle / (\tfrac12|p'-p|_1 (\max rm_i - \min rm_i))`, in [-1, 1];
    1 where the movement, or the spread of the reward model, is below 1e-8: nothing to judge.
    """
    p, moved = models(training_rule, game), models(training_rule, report)
    rewards = game.rewards[..., i, :]
    most = np.abs(moved - p).sum(axis=-1) / 2 * np.ptp(rewards, axis=-1)
    gain = np.vecdot(moved - p, rewards)
    return np.where(most > 1e-8, gain / np.maximum(most, 1e-8), 1.0)


def oracle_gain(game: RLHFGame, report: RLHFGame, i: int) -> tuple[float, bool]:
    """Gain of one game from slow optima, and whether its sign is certain; 50 digits, then 150.

    Rewards are taken relative to the most likely outcome, so that no small change is subtracted
    from a probability near 1. A positive gain below the least float is returned as that float.
    """
    if np.ptp(game.rewards[i]) == 0:  # relative to any outcome all rewards are 0
        return 0.0, True
    for digits in (50, 150):
        p, moved = (slow_optimum(g, g.scores(), digits)[0] for g in (game, report))
        top = p.index(max(p))
        rewards = [float(r) - float(game.rewards[i, top]) for r in game.rewards[i]]
        terms = [(b - a) * r for a, b, r in zip(p, moved, rewards, strict=True)]
        noise = sum(a for x, a in enumerate(p) if x != top) / 10 ** (digits - 5)
        gain, floor = sum(terms), max(abs(t) for t in terms) * 1e-12
        if abs(gain) > max(noise, floor):
            value = float(game.sizes[i]) * float(gain)
            return value or float(np.sign(gain)) * 5e-324, True
    return float(game.sizes[i]) * float(gain), False


def models(training_rule: TrainingRule, game: RLHFGame) -> Floats:
    """Models (..., m) of a rule; a user's rule sees one game at a time."""
    if training_rule is sw_max:
        return np.asarray(sw_max(game))
    rows = [np.asarray(training_rule(pick(game, k))) for k in np.ndindex(game.batch_shape)]
    return np.reshape(rows, (*game.batch_shape, game.outcomes))


def replayed(game: RLHFGame, report: RLHFGame, training_rule: TrainingRule) -> float:
    """Gain of group 0 by the slow oracle; for a user's rule, its models in exact summation."""
    if training_rule is sw_max:
        return oracle_gain(game, report, 0)[0]
    before, after = models(training_rule, game), models(training_rule, report)
    terms = np.concatenate([after * game.rewards[0], -before * game.rewards[0]])
    return float(game.sizes[0]) * math.fsum(terms)


def gain_case(
    gain: float, error: float, least: float, pair: Pair, training_rule: TrainingRule
) -> Case:
    """Case of "the report gains strictly"; replayed, a user's rule must gain by twice the error."""
    replay_least = 0.0 if training_rule is sw_max else 2 * error

    def recompute() -> float:
        return strict(replayed(*pair, training_rule), error, replay_least)

    return Case(strict(gain, error, least), error, pair[0], 0, pair[1], recompute, gain)


def strict(gain: float, error: float, least: float) -> float:
    """Slack of "gain > 0": a gain not above `least`, and not clearly negative, is a violation."""
    return gain if gain > least or gain < -2 * error else gain - 2 * error
