"""Controls of thm-4.2-1 and thm-4.2-2: rules for which the statements fail."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.misreport import check_part_1, check_part_2

Control = Callable[[int, int], ClaimResult]


def initial_model(game: RLHFGame) -> Floats:
    """Ignore every report."""
    return game.reference


def coarse(game: RLHFGame) -> Floats:
    """Round scores to a tenth of the greatest before training: deaf to small changes."""
    scores = game.scores()
    step = 0.1 * np.abs(scores).max()
    rounded = np.round(scores / step) * step
    deaf = RLHFGame(rounded[None], np.ones(1), game.reference, game.divergence)
    return np.asarray(sw_max(deaf))


def contrary(game: RLHFGame) -> Floats:
    """Train for the least welfare."""
    negated = RLHFGame(-game.rewards, game.sizes, game.reference, game.divergence)
    return np.asarray(sw_max(negated))


def leaking(game: RLHFGame) -> Floats:
    """Return a model whose mass falls short by a share that depends on the first report."""
    return np.asarray(sw_max(game) * (1.0 - 1e-6 * game.rewards[0, 0]))


def inflating(game: RLHFGame) -> Floats:
    """Return a model whose mass grows by 1 % with the first group's size."""
    return np.asarray(sw_max(game) * (1.0 + 0.01 * game.sizes[0] / game.sizes.sum()))


CONTROLS: dict[str, dict[str, Control]] = {
    "thm-4.2-1": {
        "mass short by a millionth": lambda b, s: check_part_1(leaking, budget=b, seed=s),
        "mass grows by 1 % with size": lambda b, s: check_part_1(inflating, budget=b, seed=s),
    },
    "thm-4.2-2": {
        "initial model whatever is said": lambda b, s: check_part_2(
            initial_model, budget=b, seed=s
        ),
        "scores rounded": lambda b, s: check_part_2(coarse, budget=b, seed=s),
        "least welfare": lambda b, s: check_part_2(contrary, budget=b, seed=s),
        "total variation": lambda b, s: check_part_2(
            families=(TotalVariation,), budget=b, seed=s, interior=False
        ),
    },
}
