"""How often random games meet the conditions of Theorem B.2, and what a grid of reports finds."""

import numpy as np

from mechanism.attack.games import Family
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.gradient.deviations import (
    case_1,
    case_2,
    case_3,
    epsilons,
    pair,
    reports,
    weights,
)
from mechanism.theorems.misreport.gains import gain_error, gains


def all_reports(norm: Normalization, steps: int = 40) -> Floats:
    """Grid (K, 3) over the whole domain of reports on three outcomes.

    >>> all_reports("summation", 2).tolist()[:2]
    [[0.0, 0.0, 1.0], [0.0, 0.5, 0.5]]
    """
    if norm == "summation":
        rows = [(a, b, steps - a - b) for a in range(steps + 1) for b in range(steps + 1 - a)]
        return np.array(rows) / steps
    line = np.arange(steps + 1) / steps
    face = np.stack(np.meshgrid([1.0], line, line), axis=-1).reshape(-1, 3)
    return np.concatenate([np.roll(face, k, axis=-1) for k in range(3)])


def survey(
    family: Family, norm: Normalization, games: int, seed: int = 0, steps: int = 40
) -> dict[str, tuple[int, int]]:
    """Sort random games of three outcomes with min rm = 0 by the condition they meet.

    Returns, for each class, the number of games and in how many the grid of all reports, or the
    deviation of `pair`, gains above rounding.
    """
    rng, counts = np.random.default_rng(seed), dict[str, tuple[int, int]]()
    grid = all_reports(norm, steps)
    for _ in range(games):
        own = np.array([1.0, rng.random() * rng.integers(2), 0.0])
        if rng.random() < 0.2:
            own[1] = 1.0
        rewards = normalize(np.stack([own, rng.random(3)]), norm)
        reference, sizes = rng.dirichlet(np.ones(3)), rng.integers(1, 11, 2).astype(float)
        game = RLHFGame(rewards, sizes, reference, family(10 ** rng.uniform(-0.5, 1.5)), norm)
        a, rank = weights(game, np.asarray(sw_max(game))), np.zeros(3)
        most = gains(game, game.with_report(0, grid), 0).max()
        cases = [(case_1, "case 1")] if norm == "maximum" else [
            (case_2, "case 2"), (case_3, "case 3"), (pair, "none, but a t differs"),
        ]  # fmt: skip
        met = [name for case, name in cases if case(game, 0, a, rank).applies]
        if norm == "summation":
            move = pair(game, 0, a, rank)
            if move.applies:
                report = reports(game, move, 0, epsilons(game, move, 0))
                most = max(most, gains(game, report, 0).max())
        name = met[0] if met else "nothing left to claim"
        total, gained = counts.get(name, (0, 0))
        counts[name] = (total + 1, gained + int(most > 2 * gain_error(game, 0)))
    return dict(sorted(counts.items()))
