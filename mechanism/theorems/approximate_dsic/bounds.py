r"""Theorem 4.12: on noisy inputs a misreport gains at most 2 w_i eps; Lemma D.2; the sharp bound.

Noise on rewards moves the total reward by h, and only the spread max h - min h matters. What the
provider loses by it is a Bregman divergence of the optimal value C(S) = max_p <S, p> - D_f(p || q):

.. math:: G(h) = ASW(\psi(S)) - ASW(\psi(S + h)) = C(S) - C(S + h) + \langle h, \nabla C(S+h)\rangle

with :math:`\partial G/\partial h(x) = a(x)(h(x) - \bar h)`, a = q/f''(p/q): the worst noise takes
two values only. `sharp_loss` is the greatest G over all games for a given spread.
Source: Lemma D.2 and Theorem 4.12, arXiv:2405.16276v4; the sharp bounds are our own.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.games import pick
from mechanism.core.divergences import (
    KL,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max

Bound = Callable[[Floats, Floats], Floats]  # (sizes, epsilon) -> greatest gain or loss


def paper_bound(size: ArrayLike, epsilon: ArrayLike) -> Floats:
    """2 w eps: of Theorem 4.12 with w = w_i, of Lemma D.2 with w = sum of all sizes.

    >>> paper_bound(3.0, 0.1).round(12)
    np.float64(0.6)
    """
    return np.asarray(2.0 * as_floats("size", size) * as_floats("epsilon", epsilon))[()]


def sharp_loss(divergence: Divergence, spread: ArrayLike) -> Floats:
    r"""Greatest loss of ASW over all games when noise of the given spread (...) moves the scores.

    If the slope of f is bounded (total variation, reverse KL, Hellinger, Jensen-Shannon, alpha < 1)
    it is the whole spread: outcomes with q(x) -> 0 cost the same for each unit of mass, so that
    mass jumps between them as between candidates. With t = spread / lam, in units of lam:
    KL :math:`z - 1 - \log z, z = t/(1 - e^{-t})`; chi-squared :math:`t^2/16`, from t = 8 on t - 4.

    Raises
    ------
    InvalidInputError
        No closed form is known for this divergence.

    Examples
    --------
    >>> sharp_loss(KL(1.0), [0.01, 100.0]).round(7)
    array([1.25000000e-05, 9.43948298e+01])
    >>> float(sharp_loss(ReverseKL(1.0), 0.5))
    0.5
    """
    if np.isfinite(divergence.slope_limit):
        return np.asarray(as_floats("spread", spread))[()]
    return two_outcome_loss(divergence, spread)


def two_outcome_loss(divergence: Divergence, spread: ArrayLike) -> Floats:
    r"""Greatest loss over games with two outcomes; t = spread / lam, in units of lam.

    KL and chi-squared as in `sharp_loss`; total variation t; reverse KL :math:`t - \log(1+t)`;
    squared Hellinger :math:`t^2/(1+t)`; Jensen-Shannon :math:`t - \log(2 - e^{-t})`. The last four
    are approached as q(x) -> 0, not reached.

    >>> two_outcome_loss(SquaredHellinger(1.0), 1.0)
    np.float64(0.5)
    """
    t = as_floats("spread", spread) / divergence.lam
    loss: Floats
    match divergence:
        case KL():
            small = np.abs(t) < 1e-4
            safe = np.where(small, 1.0, t)
            z = safe / -np.expm1(-safe)
            loss = np.where(small, t**2 / 8, z - 1 - np.log(z))
        case ChiSquared():
            loss = np.where(t < 8, t**2 / 16, t - 4)
        case TotalVariation():
            loss = t
        case ReverseKL():
            loss = t - np.log1p(t)
        case SquaredHellinger():
            loss = t**2 / (1 + t)
        case JensenShannon():
            loss = t - np.log(2 - np.exp(-t))
        case _:
            fix = "use worst_two_outcomes"
            raise InvalidInputError("divergence", repr(divergence), "no closed form known", fix)
    return np.asarray(divergence.lam * loss)[()]


def noise_loss(game: RLHFGame, noise: ArrayLike) -> Floats:
    """G(h) = ASW(psi(S)) - ASW(psi(S + h)) >= 0 under the true rewards; h has shape (..., m).

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> noise_loss(game, [0.0, 2.0]).round(4)
    np.float64(0.4621)
    """
    h = as_floats("noise", noise)
    moved, _ = optimal_policies(game.scores() + h, game.reference, game.divergence)
    return np.asarray(game.welfare(sw_max(game)) - game.welfare(moved))[()]


def two_valued_noise(game: RLHFGame, spread: float, rng: np.random.Generator) -> Floats:
    """Worst noise (m,) of the form +-spread/2 found over threshold sets of S and random sets.

    Thresholds of S move mass from good outcomes to bad ones; up to 33 of them, and 16 random sets.

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> two_valued_noise(game, 2.0, np.random.default_rng(0))
    array([-1.,  1.])
    """
    m = game.outcomes
    rank = game.scores().argsort(kind="stable").argsort(kind="stable")
    cuts = np.unique(np.linspace(1, m - 1, min(m - 1, 33)).astype(int)) if m > 1 else np.array([1])
    lower = rank < cuts[:, None]
    sets = np.concatenate([lower, rng.random((16, m)) < rng.random((16, 1))])
    h = spread * (sets - 0.5)
    return np.asarray(h[int(np.argmax(noise_loss(game, h)))])


def worst_two_outcomes(
    family: Callable[[float], Divergence], spread: float, lam: float = 1.0, steps: int = 4
) -> tuple[float, RLHFGame]:
    """Search all two-outcome games for the greatest G at a given spread: (loss, game).

    Grid over (log odds of q, gap S(x1) - S(x2)), refined `steps` times round the best point. The
    noise adds `spread` at the first outcome.

    >>> loss, game = worst_two_outcomes(KL, 2.0)
    >>> abs(loss - sharp_loss(KL(1.0), 2.0)) < 1e-6
    np.True_
    """
    divergence = family(lam)
    centre, reach = np.array([0.0, -spread / 2]), np.array([27.0, 1.0 * spread + 30 * lam])
    best = (-np.inf, np.zeros(2))
    for _ in range(steps + 1):
        axes = [c + r * np.linspace(-1, 1, 121) for c, r in zip(centre, reach, strict=True)]
        logit, gap = (grid.ravel() for grid in np.meshgrid(np.clip(axes[0], -27, 27), axes[1]))
        games = _two_outcome_game(logit, gap, divergence)
        h = np.stack([np.full_like(gap, spread), np.zeros_like(gap)], axis=-1)
        loss = noise_loss(games, h)
        k = int(loss.argmax())
        if loss[k] > best[0]:
            best = (float(loss[k]), np.array([logit[k], gap[k]]))
        centre, reach = best[1], reach / 12
    return best[0], pick(_two_outcome_game(best[1][:1], best[1][1:], divergence), 0)


def _two_outcome_game(logit: Floats, gap: Floats, divergence: Divergence) -> RLHFGame:
    q = np.stack([1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))], axis=-1)
    rewards = np.stack([gap, np.zeros_like(gap)], axis=-1)[..., None, :]
    return RLHFGame(rewards, np.ones(1), q, divergence)
