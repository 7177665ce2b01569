"""The sharp bound on what noise costs: no game loses more, and some game loses that much."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ERROR, Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Family, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum
from mechanism.attack.spending import Spending
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.approximate_dsic.bounds import noise_loss, sharp_loss, two_valued_noise
from mechanism.theorems.approximate_dsic.tight_games import tight_game, tight_noise

KNOWN: tuple[Family, ...] = (  # the sharp bound is known
    KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon,
    lambda lam: Alpha(-1.0, lam), lambda lam: Alpha(0.3, lam),
)  # fmt: skip
Loss = Callable[[Divergence, Floats], Floats]
REACHED = 0.98  # share of the bound that a tight game must lose
PIECE = 2 + 50 + 4  # runs of one stratum
PROVED = 8.0  # spread over lam up to which the bound of chi-squared is proved


@checker("sharp-noise")
def check_sharp_noise(bound: Loss = sharp_loss, budget: int = 2000, seed: int = 0) -> ClaimResult:
    r"""Noise of a given spread on the scores costs at most `sharp_loss`, and some game that much.

    Random games of every stratum meet the worst two-valued noise that `two_valued_noise` finds, of
    a spread from a thirtieth of lam to 30 lam (chi-squared: 8 lam, up to where it is proved). Every
    other case is a `tight_game`, which must lose 98 % of the bound.

    Parameters
    ----------
    bound : callable
        (divergence, spread) -> greatest loss, in place of the sharp one.

    Returns
    -------
    ClaimResult
        `margin` is the least of 1 - loss / bound and, in tight games, loss / bound - 0.98.

    Examples
    --------
    >>> check_sharp_noise(budget=200).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    for setting in Strata(rng, KNOWN):
        game, divergence = setting.draw(rng), setting.divergence
        most = PROVED if isinstance(divergence, ChiSquared) else 30.0
        spread = float(np.exp(rng.uniform(np.log(1 / 30), np.log(most)))) * divergence.lam
        noise = two_valued_noise(game, spread, rng)
        cases.append(_case(game, noise, float(bound(divergence, np.asarray(spread))), 1.0))
        runs.spend(2 + 50)
        if not isinstance(divergence, Alpha):  # tight games are known for the others
            tight, move = _tight(rng, divergence)
            allowed = float(bound(tight.divergence, np.asarray(np.ptp(move))))
            cases += [_case(tight, move, allowed, 1.0), _case(tight, move, allowed, -REACHED)]
            runs.spend(4)
        if not runs.room(PIECE):
            break
    return worst_case("sharp-noise", cases, runs.spent, by="slack")


def _tight(rng: np.random.Generator, divergence: Divergence) -> tuple[RLHFGame, Floats]:
    """A tight game of the same divergence, lam small beside the noise, and its noise."""
    epsilon, high = 0.05, PROVED if isinstance(divergence, ChiSquared) else 1e4
    low = 1.0 if isinstance(divergence, KL | ChiSquared) else 1e3
    lam = 2 * epsilon / float(np.exp(rng.uniform(np.log(low), np.log(high))))
    game = tight_game(type(divergence)(lam), epsilon)
    return game, tight_noise(game, epsilon)


def _case(game: RLHFGame, noise: Floats, allowed: float, sign: float) -> Case:
    """Slack of loss <= bound (sign 1), or of loss >= 98 % of it (sign -0.98)."""

    def slack(loss: float) -> float:
        return 1.0 - loss / allowed if sign > 0 else loss / allowed + sign

    def again() -> float:
        before, after = game.scores(), game.scores() + noise
        best = slow_optimum(game, before)[1]
        moved, value = slow_optimum(game, after)
        shift = sum((p * float(h) for p, h in zip(moved, noise, strict=True)), start=0 * best)
        return slack(float(best - value + shift))

    error = ERROR * (float(scale(game)) + float(np.abs(noise).max())) / allowed
    return Case(slack(float(noise_loss(game, noise))), error, game, None, None, again)
