"""Games for Theorem 4.2: drawn at random, and searched for by an adversary."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from mechanism.attack.games import Family, Setting
from mechanism.core import misreports
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
)
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.misreport.gains import Pair, TrainingRule, alignment, gains

SMOOTH: tuple[Family, ...] = (
    KL, ReverseKL, SquaredHellinger, JensenShannon, ChiSquared,
    partial(Alpha, -1.0), partial(Alpha, 0.3), partial(Alpha, 1.5), partial(Alpha, 3.0),
)  # fmt: skip
BATCH = 8


def draw_batch(rng: np.random.Generator, setting: Setting, constant: bool = False) -> RLHFGame:
    """Batch of games for group 0 of one setting: ties, others extreme, or group 0 indifferent.

    Beyond the oracle's reach, six outcomes, lam follows the spread of the scores and the reference
    is even, so that gains stay visible in floats.
    """
    large = setting.outcomes > 6
    game = replace(setting, skew=1.0 if large else min(setting.skew, 10.0)).draw(rng, (BATCH,))
    rewards, m = game.rewards.copy(), game.outcomes
    if rng.random() < 0.3:  # the others care for one outcome each
        rewards[:, 1:] = np.eye(m)[rng.integers(m, size=(BATCH, game.groups - 1))]
    if constant:
        rewards[:, 0] = 1.0 if setting.normalization == "maximum" else 1.0 / m
    game = replace(game, rewards=rewards)
    if not large or constant:
        return game
    lam = game.divergence.lam ** (1 / 6) * float(np.ptp(game.scores(), axis=-1).mean())
    return replace(game, divergence=replace(game.divergence, lam=max(lam, 1e-12)))


def attack(
    objective: Callable[[Floats], Floats], dimension: int, evaluations: int, seed: int
) -> NDArray[np.float64]:
    """Least point in [-1, 1]^d by scipy's differential evolution, whole populations at once."""
    population = max(8, min(15 * dimension, evaluations // 8))
    found = differential_evolution(
        lambda x: objective(x.T) if x.ndim > 1 else objective(x[None])[0],
        [(-1.0, 1.0)] * dimension, popsize=max(1, population // dimension), polish=False,
        maxiter=max(1, evaluations // population - 1), tol=0.0, vectorized=True,
        updating="deferred", rng=np.random.default_rng(seed),
    )  # fmt: skip
    return np.asarray(found.x)


def small_game(x: Floats, family: Family, norm: Normalization) -> RLHFGame:
    """Decode points (..., 11) as games of three outcomes against one other group.

    One opponent of any real size stands for any others, since only S matters, up to a constant.
    """
    own, other = np.exp(2.5 * x[..., 0:3]), np.exp(8.0 * x[..., 3:6])
    rewards = normalize(np.stack([own, other], axis=-2), norm)
    reference = normalize(np.exp(4.0 * x[..., 6:9]), "summation")
    return RLHFGame(rewards, np.exp(2.0 * x[..., 9:11]), reference, family(1.0), norm)


def exaggerated(game: RLHFGame, share: Floats, i: int = 0) -> RLHFGame:
    """The construction with a share in (0, 1) of the largest epsilon."""
    assert game.normalization is not None
    limit = misreports.largest_epsilon(game.rewards[..., i, :], game.normalization)
    return misreports.theorem_4_2(game, i, np.clip(share, 1e-6, 1 - 1e-6) * limit)


def worst_alignment(
    family: Family,
    norm: Normalization,
    evaluations: int,
    seed: int,
    training_rule: TrainingRule = sw_max,
) -> Pair:
    """Game and report of the construction at the least `alignment` that the search finds."""

    def pair(x: Floats) -> Pair:
        game = small_game(x, family, norm)
        return game, exaggerated(game, 0.5 + 0.499 * x[..., 11])

    def objective(x: Floats) -> Floats:
        game, report = pair(x)
        value = alignment(game, report, 0, training_rule)
        return np.where(np.asarray(sw_max(game)).min(axis=-1) > 0, value, 1.0)

    return pair(attack(objective, 12, evaluations // 2, seed))


def best_lie_of_the_indifferent(
    family: Family,
    norm: Normalization,
    evaluations: int,
    seed: int,
    training_rule: TrainingRule = sw_max,
) -> Pair:
    """Game with a constant reward model, and the report of reward and size that gains it most."""

    def pair(x: Floats) -> Pair:
        game = small_game(x, family, norm)
        flat = np.full_like(game.rewards[..., 0, :], 1.0 if norm == "maximum" else 1.0 / 3.0)
        lie = normalize(np.exp(8.0 * x[..., 11:14]), norm)
        return game.with_report(0, flat), game.with_report(0, lie, np.exp(4.0 * x[..., 14]))

    return pair(attack(lambda x: -gains(*pair(x), 0, training_rule), 15, evaluations // 2, seed))
