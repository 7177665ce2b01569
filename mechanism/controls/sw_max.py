"""Controls of def-4.1 and prop-opt: rules that do not maximise, conditions that are not OPT."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.optimality_condition import check_optimality_condition, opt_violation
from mechanism.theorems.sw_max import check_optimality, stationarity

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


def on_the_support(game: RLHFGame, policy: Floats) -> Floats:
    """The equality alone: outcomes that are dropped may have any slope."""
    with np.errstate(all="ignore"):
        slopes = np.where(policy > 0, stationarity(game, policy), -np.inf)
        missing = np.where(policy > 0, policy * (slopes.max(axis=-1, keepdims=True) - slopes), 0.0)
    return np.asarray(missing.sum(axis=-1))


def half_the_slope(game: RLHFGame, policy: Floats) -> Floats:
    """The condition with half of f'."""
    halved = replace(game, divergence=replace(game.divergence, lam=game.divergence.lam / 2))
    return opt_violation(halved, policy)


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
    },
    "prop-opt": {
        "equality on the support alone": lambda budget, seed: check_optimality_condition(
            budget=budget, seed=seed, violation=on_the_support
        ),
        "half of f'": lambda budget, seed: check_optimality_condition(
            budget=budget, seed=seed, violation=half_the_slope
        ),
        "rule with 0.1 % of the initial model": lambda budget, seed: check_optimality_condition(
            undertrained, budget, seed
        ),
        "rule with a divergence 1 % too strong": lambda budget, seed: check_optimality_condition(
            other_strength, budget, seed
        ),
    },
}
