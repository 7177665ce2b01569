"""Controls of the statements on coalitions: each breaks what makes them true."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult, scale
from mechanism.attack.games import Game
from mechanism.attack.joint_reports import false_name_payments, names_bound
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.coalitions import check_collusion, check_false_names, check_false_names_rate

Control = Callable[[int, int], ClaimResult]


def entry_fee(game: Game) -> Floats:
    """Payments with a flat fee for every name: splitting costs what it saves, or more."""
    return np.asarray(affine_maximizer_payments(game) + 0.2 * float(scale(game)))


def small_is_dear(game: Game) -> Floats:
    """Payments over the square root of the size: small names pay more for each member."""
    return np.asarray(affine_maximizer_payments(game) / np.sqrt(game.sizes))


def reserve(game: Game) -> Floats:
    """Payments of at least a thousandth of the reward scale: nothing is had for nothing."""
    return np.maximum(affine_maximizer_payments(game), 1e-3 * float(scale(game)))


def subsidy(game: Game) -> Floats:
    """Payments with a tenth of the size handed back to everyone: reports of size earn money."""
    return np.asarray(affine_maximizer_payments(game) - 10.0 * game.sizes)


def dearer(game: RLHFGame, i: int, names: Floats) -> Floats:
    """Payments of false names, a tenth dearer."""
    return np.asarray(1.1 * false_name_payments(game, i, names))


def tighter(game: RLHFGame, i: int, names: Floats) -> Floats:
    """The bound with 9 in place of 8."""
    return np.asarray(8 / 9 * names_bound(game, i, names))


def falling_faster(game: RLHFGame, i: int, names: Floats) -> Floats:
    """A bound that falls like 1 / m^2."""
    return np.asarray(names_bound(game, i, names) / names)


CONTROLS: dict[str, dict[str, Control]] = {
    "false-names": {
        "a fee for every name": lambda budget, seed: check_false_names(
            Mechanism(sw_max, entry_fee), budget=budget, seed=seed
        ),
        "small names pay more a member": lambda budget, seed: check_false_names(
            Mechanism(sw_max, small_is_dear), budget=budget, seed=seed
        ),
        "a fee, candidates": lambda budget, seed: check_false_names(
            Mechanism(sw_max, entry_fee), "candidate", budget, seed
        ),
    },
    "false-names-rate": {
        "payments a tenth dearer": lambda budget, seed: check_false_names_rate(
            dearer, budget=budget, seed=seed
        ),
        "9 in place of 8": lambda budget, seed: check_false_names_rate(
            bound=tighter, budget=budget, seed=seed
        ),
        "a faster rate": lambda budget, seed: check_false_names_rate(
            bound=falling_faster, budget=budget, seed=seed
        ),
    },
    "collusion": {
        "a reserve price": lambda budget, seed: check_collusion(
            Mechanism(sw_max, reserve), budget=budget, seed=seed
        ),
        "a group alone": lambda budget, seed: check_collusion(
            members=1, budget=budget, seed=seed
        ),
        "subsidies": lambda budget, seed: check_collusion(
            Mechanism(sw_max, subsidy), budget=budget, seed=seed
        ),
    },
}  # fmt: skip
