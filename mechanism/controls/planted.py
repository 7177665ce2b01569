"""Errors planted in one kind of games only: a checker that never goes there cannot see them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game
from mechanism.core.divergences import KL, TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max

Control = Callable[[int, int], ClaimResult]
Where = Callable[[RLHFGame], bool]


@dataclass(frozen=True)
class FeeWhere:
    """Affine maximizer payments, and a fee on the spread of the own report in some games."""

    where: Where
    fee: float

    def __call__(self, game: Game) -> Floats:
        """Payments with the fee, where it applies."""
        payments = affine_maximizer_payments(game)
        if not (isinstance(game, RLHFGame) and self.where(game)):
            return payments
        fee = self.fee * np.ptp(game.rewards, axis=-1)
        return np.asarray(payments + fee, dtype=np.float64)


PLACES: dict[str, tuple[Where, float]] = {
    "more than 15 outcomes": (lambda game: game.outcomes > 15, 0.1),
    "KL alone": (lambda game: isinstance(game.divergence, KL), 0.01),
    "total variation alone": (lambda game: isinstance(game.divergence, TotalVariation), 0.01),
    "summation alone": (lambda game: game.normalization == "summation", 0.01),
    "lam above 30 alone": (lambda game: game.divergence.lam > 30, 0.01),
    "lam below 0.03 alone": (lambda game: game.divergence.lam < 0.03, 0.01),
    "more than 7 groups": (lambda game: game.groups > 7, 0.01),
}


def planted(check: Callable[..., ClaimResult]) -> dict[str, Control]:
    """One control for each place: a fee on the own report in these games alone."""

    def control(where: Where, fee: float) -> Control:
        mechanism = Mechanism(sw_max, FeeWhere(where, fee))
        return lambda budget, seed: check(mechanism, "rlhf", budget, seed)

    return {f"fee in games: {name}": control(*place) for name, place in PLACES.items()}


def not_a_number(game: Game) -> Floats:
    """Payments that are no number under summation."""
    payments = affine_maximizer_payments(game)
    summation = isinstance(game, RLHFGame) and game.normalization == "summation"
    return np.asarray(np.where(summation, np.nan, payments), dtype=np.float64)


def no_distribution(game: RLHFGame) -> Floats:
    """Twice the mass, in games of more than four outcomes."""
    return np.asarray(sw_max(game), dtype=np.float64) * (2.0 if game.outcomes > 4 else 1.0)


def faulty_payments(check: Callable[..., ClaimResult]) -> dict[str, Control]:
    """Outputs that are no payments, and a model that is none."""
    return {
        "payments not a number under summation": lambda budget, seed: check(
            Mechanism(sw_max, not_a_number), "rlhf", budget, seed
        ),
        "models of mass 2": lambda budget, seed: check(
            Mechanism(no_distribution, affine_maximizer_payments), "rlhf", budget, seed
        ),
    }
