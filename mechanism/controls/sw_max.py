"""Controls of def-4.1: training rules that are not the maximiser."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.sw_max import check_optimality

Control = Callable[[int, int], ClaimResult]


def without_divergence(game: RLHFGame) -> Floats:
    """All mass on the best outcome."""
    best = game.scores().argmax(axis=-1)
    return np.asarray(np.arange(game.outcomes) == best, dtype=np.float64)


def other_strength(game: RLHFGame) -> Floats:
    """A divergence that is 1 % too strong."""
    return np.asarray(sw_max(replace(game, sizes=game.sizes / 1.01)))


def sizes_ignored(game: RLHFGame) -> Floats:
    """Every group counts as one member."""
    return np.asarray(sw_max(replace(game, sizes=np.ones(game.groups))))


def undertrained(game: RLHFGame) -> Floats:
    """A thousandth of the initial model is left in."""
    return np.asarray(0.999 * sw_max(game) + 0.001 * game.reference)


RULES = {
    "divergence left out": without_divergence,
    "divergence 1 % too strong": other_strength,
    "sizes ignored": sizes_ignored,
    "0.1 % of the initial model": undertrained,
}
CONTROLS: dict[str, dict[str, Control]] = {
    "def-4.1": {
        name: lambda budget, seed, rule=rule: check_optimality(rule, budget, seed)  # type: ignore[misc]
        for name, rule in RULES.items()
    }
}
