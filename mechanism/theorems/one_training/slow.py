"""Expected utilities and the bound on welfare, every model by the oracles: replay of one-run.

Source: our own.
"""

from itertools import pairwise

import numpy as np

from mechanism.attack.games import Game
from mechanism.attack.replay import slow_model
from mechanism.attack.reports import own_row
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.one_training.lottery import Lottery, shrunk

DIGITS = 20


def slow_expected_utility(
    lottery: Lottery, truth: Game, report: Game, i: int, others: Floats, edges: Floats
) -> float:
    """Expected utility with every model by the oracle: Gauss's rule on the same pieces."""
    size, row = float(report.sizes[i]), own_row(report, i)
    mine = float(truth.sizes[i]) * own_row(truth, i)
    said, chance = shrunk(report, np.insert(others, i, 1.0)), lottery.chance(others)
    nodes, weights = np.polynomial.legendre.leggauss(6)

    def earned(share: float) -> float:
        model = slow_model(said.with_report(i, size=share * size), DIGITS)
        kept = float(lottery.kept(np.asarray(share), others, size))
        return float(model @ (mine - kept * size * row))

    total = (1.0 - chance) * earned(1.0)
    for left, right in pairwise(edges):
        shares = lottery.share(left + (right - left) * (1.0 + nodes) / 2.0)
        heights = [earned(float(share)) for share in shares]
        total += chance * (right - left) / 2.0 * float(weights @ heights)
    return total


def slow_welfare_slack(game: Game, shares: Floats) -> float:
    """Slack of the bound on welfare for one draw of shares (n,), each model by the oracle."""
    models = [slow_model(one, DIGITS) for one in (game, shrunk(game, shares))]
    rows = np.array([own_row(game, i) for i in range(game.groups)])
    values = [game.sizes * (rows @ model) for model in models]
    costs = [_cost(game, model) for model in models]
    lost = (values[0].sum() - costs[0]) - (values[1].sum() - costs[1])
    return float(((1.0 - shares) * (values[0] - values[1])).sum() - lost)


def _cost(game: Game, model: Floats) -> float:
    if isinstance(game, RLHFGame):
        return float(game.divergence_cost(model))
    return 0.0 if game.divergences is None else float(game.divergences @ model)
