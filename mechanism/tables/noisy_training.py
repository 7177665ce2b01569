"""Noise and early stopping on games that can be enumerated: eps, delta, bounds and exact gains.

Training is modelled by its regularisation path: stopped at a share s of the way, the model is the
optimum for s times the total reward. What real trainings lack is `training_shortfall`.
Source: Theorem 4.12, arXiv:2405.16276v4; see `incentives` for the best response.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mechanism.attack.games import pick
from mechanism.core.errors import Floats, as_floats, group_index
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.approximate_dsic import (
    paper_bound,
    sharp_loss,
    two_valued_noise,
    with_noise,
)

ALPHAS = np.array([0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
BETAS = np.array([0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0])
ALPHAS.flags.writeable = BETAS.flags.writeable = False


def training_shortfall(game: RLHFGame, policies: ArrayLike) -> Floats:
    """Delta: what each policy (..., P, m) lacks to the optimal ASW, mean over prompts, shape (...).

    For KL it is lam KL(p || p*).

    >>> from mechanism import KL
    >>> game = RLHFGame([[[1.0, 0.0]]], [1], [[0.5, 0.5]], KL(1.0))
    >>> training_shortfall(game, game.reference).round(4)
    np.float64(0.1201)
    """
    best = game.welfare(sw_max(game)).mean()
    return np.asarray(best - game.welfare(as_floats("policies", policies)).mean(axis=-1))[()]


@dataclass(frozen=True)
class NoisyGain:
    """One group, noisy rewards and a training that stops early, all in reward units.

    Attributes
    ----------
    epsilon : float
        Largest noise on the group's own reward, after the best constant is taken off.
    delta : float
        Shortfall of the released model in what the provider hears.
    bound : float
        2 w eps + delta.
    sharp : float
        The sharp bound for KL (`sharp_loss`); nan where delta is not 0.
    gain : float
        Largest gain over all reports, exactly.
    strategy : float
        Largest gain on the grids of strategies alpha and beta (0: truth is best).
    """

    epsilon: float
    delta: float
    bound: float
    sharp: float
    gain: float
    strategy: float


def noisy_gain(game: RLHFGame, i: int, noise: ArrayLike, share: float = 1.0) -> NoisyGain:
    """Gain of group i when `noise` (n, P, m) is heard on top of all reports.

    The released model is the optimum for `share` of the total that is heard: training stops on the
    regularisation path. The report that wins most makes this the optimum of the group's true reward
    and the others' heard ones, with the pivot term unmoved.
    """
    i, h = group_index(i, game.groups), as_floats("noise", noise)
    heard = with_noise(game, h.transpose(1, 0, 2))
    assert isinstance(heard, RLHFGame)
    mixed = heard.with_report(i, reward=game.rewards[:, i])
    released = _stopped(heard, heard.scores(), share)
    size = float(game.sizes[i])
    epsilon = float((np.ptp(h[i], axis=-1) / 2).mean())
    delta = float(training_shortfall(heard, released))
    # rounding apart, a full training has no shortfall
    delta = delta if share != 1.0 else 0.0
    sharp = float(np.mean(sharp_loss(game.divergence, size * np.ptp(h[i], axis=-1))))
    worth = float(mixed.welfare(released).mean())
    tried = [_stopped(heard, s, share) for s in _strategies(game, heard, i)]
    strategy = max(float(mixed.welfare(model).mean()) - worth for model in tried)
    return NoisyGain(
        epsilon, delta, float(paper_bound(size, epsilon)) + delta,
        sharp if share == 1.0 else float("nan"),
        float(training_shortfall(mixed, released)), max(0.0, strategy),
    )  # fmt: skip


def _stopped(game: RLHFGame, scores: Floats, share: float) -> Floats:
    return optimal_policies(share * scores, game.reference, game.divergence)[0]


def _strategies(game: RLHFGame, heard: RLHFGame, i: int) -> list[Floats]:
    """Total rewards (P, m) that the provider hears after reports alpha w_i and of mixtures."""
    total, own = heard.scores(), heard.rewards[:, i]
    shift = game.rewards[:, (i + 1) % game.groups] - game.rewards[:, i]
    sizes = [total + (a - 1.0) * game.sizes[i] * own for a in ALPHAS]
    return sizes + [total + (1.0 - b) * game.sizes[i] * shift for b in BETAS]


def noise_study(
    game: RLHFGame, i: int = 0, epsilons: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
    shares: Sequence[float] = (1.0, 0.9, 0.5), draws: int = 20, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Largest gains under random and worst-case noise, beside the bounds; one row a case.

    Returns
    -------
    DataFrame
        `share`, `noise` ("random": signs drawn outcome by outcome; "worst": two values, searched
        prompt by prompt) and the fields of `NoisyGain` of the draw with the largest gain.
    """
    rng, single = np.random.default_rng(seed), replace(game, normalization=None)
    lines = []
    for eps in epsilons:
        signs = rng.choice([-eps, eps], (draws, game.groups, *game.reference.shape))
        spread = 2 * eps * float(game.sizes[i])
        worst = np.zeros(signs.shape[1:])
        prompts = range(len(game.reference))
        worst[i] = [two_valued_noise(pick(single, p), spread, rng) for p in prompts]
        worst[i] /= game.sizes[i]
        for share in shares:
            found = [noisy_gain(game, i, noise, share) for noise in signs]
            best = max(found, key=lambda one: one.gain)
            for kind, one in (("random", best), ("worst", noisy_gain(game, i, worst, share))):
                lines.append({"share": share, "noise": kind, **vars(one)})
    return pd.DataFrame(lines)
