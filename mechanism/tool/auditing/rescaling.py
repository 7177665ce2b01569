r"""The min-max scale as a lever: what a group can do by moving only the ends of its own scale.

Under min-max the provider divides a group's raw rewards by their own range. Raising the raw reward
of the best candidate by any amount presses all other normalised rewards towards 0, lowering that of
the worst presses them towards 1: r -> s r below the top, or 1 - s (1 - r) above the bottom, with
0 < s <= 1. One number in the file moves all of them; nothing else of the report need be touched.
"""

from dataclasses import dataclass

import numpy as np

from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max
from mechanism.tool.tables import CandidateTable

STEPS = 64  # shrinkage factors that are tried, besides the limit


@dataclass(frozen=True)
class ScaleAttack:
    """What moving one end of a group's own scale can do.

    Attributes
    ----------
    top, bottom : str
        The candidates that set the scale: raw best and worst.
    changes : bool
        Whether some move of one end changes the outcome.
    outcome : str or None
        The outcome that such a move brings and the group prefers to that of the truth.
    free_gain : float
        What the group gains by it without payments.
    paid_gain : float
        With payments: never above 0 but for rounding.
    """

    top: str
    bottom: str
    changes: bool
    outcome: str | None
    free_gain: float
    paid_gain: float


def scale_attack(table: CandidateTable, game: CandidateGame, i: int, others: Floats) -> ScaleAttack:
    """Try `STEPS` factors at each end, in one batch."""
    own, size, truth = game.values[i], float(game.sizes[i]), int(sw_max(game))
    top, bottom = int(np.argmax(own)), int(np.argmin(own))
    chosen = np.array([truth])
    for factor in np.geomspace(1.0, 1e-6, STEPS):
        raised, lowered = factor * own, 1 - factor * (1 - own)
        raised[top], lowered[bottom] = 1.0, 0.0
        rows = np.stack([raised, lowered])
        chosen = np.union1d(chosen, (size * rows + others).argmax(axis=-1))
    worth = size * own
    utility = worth + others
    best = int(chosen[np.argmax(worth[chosen])])
    if worth[best] == worth[truth]:
        best = truth
    changed = len(chosen) > 1
    return ScaleAttack(
        table.names[top], table.names[bottom], changed,
        None if best == truth else table.names[best],
        float(worth[best] - worth[truth]), float(utility[chosen].max() - utility[truth]),
    )  # fmt: skip
