r"""Table 1: what one group gains by Theorem 4.2's misreport in random games, with payments.

Each game is played twice, once with truthful reports and once with group 1's report exaggerated by
:math:`\varepsilon`; the table shows the mean changes of its valuation and of its utility under
affine maximizer payments. A `Setting` says what the paper states and what it leaves open.
Source: Table 1 and Section 5, arXiv:2405.16276v4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.core.misreports import exaggerated_reward
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.experiments.cells import Cell
from mechanism.experiments.synthetic.games import BEST, STATED, Sampling, Setting, draw_games
from mechanism.places import data, results
from mechanism.sweeps import HERE, Where, ordered

__all__ = [
    "BEST", "COLUMNS", "DATA", "EPSILONS", "RESULTS", "STATED", "TARGET", "Changes", "Sampling",
    "Setting", "draw_games", "estimate", "estimates", "play", "published", "recorded",
    "relative_errors", "reproduce", "small_epsilon_slopes",
]  # fmt: skip

PaymentRule = Callable[[RLHFGame], Floats]

EPSILONS = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1])
COLUMNS = ("delta_valuation_x100_mean", "delta_utility_x10000_mean")
UNITS = np.array([[1e2], [1e4]])  # the table shows 100 times, and 10,000 times, the mean change
TARGET = 0.015
DATA = data("published_table1.csv")
RESULTS = results("synthetic")
TASK = 100_000  # games that one task of a sweep draws, from a seed of their own


@dataclass(frozen=True, eq=False)
class Changes:
    """Misreport minus truth for the acting group, each (epsilons, games), reward units."""

    valuation: Floats
    utility: Floats


def play(
    game: RLHFGame,
    i: int,
    setting: Setting,
    epsilons: Floats = EPSILONS,
    payment_rule: PaymentRule | None = None,
) -> Changes:
    """Change of group i's valuation and utility through its misreports, in a batch of games.

    Without a `payment_rule` the payments are affine maximizer payments, whose pivot term does not
    depend on the own report: the change of utility is then the change of true social welfare.
    """
    clip = setting.clipping == "clip"
    rewards, eps = game.rewards[..., i, :], np.broadcast_to(epsilons[:, None], (len(epsilons), 1))
    if setting.clipping == "truth":
        eps = np.where(eps < rewards.min(axis=-1), eps, 0.0)
    row = exaggerated_reward(rewards, eps, setting.normalization, clip=clip)
    domain = None if setting.clipping == "negative" else game.normalization
    reported = replace(game, normalization=domain).with_report(i, reward=row)
    truth, model = sw_max(game), sw_max(reported)
    gained = (game.valuations(model) - game.valuations(truth))[..., i]
    if payment_rule is None:
        utility = game.welfare(model) - game.welfare(truth)
    else:
        after = game.utilities(model, payment_rule(reported))
        utility = (after - game.utilities(truth, payment_rule(game)))[..., i]
    return Changes(gained * (game.sizes[..., i] if setting.reported == "w1 v1" else 1.0), utility)


def estimate(
    setting: Setting = BEST,
    samples: int = 100_000,
    seed: int = 0,
    sampling: Sampling = "balanced",
    epsilons: Floats = EPSILONS,
    payment_rule: PaymentRule | None = None,
    where: Where = HERE,
) -> Floats:
    """Mean changes in the table's units, shape (2, epsilons): valuation x100, utility x10000.

    Under balanced sampling each group of each game acts in turn, unless sizes are fixed: groups are
    drawn alike, so every one of them is a "group 1". More than `TASK` games are drawn in parts,
    each with seed (seed, number of the part), and balanced by itself.

    >>> estimate(BEST, samples=2000).round(2)[0, -2:]
    array([1.9 , 1.91])
    """
    return estimates([setting], samples, seed, sampling, epsilons, payment_rule, where)[0]


def estimates(
    settings: Sequence[Setting],
    samples: int = 100_000,
    seed: int = 0,
    sampling: Sampling = "balanced",
    epsilons: Floats = EPSILONS,
    payment_rule: PaymentRule | None = None,
    where: Where = HERE,
) -> list[Floats]:
    """`estimate` for each setting, all in one sweep."""
    starts = range(0, samples, TASK)
    parts = [(min(TASK, samples - start), (seed, k)) for k, start in enumerate(starts)]
    tasks = [(setting, *part) for setting in settings for part in parts]
    work = partial(_totals, sampling, epsilons, payment_rule)
    found = np.reshape(ordered(work, tasks, where), (len(settings), len(parts), 2, len(epsilons)))
    counts = np.array([samples * len(_acting(setting, sampling)) for setting in settings])
    return list(UNITS * found.sum(axis=1) / counts[:, None, None])


def _acting(setting: Setting, sampling: Sampling) -> range:
    """Groups that misreport, each in turn."""
    in_turn = sampling == "balanced" and setting.sizes is None
    return range(setting.groups if in_turn else 1)


def _totals(
    sampling: Sampling, epsilons: Floats, payment_rule: PaymentRule | None,
    task: tuple[Setting, int, tuple[int, int]],
) -> Floats:  # fmt: skip
    """Sums of the changes over the games of one task, shape (2, epsilons)."""
    setting, samples, seed = task
    total = np.zeros((2, len(epsilons)))
    for game in draw_games(setting, samples, seed, sampling):
        for i in _acting(setting, sampling):
            changes = play(game, i, setting, epsilons, payment_rule)
            total += [changes.valuation.sum(axis=-1), changes.utility.sum(axis=-1)]
    return total


def published() -> Floats:
    """Return the 14 published means, shape (2, 7), in the table's units."""
    table = pd.read_csv(DATA)
    return table[list(COLUMNS)].to_numpy(float).T


def relative_errors(ours: Floats) -> Floats:
    """Signed relative errors ours / published - 1, shape (..., 2, 7)."""
    return ours / published() - 1.0


def reproduce(
    setting: Setting = BEST,
    samples: int = 100_000,
    seed: int = 0,
    sampling: Sampling = "balanced",
) -> list[Cell]:
    """Table 1 recomputed: 14 cells, each beside the published mean."""
    return cells(estimate(setting, samples, seed, sampling))


def cells(ours: Floats) -> list[Cell]:
    """Estimated means, shape (2, 7), each beside the published one."""
    paper = published()
    return [
        _cell(f"epsilon={epsilon:g}", column, float(paper[k, j]), float(ours[k, j]))
        for j, epsilon in enumerate(EPSILONS)
        for k, column in enumerate(COLUMNS)
    ]


def small_epsilon_slopes(game: RLHFGame, i: int) -> Changes:
    r"""What theory says of :math:`\varepsilon\to 0`, per game: d(w v)/dε and d²u/dε² at ε = 0.

    With :math:`a = q/f''(p/q)` and H = diag(a) - a aᵀ/Σa, the derivative of the optimum in the
    scores (Theorem B.2), and d = 1 at the best outcome, -1 at the worst: the first is
    :math:`w^2\,rm^\top H d`, the second :math:`-w^2\,d^\top H d`, since truth is optimal.
    """
    policy = sw_max(game)
    a = game.reference / game.divergence.d2f(policy / game.reference)
    rewards, w = game.rewards[..., i, :], game.sizes[..., i]
    direction = exaggerated_reward(rewards, 1.0, "summation") - rewards
    moved = a * (direction - np.vecdot(a, direction)[..., None] / a.sum(axis=-1, keepdims=True))
    return Changes(w**2 * np.vecdot(rewards, moved), -(w**2) * np.vecdot(direction, moved))


def recorded(name: str) -> pd.DataFrame:
    """Return a table recorded in the project's folder ``results/synthetic``."""
    return pd.read_csv(RESULTS / name)


def _cell(row: str, column: str, paper: float, ours: float) -> Cell:
    absolute = abs(ours - paper)
    relative = absolute / abs(paper)
    return Cell("table1", row, column, paper, ours, absolute, relative, TARGET, relative <= TARGET)
