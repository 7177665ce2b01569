"""Gradient ascent on the expected utility of a report, the adversary of claim one-run.

Source: condition OPT at the model of every share; see `mechanism.attack.best_response`.
"""

import numpy as np

from mechanism.attack.reports import own_row, project_report
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.one_training.lottery import Lottery, shrunk


def climb(
    lottery: Lottery, game: RLHFGame, i: int, size: float, others: Floats, steps: int = 12,
    seed: int = 0,
) -> Floats:  # fmt: skip
    """Reported rewards (4, m) at which gradient ascent on the expected utility ends.

    Starts near the truth and at random; the expectation is over 60 fixed shares. With a and its
    mean as in `best_response`, and c = w_i rm_i - kept(s) w' rm' at share s, the slope is the mean
    of w' [s a (c - mean c) - kept(s) p].
    """
    rng, own = np.random.default_rng(seed), own_row(game, i)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    u = (np.arange(3)[:, None] + (1.0 + nodes) / 2.0).ravel() / 3.0
    share = np.append(lottery.share(u), 1.0)
    game, chance = shrunk(game, np.insert(others, i, 1.0)), lottery.chance(others)
    weight = np.append(chance * np.tile(weights, 3) / 6.0, 1.0 - chance)[:, None]
    kept = lottery.kept(share, others, size)[:, None]
    noise = rng.standard_normal((2, game.outcomes))
    rows = project_report(game, i, np.concatenate([own + 0.05 * noise, rng.random((2, len(own)))]))
    for pace in 0.3 * 0.75 ** np.arange(steps):
        said = game.with_report(i, reward=rows[:, None, :], size=share * size)
        policy = np.asarray(sw_max(said), dtype=np.float64)
        with np.errstate(all="ignore"):
            a = game.reference / game.divergence.d2f(policy / game.reference)
        a = np.where((policy > 0) & np.isfinite(a), a, 0.0)
        c = game.sizes[i] * own - kept * size * rows[:, None, :]
        total = a.sum(axis=-1, keepdims=True)
        middle = (a * c).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1.0)
        slope = (weight * (share[:, None] * a * (c - middle) - kept * policy)).sum(axis=1)
        slope = slope - slope.mean(axis=-1, keepdims=True)
        length = np.abs(slope).max(axis=-1, keepdims=True)
        rows = project_report(game, i, rows + pace * slope / np.where(length > 0, length, 1.0))
    return rows
