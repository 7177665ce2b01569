"""Games for Theorem B.2: random, at the edge of a condition, and from an adversary."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mechanism.attack.games import Family, Setting
from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.gradient.deviations import (
    Condition,
    Deviation,
    Weights,
    _at,
    epsilons,
    pull,
    reports,
    weights,
)
from mechanism.theorems.misreport.gains import TrainingRule, alignment, models
from mechanism.theorems.misreport.games import BATCH, attack, draw_batch


def game_with_optimum(
    policy: Floats, rewards: Floats, sizes: Floats, divergence: Divergence, norm: Normalization
) -> RLHFGame:
    """Game whose SW-Max model is `policy` > 0: the initial model is solved for.

    >>> from mechanism import KL
    >>> rewards = [[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]
    >>> wish = np.array([0.5, 0.25, 0.25])
    >>> game = game_with_optimum(wish, rewards, [1, 1], KL(1.0), "summation")
    >>> sw_max(game).round(12)
    array([0.5 , 0.25, 0.25])
    """
    total = np.asarray(sizes, float) @ np.asarray(rewards, float)

    def reference(shift: float) -> Floats:
        return policy / divergence.df_inverse(total - total.max() + divergence.df(1.0) - shift)

    def excess(shift: float) -> float:
        return float(np.log(reference(shift).sum()))

    width = float(np.ptp(total)) + 1e-9
    q = reference(brentq(excess, -width, 1e-9, xtol=1e-15))
    return RLHFGame(rewards, sizes, q / q.sum(), divergence, norm)


def draw(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """Batch of games of `draw` with three outcomes or more, and min rm_0 = 0."""
    norm = setting.normalization
    game = draw_batch(rng, replace(setting, outcomes=max(3, setting.outcomes)))
    rewards = game.rewards.copy()
    keep = rng.random((*game.batch_shape, game.outcomes)) < rng.choice([0.3, 0.6, 1.0])
    own = rewards[:, 0] * keep
    order = rng.permuted(np.tile(np.arange(game.outcomes), (BATCH, 1)), axis=-1)
    np.put_along_axis(own, order[:, 1:2], 1.0 + rewards[:, 0].max(), axis=-1)
    np.put_along_axis(own, order[:, :1], 0.0, axis=-1)  # at least one zero and one that is not
    rewards[:, 0] = own
    return replace(game, rewards=normalize(rewards, norm), normalization=norm)


def near_edge(
    rng: np.random.Generator, game: RLHFGame, rule: Weights, training_rule: TrainingRule
) -> tuple[RLHFGame, Floats, int]:
    """Bisect one reward of group 0 towards t(x1) = 0: games, ranks that prefer x1, evaluations."""
    assert game.normalization is not None
    base, place = game.rewards[:, 0].copy(), _middle(game)
    low, high = np.zeros((len(base), 1)), base.max(axis=-1, keepdims=True)
    steps = int(rng.integers(8, 17))
    for _ in range(steps):
        np.put_along_axis(base, place, (low + high) / 2, axis=-1)
        game = game.with_report(0, normalize(base, game.normalization))
        a = rule(game, models(training_rule, game))
        below = np.take_along_axis(pull(game.rewards[:, 0], a), place, axis=-1) < 0
        middle = (low + high) / 2
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return game, 1.0 * (np.arange(game.outcomes) == place), steps * len(base)


def near_twins(rng: np.random.Generator, game: RLHFGame) -> tuple[RLHFGame, Floats, int]:
    """Make one outcome nearly a copy of group 0's best: same rewards, slightly less likely."""
    assert game.normalization is not None
    rewards, reference = game.rewards.copy(), game.reference.copy()
    best, place = rewards[:, 0].argmax(axis=-1)[:, None], _middle(game)
    column = np.take_along_axis(rewards, best[:, None], axis=-1)
    np.put_along_axis(rewards, place[:, None], column, axis=-1)
    share = 1 - 10.0 ** rng.uniform(-5, -1, place.shape)
    np.put_along_axis(reference, place, share * _at(reference, best)[:, None], axis=-1)
    rewards = rewards + (rewards.max(axis=-1, keepdims=True) <= 0)  # its one wish was overwritten
    rewards = normalize(rewards, game.normalization)
    reference = normalize(reference, "summation")
    twins = (np.arange(game.outcomes) == place) | (np.arange(game.outcomes) == best)
    return (
        replace(game, rewards=rewards, reference=reference),
        twins + 0.1 * rng.random(reference.shape), 0,
    )  # fmt: skip


def _middle(game: RLHFGame) -> NDArray[np.intp]:
    """An outcome (..., 1) that is neither group 0's first best nor its first worst."""
    own = game.rewards[:, 0]
    ends = (own.argmax(axis=-1)[:, None], own.argmin(axis=-1)[:, None])
    places = np.arange(game.outcomes)
    return np.asarray(((places != ends[0]) & (places != ends[1])).argmax(axis=-1)[:, None])


def small_game(x: Floats, family: Family, norm: Normalization) -> RLHFGame:
    """Decode points (..., 13) as games of four outcomes, one worthless, against one opponent."""
    own = np.concatenate([np.exp(2.5 * x[..., :3]), np.zeros_like(x[..., :1])], axis=-1)
    rewards = normalize(np.stack([own, np.exp(6.0 * x[..., 3:7])], axis=-2), norm)
    reference = normalize(np.exp(3.0 * x[..., 7:11]), "summation")
    return RLHFGame(rewards, np.exp(2.0 * x[..., 11:13]), reference, family(1.0), norm)


def worst_drive(
    case: Condition, norm: Normalization, family: Family, evaluations: int, seed: int,
    training_rule: TrainingRule = sw_max, rule: Weights = weights,
) -> tuple[RLHFGame, Deviation]:  # fmt: skip
    """Game that meets the condition and gains least for its movement, by differential evolution.

    The alignment of `misreport` is minimised at an epsilon of a hundredth of the natural unit.
    """

    def decode(x: Floats) -> tuple[RLHFGame, Deviation]:
        game = small_game(x, family, norm)
        a = rule(game, models(training_rule, game))
        weakest = -abs(a * pull(game.rewards[..., 0, :], a))
        return game, case(game, 0, a, weakest)

    def objective(x: Floats) -> Floats:
        game, deviation = decode(x)
        report = reports(game, deviation, 0, 0.1 * epsilons(game, deviation, 0)[0])
        value = alignment(game, report, 0, training_rule)
        return np.where(deviation.drive > 1e-4, value, 1.0)

    return decode(attack(objective, 13, evaluations // 2, seed))
