"""Misreports of one group: Theorem 4.2's, and the paper's two strategies alpha and beta.

Each returns the reported game. Arrays of parameters give a batch of reported games.
Source: Theorem 4.2 and Section 5, arXiv:2405.16276v4.
"""

from dataclasses import replace
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import (
    Floats,
    InvalidInputError,
    ShapeError,
    as_floats,
    group_index,
    require,
)
from mechanism.core.normalization import Normalization
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.validation import LARGEST, broadcast_batch

Game = TypeVar("Game", RLHFGame, CandidateGame)


def theorem_4_2(game: RLHFGame, i: int, epsilon: ArrayLike) -> RLHFGame:
    """Theorem 4.2's exaggeration: strictly better than truth where there are no payments.

    Summation: add epsilon at the best outcome x1 of group i and take it from the worst, x2;
    0 < epsilon < min(1 - rm(x1), rm(x2)). Maximum: take epsilon from the worst outcome x1;
    0 < epsilon < rm(x1). Of equal outcomes the first is taken.

    Parameters
    ----------
    game : RLHFGame
        With normalization "summation" or "maximum".
    i : int
        The group that misreports.
    epsilon : array_like, shape (...)
        Broadcasts against the game's batch.

    Examples
    --------
    >>> from mechanism import KL
    >>> truth = RLHFGame([[0.7, 0.3], [0.5, 0.5]], [1, 1], [0.5, 0.5], KL(1.0), "summation")
    >>> theorem_4_2(truth, 0, 0.1).rewards[0]
    array([0.8, 0.2])
    """
    _check(game, "game", RLHFGame)
    if game.normalization is None:
        fix = 'name it: RLHFGame(..., normalization="summation")'
        raise InvalidInputError("normalization", None, "the construction depends on it", fix)
    rewards = game.rewards[..., group_index(i, game.groups), :]
    eps = as_floats("epsilon", epsilon)
    limit = largest_epsilon(rewards, game.normalization)
    broadcast_batch(eps.shape, limit.shape)
    eps, limit = np.broadcast_arrays(eps, limit)
    fix = "make it smaller, or use exaggerated_reward(..., clip=True)"
    require((eps > 0) & (eps < limit), "epsilon", eps, "must be in the theorem's open range", fix)
    return game.with_report(i, reward=exaggerated_reward(rewards, eps, game.normalization))


def largest_epsilon(rewards: ArrayLike, normalization: str) -> Floats:
    """Supremum of the epsilon that Theorem 4.2 admits, for reward models (..., m).

    >>> float(largest_epsilon(np.array([0.7, 0.3]), "maximum"))
    0.3
    """
    rows = _rows(rewards, normalization)
    least = rows.min(axis=-1)
    return least if normalization == "maximum" else np.minimum(1 - rows.max(axis=-1), least)


def exaggerated_reward(
    rewards: ArrayLike, epsilon: ArrayLike, normalization: str, clip: bool = False
) -> Floats:
    """Return the reward (..., m) of Theorem 4.2; `clip` lowers epsilon to the least reward.

    >>> exaggerated_reward(np.array([0.7, 0.3]), 0.5, "summation", clip=True)
    array([1., 0.])
    """
    rows, given = _rows(rewards, normalization), as_floats("epsilon", epsilon)
    inside = np.abs(given) <= LARGEST
    require(inside, "epsilon", given, f"must be finite, at most {LARGEST:g}", "make it smaller")
    least = rows.min(axis=-1)
    broadcast_batch(given.shape, least.shape)
    eps = np.minimum(given, least if clip else np.inf)
    worst, best = rows.argmin(axis=-1), rows.argmax(axis=-1)
    outcomes = np.arange(rows.shape[-1])
    change = -1.0 * (outcomes == worst[..., None])
    if normalization == "summation":
        change += outcomes == best[..., None]
    return np.asarray(rows + eps[..., None] * change)


def scale_size(game: Game, i: int, alpha: ArrayLike) -> Game:
    """Strategy (1): group i reports alpha w_i members; alpha > 0, 1 is the truth.

    >>> scale_size(CandidateGame([[1.0, 0.0], [0.0, 1.0]], [3, 7]), 0, [0.5, 2]).sizes
    array([[1.5, 7. ],
           [6. , 7. ]])
    """
    _check(game, "game", RLHFGame, CandidateGame)
    i = group_index(i, game.groups)
    factor = as_floats("alpha", alpha)
    fix = "alpha = 0 is the game without group i: drop its row"
    require(np.isfinite(factor) & (factor > 0), "alpha", factor, "must be finite and > 0", fix)
    broadcast_batch(factor.shape, game.sizes.shape[:-1])
    with np.errstate(all="ignore"):  # the game refuses what is no size
        return game.with_report(i, size=factor * game.sizes[..., i])


def mix_rewards(game: Game, i: int, beta: ArrayLike, other: int) -> Game:
    """Strategy (2): group i reports beta rm_i + (1 - beta) rm_other; beta = 1 is the truth.

    beta > 1 moves away from the other group and may leave the reward domain, so that the reported
    game admits any finite reals (normalization None).

    >>> mix_rewards(CandidateGame([[1.0, 0.0], [0.0, 1.0]], [3, 7]), 0, 1.5, 1).values[0]
    array([ 1.5, -0.5])
    """
    _check(game, "game", RLHFGame, CandidateGame)
    i, other = group_index(i, game.groups), group_index(other, game.groups)
    share = as_floats("beta", beta)
    require(np.isfinite(share), "beta", share, "must be finite", "1 is the truth")
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    broadcast_batch(share.shape, rows.shape[:-2])
    with np.errstate(all="ignore"):  # the game refuses what is not finite
        mixed = share[..., None] * rows[..., i, :] + (1 - share[..., None]) * rows[..., other, :]
    if isinstance(game, RLHFGame):
        return replace(game, normalization=None).with_report(i, reward=mixed)
    return game.with_report(i, reward=mixed)


def _check(value: object, argument: str, *kinds: type) -> None:
    if not isinstance(value, kinds):
        wanted = " or a ".join(kind.__name__ for kind in kinds)
        raise InvalidInputError(argument, type(value).__name__, f"must be a {wanted}", "make one")


def _rows(rewards: ArrayLike, normalization: str) -> Floats:
    rows = as_floats("rewards", rewards)
    if rows.ndim == 0 or rows.shape[-1] == 0:
        rule, fix = "must hold outcomes", "pass (..., m)"
        raise ShapeError("rewards", f"array of shape {rows.shape}", rule, fix)
    inside = np.abs(rows) <= LARGEST
    require(inside, "rewards", rows, f"must be finite, at most {LARGEST:g}", "mend this outcome")
    if not isinstance(normalization, str) or normalization not in get_args(Normalization):
        rule = f"must be one of {get_args(Normalization)}"
        raise InvalidInputError("normalization", repr(normalization), rule, "name one")
    return rows
