"""Controls of heuristic-1 and heuristic-2: each breaks one condition that the chapter names."""

from collections.abc import Callable
from functools import partial

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game
from mechanism.controls.planted import faulty_payments
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.theorems.efficient_payments import (
    check_heuristic_1,
    check_heuristic_2,
    checkpoint_payments,
    early_stopped_payments,
    heuristic_mechanism,
    peeking_payments,
)

Control = Callable[[int, int], ClaimResult]


def overshooting() -> Mechanism:
    """Heuristic 1 where training overshoots by half and an earlier checkpoint is better."""
    rule = partial(checkpoint_payments, shares=(0.5, 1.0), final=1.5)
    return heuristic_mechanism(rule, 1.5)


def undertrained() -> Mechanism:
    """Heuristic 2 with a released model at 90 % of the way: the rule is no maximiser."""
    return heuristic_mechanism(partial(early_stopped_payments, final=0.9), 0.9)


def rebated(game: Game) -> Floats:
    """Heuristic 1 with 1 % of the exact payment handed back."""
    return np.asarray(checkpoint_payments(game) - 0.01 * affine_maximizer_payments(game))


def dearer(game: Game) -> Floats:
    """Heuristic 2 with 1 % of the exact payment on top."""
    return np.asarray(early_stopped_payments(game) + 0.01 * affine_maximizer_payments(game))


CONTROLS: dict[str, dict[str, Control]] = {
    "heuristic-1": {
        **faulty_payments(check_heuristic_1),
        "final model is no checkpoint": lambda budget, seed: check_heuristic_1(
            heuristic_mechanism(partial(checkpoint_payments, keep_final=False)),
            budget=budget, seed=seed,
        ),
        "training overshoots": lambda budget, seed: check_heuristic_1(
            overshooting(), budget=budget, seed=seed
        ),
        "1 % handed back": lambda budget, seed: check_heuristic_1(
            heuristic_mechanism(rebated), budget=budget, seed=seed
        ),
        "overshoot, candidates": lambda budget, seed: check_heuristic_1(
            overshooting(), "candidate", budget, seed
        ),
    },
    "heuristic-2": {
        **faulty_payments(check_heuristic_2),
        "stopping looks at the released model": lambda budget, seed: check_heuristic_2(
            heuristic_mechanism(peeking_payments), budget=budget, seed=seed
        ),
        "pivot from own training": lambda budget, seed: check_heuristic_2(
            heuristic_mechanism(checkpoint_payments), budget=budget, seed=seed
        ),
        "released model not optimal": lambda budget, seed: check_heuristic_2(
            undertrained(), budget=budget, seed=seed
        ),
        "1 % on top": lambda budget, seed: check_heuristic_2(
            heuristic_mechanism(dearer), budget=budget, seed=seed
        ),
    },
}  # fmt: skip
