"""Controls of def-3.2, def-3.3, prop-4.4 and identity-area: broken mechanisms."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult, scale
from mechanism.attack.games import Game
from mechanism.attack.reports import zero_payments
from mechanism.controls.planted import faulty_payments, planted
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.sw_max import sw_max
from mechanism.theorems.affine_maximizer import (
    check_dsic,
    check_identity_area,
    check_ir,
    check_prop_4_4,
)

Control = Callable[[int, int], ClaimResult]


def paying(factor: float) -> Mechanism:
    """SW-Max with affine maximizer payments times a factor."""
    return Mechanism(sw_max, lambda game: factor * affine_maximizer_payments(game))


def without_divergence(game: Game) -> Floats:
    """Leave the divergence out of what the others get."""
    return np.asarray(affine_maximizer_payments(game) - game.divergence_cost(sw_max(game)))


def blind_to_size(game: Game) -> Floats:
    """Charge everyone as a group of size 1: right for rewards, wrong for sizes."""
    payments = [
        affine_maximizer_payments(game.with_report(i, size=1.0))[i] for i in range(game.groups)
    ]
    return np.array(payments)


def square_root_sizes(game: Game) -> object:
    """Train for the square roots of the sizes, while the payments count members."""
    for i in range(game.groups):
        game = game.with_report(i, size=np.sqrt(game.sizes[i]))
    return sw_max(game)


def entry_fee(game: Game) -> Floats:
    """Charge a fee that no report changes: it breaks individual rationality alone."""
    return np.asarray(affine_maximizer_payments(game) + 0.01 * game.groups)


def subsidy(game: Game) -> Floats:
    """Give everyone the same amount: honest and voluntary, yet some payments are negative."""
    return np.asarray(affine_maximizer_payments(game) - 0.01 * game.groups)


def fee_near_rounding(game: Game) -> Floats:
    """A fee of 3e-11 of the game's scale on the spread of the own scores."""
    fee = 3e-11 * scale(game) * np.ptp(game.scores()) / np.abs(game.scores()).max()
    return np.asarray(affine_maximizer_payments(game) + fee)


def one_percent_on_the_largest(game: Game) -> Floats:
    """Payments 1 % too high, on the games with the largest payments only."""
    payments = affine_maximizer_payments(game)
    spread = np.abs(game.scores()).max()
    return np.asarray(payments * np.where(payments.max() > 0.3 * spread, 1.01, 1.0))


def _of(check: Callable[..., ClaimResult], mechanism: Mechanism, games: str = "rlhf") -> Control:
    return lambda budget, seed: check(mechanism, games, budget, seed)


NO_PAYMENTS = Mechanism(sw_max, zero_payments)
CONTROLS: dict[str, dict[str, Control]] = {
    "def-3.2": {
        "no payments": _of(check_dsic, NO_PAYMENTS),
        **planted(check_dsic),
        **faulty_payments(check_dsic),
        "payments halved": _of(check_dsic, paying(0.5)),
        "payments 1 % too high": _of(check_dsic, paying(1.01)),
        "payments 1 % too high, candidates": _of(check_dsic, paying(1.01), "candidate"),
        "1 % on the largest payments": _of(
            check_dsic, Mechanism(sw_max, one_percent_on_the_largest)
        ),
        "fee near rounding": _of(check_dsic, Mechanism(sw_max, fee_near_rounding)),
        "divergence left out": _of(check_dsic, Mechanism(sw_max, without_divergence)),
        "blind to sizes": _of(check_dsic, Mechanism(sw_max, blind_to_size)),
        "square roots of sizes": _of(
            check_dsic, Mechanism(square_root_sizes, affine_maximizer_payments)
        ),
    },
    "def-3.3": {
        **faulty_payments(check_ir),
        "entry fee": _of(check_ir, Mechanism(sw_max, entry_fee)),
        "payments doubled": _of(check_ir, paying(2.0)),
    },
    "prop-4.4": {
        **planted(check_prop_4_4),
        **faulty_payments(check_prop_4_4),
        "payments 1 % too low": _of(check_prop_4_4, paying(0.99)),
        "subsidy": _of(check_prop_4_4, Mechanism(sw_max, subsidy)),
        "entry fee": _of(check_prop_4_4, Mechanism(sw_max, entry_fee)),
        "divergence left out": _of(check_prop_4_4, Mechanism(sw_max, without_divergence)),
    },
    "identity-area": {
        "payments 1 % too high": _of(check_identity_area, paying(1.01)),
        "blind to sizes": _of(check_identity_area, Mechanism(sw_max, blind_to_size)),
        "entry fee, candidates": _of(
            check_identity_area, Mechanism(sw_max, entry_fee), "candidate"
        ),
    },
}
