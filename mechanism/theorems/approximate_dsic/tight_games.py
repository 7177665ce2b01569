"""Games in which noise of a given spread does most harm."""

from dataclasses import replace

import numpy as np

from mechanism.attack.games import Game
from mechanism.attack.reports import own_row
from mechanism.core.divergences import (
    KL,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.approximate_dsic.bounds import worst_two_outcomes


def tight_game(
    divergence: Divergence, epsilon: float, size: float = 1.0, groups: int = 2
) -> RLHFGame:
    """Summation domain; group 1's noise (-eps, eps, ...) does most harm; the others are constant.

    For KL and chi-squared the sharp loss is reached with two outcomes, for total variation 99.9 %.
    Other divergences of bounded slope have a third outcome that starts with all the mass. The noise
    stays in the domain.

    Raises
    ------
    InvalidInputError
        eps is so large that the rewards would leave the domain.

    Examples
    --------
    >>> from mechanism.theorems.approximate_dsic import noise_loss
    >>> game = tight_game(TotalVariation(0.1), 0.2)
    >>> (noise_loss(game, game.sizes[0] * np.array([-0.2, 0.2])) / 0.4).round(4)
    np.float64(0.9989)
    """
    if np.isfinite(divergence.slope_limit) and not isinstance(divergence, TotalVariation):
        return _tight_three(divergence, epsilon, size, groups)
    q, gap = _tight_point(divergence, 2 * size * epsilon / divergence.lam)
    lead = gap * divergence.lam / size  # rm(x1) - rm(x2)
    if abs(lead) + 2 * epsilon > 1:
        fix = "take a smaller epsilon"
        raise InvalidInputError("epsilon", epsilon, "rewards leave the domain", fix)
    rewards = np.full((groups, 2), 0.5)
    rewards[0] += lead / 2 * np.array([1.0, -1.0])
    sizes = np.concatenate([[size], np.ones(groups - 1)])
    return RLHFGame(rewards, sizes, np.array([q, 1 - q]), divergence, "summation")


def tight_noise(game: Game, epsilon: float) -> Floats:
    """Noise (-eps, eps, 0, ...) of group 1 that a `tight_game` is made for.

    >>> tight_noise(tight_game(KL(0.01), 0.1), 0.1)
    array([-0.1,  0.1])
    """
    noise = np.zeros(own_row(game, 0).shape)
    noise[:2] = -epsilon, epsilon
    return noise


def _tight_three(divergence: Divergence, epsilon: float, size: float, groups: int) -> RLHFGame:
    """Nearly all mass goes to x1, and with noise to x2: f is nearly linear where q is tiny."""
    lead, rare = 1.998 * epsilon, 1e-9
    rewards = np.full((groups, 3), 1 / 3)
    rewards[0] = 0.45 + lead / 2, 0.45 - lead / 2, 0.1
    sizes = np.concatenate([[size], np.ones(groups - 1)])
    reference = np.array([rare, rare, 1 - 2 * rare])
    return RLHFGame(rewards, sizes, reference, divergence, "summation")


def _tight_point(divergence: Divergence, t: float) -> tuple[float, float]:
    """q(x1) and the gap S(x1) - S(x2), in lam, at which noise of spread t lam does most harm."""
    match divergence:
        case KL():  # p(x2) = (z - 1) / (e^t - 1) without noise; q is free
            z = t / -np.expm1(-t)
            odds = np.log(z - 1) - t - np.log(-np.expm1(-t))
            return 0.5, float(np.log1p(-np.exp(odds)) - odds)
        case TotalVariation():  # nearly all mass sits at x2, and the noise keeps it there
            return 1e-4, 2 + 0.999 * t
        case ChiSquared():
            return 0.5, max(t - 4, t / 2)
        case _:
            _, game = worst_two_outcomes(lambda lam: replace(divergence, lam=lam), t, steps=2)
            return float(game.reference[1]), -float(game.rewards[0, 0])


def sharp_divergence(rng: np.random.Generator, epsilon: float, size: float = 1.0) -> Divergence:
    """A divergence whose sharp bound is known, so weak that the noise matters: t from 8 to 1e4.

    >>> sharp_divergence(np.random.default_rng(0), 0.1).lam < 0.2 / 8
    True
    """
    lam = float(2 * size * epsilon / 10 ** rng.uniform(0.91, 4))
    kinds = (KL, TotalVariation, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon)
    return kinds[int(rng.integers(len(kinds)))](lam)
