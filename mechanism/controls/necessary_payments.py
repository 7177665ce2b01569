"""Controls of thm-4.11-lower, thm-4.11-upper, cor-4.13 and the room."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game
from mechanism.controls.planted import faulty_payments
from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.efficient_payments import checkpoint_payments, early_stopped_payments
from mechanism.theorems.necessary_payments import (
    check_cor_4_13,
    check_room,
    check_thm_4_11_lower,
    check_thm_4_11_upper,
    computed_room,
    room,
    truthful_utility,
    witness_inputs,
)

Control = Callable[[int, int], ClaimResult]


def priced(factor: float, fee: float = 0.0) -> Mechanism:
    """SW-Max with factor x affine maximizer payments + fee."""

    def payments(game: Game) -> Floats:
        return np.asarray(factor * affine_maximizer_payments(game) + fee)

    return Mechanism(sw_max, payments)


def wider_inputs(epsilon: float, divergence: Divergence, groups: int) -> RLHFGame:
    """The witness with q(x1) 1 % above eps."""
    return witness_inputs(min(1.01 * epsilon, 0.999), divergence, groups)


def agreeing_inputs(epsilon: float, divergence: Divergence, groups: int) -> RLHFGame:
    """The witness with all others wanting what group 1 wants."""
    game = witness_inputs(epsilon, divergence, groups)
    rewards = np.tile([1.0, 0.0], (groups, 1))
    return RLHFGame(rewards, game.sizes, game.reference, divergence, "maximum")


def larger_inputs(epsilon: float, divergence: Divergence, groups: int) -> RLHFGame:
    """The witness with size 2 as the least size of group 1."""
    return witness_inputs(epsilon, divergence, groups).with_report(0, size=2.0)


def room_from_two(game: RLHFGame, i: int, steps: int) -> float:
    """The room if the least size were 2."""
    return room(game, i, smallest=2.0, steps=steps)


def room_at_the_favourite(game: RLHFGame, i: int, steps: int) -> float:
    """Utility of the type that wants the group's own favourite alone."""
    wish = np.eye(game.outcomes)[game.rewards[i].argmax()]
    return float(truthful_utility(game.with_report(i, wish, 1.0), i))


CONTROLS: dict[str, dict[str, Control]] = {
    "thm-4.11-lower": {
        **faulty_payments(check_thm_4_11_lower),
        "payments 1 % low": lambda budget, seed: check_thm_4_11_lower(
            priced(0.99), budget=budget, seed=seed
        ),
        "tiny subsidy": lambda budget, seed: check_thm_4_11_lower(
            priced(1.0, -1e-6), budget=budget, seed=seed
        ),
        "Heuristic 1, not DSIC": lambda budget, seed: check_thm_4_11_lower(
            Mechanism(sw_max, checkpoint_payments), budget=budget, seed=seed
        ),
        "Heuristic 2, negative payments": lambda budget, seed: check_thm_4_11_lower(
            Mechanism(sw_max, early_stopped_payments), budget=budget, seed=seed
        ),
        "no constant report": lambda budget, seed: check_thm_4_11_lower(
            budget=budget, seed=seed, constant_report=False
        ),
    },
    "thm-4.11-upper": {
        "fee of 0.01, not IR": lambda budget, seed: check_thm_4_11_upper(
            priced(1.0, 0.01), budget=budget, seed=seed
        ),
        "payments 1 % high": lambda budget, seed: check_thm_4_11_upper(
            priced(1.01), budget=budget, seed=seed
        ),
        "q(x1) 1 % above eps": lambda budget, seed: check_thm_4_11_upper(
            budget=budget, seed=seed, inputs=wider_inputs
        ),
        "least size 2": lambda budget, seed: check_thm_4_11_upper(
            budget=budget, seed=seed, inputs=larger_inputs
        ),
        "one group alone": lambda budget, seed: check_thm_4_11_upper(
            budget=budget, seed=seed, groups=(1, 1)
        ),
    },
    "cor-4.13": {
        "fee of 0.01, not IR": lambda budget, seed: check_cor_4_13(
            priced(1.0, 0.01), budget=budget, seed=seed
        ),
        "payments 1 % low": lambda budget, seed: check_cor_4_13(
            priced(0.99), budget=budget, seed=seed
        ),
        "q(x1) 1 % above eps": lambda budget, seed: check_cor_4_13(
            budget=budget, seed=seed, inputs=wider_inputs
        ),
        "others agree": lambda budget, seed: check_cor_4_13(
            budget=budget, seed=seed, inputs=agreeing_inputs
        ),
    },
    "room": {
        "room 1 % wider": lambda budget, seed: check_room(
            lambda *given: 1.01 * computed_room(*given), budget, seed
        ),
        "room 1 % narrower": lambda budget, seed: check_room(
            lambda *given: 0.99 * computed_room(*given), budget, seed
        ),
        "least size 2": lambda budget, seed: check_room(room_from_two, budget, seed),
        "the favourite of the group itself": lambda budget, seed: check_room(
            room_at_the_favourite, budget, seed
        ),
    },
}
