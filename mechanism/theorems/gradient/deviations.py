r"""Theorems 4.3 and B.2: the slope of a group's true valuation in its own report, without payments.

With :math:`a(x) = q(x)/f''(p(x)/q(x))` and :math:`t(x) = \sum_z (rm_i(x) - rm_i(z))\,a(z)`, raising
the report at x by epsilon changes :math:`v(p; rm_i)` by
:math:`w_i\,\varepsilon\,a(x)\,t(x)/\sum a + O(\varepsilon^2)`. Three sufficient conditions follow
for truth not to be optimal where :math:`\min rm_i = 0`. Gains are in reward units, w_i times v.
Source: Theorems 4.3 and B.2, arXiv:2405.16276v4; `pair` and `critical` are our own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max

NOTABLE = 1e-9  # a condition counts as met where it is met by this share of its scale
STEPS = (0.1, 1e-2, 1e-4, 1e-6, 1e-8)  # the decreasing grid of epsilon, in natural units


@dataclass(frozen=True)
class Deviation:
    """A direction in which a group may change its report.

    Attributes
    ----------
    direction : array, shape (..., m)
        +1 where the report rises by epsilon, -1 where it falls.
    room : array, shape (...)
        Greatest epsilon that stays in the domain.
    drive : array, shape (...)
        How strongly the first-order condition is met, in [0, 1]; 0 where it is not.
    """

    direction: Floats
    room: Floats
    drive: Floats

    @property
    def applies(self) -> NDArray[np.bool_]:
        """Whether the condition is met, beyond rounding."""
        return np.asarray(self.drive > NOTABLE)


Condition: TypeAlias = Callable[[RLHFGame, int, Floats, Floats], Deviation]
Weights: TypeAlias = Callable[[RLHFGame, Floats], Floats]


def weights(game: RLHFGame, policy: Floats) -> Floats:
    r"""Theorem B.2's a = q / f''(p/q), shape (..., m); 0 where p = 0. Units: 1 / reward.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(2.0))
    >>> weights(game, np.array([0.25, 0.75]))
    array([0.125, 0.375])
    """
    with np.errstate(all="ignore"):  # ratios of tiny numbers: what is not finite moves nothing
        a = game.reference / game.divergence.d2f(policy / game.reference)
    return np.where((policy > 0) & np.isfinite(a), a, 0.0)


def pull(rewards: Floats, a: Floats) -> Floats:
    r"""Theorem B.2's :math:`t(x) = \sum_z (rm(x) - rm(z))\,a(z)`, shape (..., m).

    Rewards are taken relative to the heaviest outcome, so that its own t keeps its digits.

    >>> pull(np.array([1.0, 0.0]), np.array([0.1, 0.3]))
    array([ 0.3, -0.1])
    """
    rewards, a = np.broadcast_arrays(rewards, a)
    heaviest = a.argmax(axis=-1)[..., None]
    relative = rewards - np.take_along_axis(rewards, heaviest, axis=-1)
    return relative * a.sum(axis=-1, keepdims=True) - (a * relative).sum(axis=-1, keepdims=True)


def slope(game: RLHFGame, reported: RLHFGame, i: int) -> Floats:
    r"""Exact gradient (..., m) of :math:`w_i v(\psi(r'); rm_i)` in the report r'(x).

    :math:`w_i w'_i\, a(x) t(x)/\sum a`, with a at the model that the report brings about.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> slope(game, game, 0)
    array([ 0.25, -0.25])
    """
    a = weights(reported, np.asarray(sw_max(reported)))
    total = a.sum(axis=-1, keepdims=True)
    size = (game.sizes[..., i] * reported.sizes[..., i])[..., None]
    return size * a * pull(game.rewards[..., i, :], a) / np.where(total > 0, total, 1.0)


def _pick(eligible: NDArray[np.bool_], rank: Floats) -> NDArray[np.intp]:
    """Index (..., 1) of the eligible entry of highest rank."""
    return np.asarray(np.where(eligible, rank, -np.inf).argmax(axis=-1)[..., None])


def _at(values: Floats, index: NDArray[np.intp]) -> Floats:
    return np.take_along_axis(values, index, axis=-1)[..., 0]


def _move(
    game: RLHFGame, own: Floats, up: NDArray[np.intp], down: NDArray[np.intp], drive: Floats
) -> Deviation:
    """Take epsilon from `down` and give it to `up`."""
    places = np.arange(game.outcomes)
    direction = 1.0 * (places == up) - 1.0 * (places == down)
    return Deviation(direction, np.minimum(1 - _at(own, up), _at(own, down)), drive)


def case_1(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Maximum: some x1 with 0 < rm(x1) < 1 and t(x1) not 0; raise it if t > 0, else lower it."""
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((own > 0) & (own < 1) & (t != 0) & (a > 0), rank)
    inside = (_at(own, x1) > 0) & (_at(own, x1) < 1) & (_at(a, x1) > 0)
    sign = np.sign(_at(t, x1))
    direction = sign[..., None] * (np.arange(game.outcomes) == x1)
    room = np.where(sign > 0, 1 - _at(own, x1), _at(own, x1))
    return Deviation(direction, room, np.where(inside, abs(_at(t, x1)) / a.sum(axis=-1), 0.0))


def case_2(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Summation: some x1 with t(x1) < 0 < rm(x1) < 1; move epsilon from it to an argmax."""
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((own > 0) & (own < 1) & (t < 0) & (a > 0), rank)
    inside = (_at(own, x1) > 0) & (_at(own, x1) < 1) & (_at(a, x1) > 0)
    drive = np.where(inside, np.maximum(-_at(t, x1), 0) / a.sum(axis=-1), 0.0)
    return _move(game, own, own.argmax(axis=-1)[..., None], x1, drive)


def case_3(game: RLHFGame, i: int, a: Floats, rank: Floats, curvature: bool = True) -> Deviation:
    """Summation: t(x1) > 0, 1 > rm(x1) >= rm(x2) > 0, a(x1) > a(x2); move epsilon to x1 from x2.

    `curvature=False` leaves out a(x1) > a(x2).
    """
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((t > 0) & (own > 0) & (own < 1) & (a > 0), rank)
    lower = (own > 0) & (own <= _at(own, x1)[..., None]) & (np.arange(game.outcomes) != x1)
    lighter = a < _at(a, x1)[..., None] * (1 - NOTABLE)
    x2 = _pick(lower & lighter if curvature else lower, rank)
    inside = (_at(own, x1) < 1) & (_at(own, x2) > 0) & (_at(own, x1) >= _at(own, x2))
    inside &= (_at(a, x1) > _at(a, x2)) if curvature else (x1 != x2)[..., 0]
    most = np.where(inside & (_at(a, x1) > 0), _at(a, x1) * a.sum(axis=-1), 1.0)
    force = abs(_at(a * t, x1) - _at(a * t, x2)) / most
    drive = np.where(inside & (_at(t, x1) > 0), np.minimum(force, 1.0), 0.0)
    return _move(game, own, x1, x2, drive)


def pair(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Summation, our own: a t takes two values on {rm > 0}; move epsilon from the lower one.

    This is all that the first order can say: otherwise truth is a stationary point.
    """
    own = game.rewards[..., i, :]
    force = a * pull(own, a)
    up, down = (_pick(own > 0, rank_) for rank_ in (force, -force))
    total = a.sum(axis=-1)
    largest = abs(force).max(axis=-1)
    differ = (_at(force, up) - _at(force, down)) / np.where(largest > 0, largest, 1.0)
    drive = np.where(largest > NOTABLE * total**2, differ, 0.0)
    return _move(game, own, up, down, drive)


def epsilons(game: RLHFGame, deviation: Deviation, i: int) -> Floats:
    """Decreasing epsilons (len(STEPS), ...), in units of drive x lam / w_i, within the room."""
    unit = deviation.drive * game.divergence.lam / game.sizes[..., i]
    return np.minimum(np.multiply.outer(STEPS, unit), 0.999 * deviation.room)


def reports(game: RLHFGame, deviation: Deviation, i: int, epsilon: Floats) -> RLHFGame:
    """Reported games, one for each epsilon (..., batch); the core checks that they are allowed."""
    rewards = game.rewards[..., i, :] + epsilon[..., None] * deviation.direction
    return game.with_report(i, reward=np.maximum(rewards, 0.0))
