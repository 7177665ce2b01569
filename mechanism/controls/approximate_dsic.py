"""Controls of lemma-D.1, lemma-D.2 and thm-4.12: each breaks a bound, a hypothesis or a rule."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game
from mechanism.controls.planted import faulty_payments
from mechanism.core.divergences import KL, Alpha, ChiSquared, Divergence
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.approximate_dsic import (
    check_lemma_d_2,
    check_sharp_noise,
    check_thm_4_12,
    sharp_loss,
    two_outcome_loss,
)
from mechanism.theorems.rlhf_game import check_lemma_d_1, largest_difference

Control = Callable[[int, int], ClaimResult]


def one_percent_less(size: Floats, epsilon: Floats) -> Floats:
    """The paper's bound with the constant 1.98."""
    return np.asarray(1.98 * size * epsilon)


def payments_one_percent_low(game: Game) -> Floats:
    """Affine maximizer payments times 0.99."""
    return np.asarray(0.99 * affine_maximizer_payments(game))


def payments_without_divergence(game: RLHFGame) -> Floats:
    """Affine maximizer payments with D_f left out of what the others get."""
    change = game.divergence_cost(sw_max(game))
    return np.asarray(affine_maximizer_payments(game) - change[..., None])


def second_best(game: RLHFGame) -> Floats:
    """A rule that trains on half the rewards: no maximiser of ASW."""
    halved = RLHFGame(0.5 * game.rewards, game.sizes, game.reference, game.divergence)
    return np.asarray(sw_max(halved))


def best_outcome_only(game: RLHFGame) -> Floats:
    """A rule blind to the divergence: half the mass on the outcome of most total reward."""
    best = game.scores().argmax(axis=-1)
    return np.asarray(0.5 * game.reference + 0.5 * (np.arange(game.outcomes) == best))


def of_two_outcomes(divergence: Divergence, spread: Floats) -> Floats:
    """What games with two outcomes can lose, for every divergence with a formula for it."""
    known = not isinstance(divergence, Alpha)
    return (two_outcome_loss if known else sharp_loss)(divergence, spread)


def kl_as_chi_squared(divergence: Divergence, spread: Floats) -> Floats:
    """Chi-squared's bound for KL."""
    read = ChiSquared(divergence.lam) if isinstance(divergence, KL) else divergence
    return sharp_loss(read, spread)


CONTROLS: dict[str, dict[str, Control]] = {
    "lemma-D.1": {
        "bound 1 % lower": lambda budget, seed: check_lemma_d_1(
            lambda d: 0.99 * largest_difference(d), budget, seed
        ),
        "mean instead of maximum": lambda budget, seed: check_lemma_d_1(
            lambda d: np.asarray(np.abs(d).mean(axis=-1)), budget, seed
        ),
    },
    "lemma-D.2": {
        "constant 1.98": lambda budget, seed: check_lemma_d_2(
            one_percent_less, budget=budget, seed=seed
        ),
        "noise 1 % above eps": lambda budget, seed: check_lemma_d_2(
            excess=1.01, budget=budget, seed=seed
        ),
        "one group forgotten": lambda budget, seed: check_lemma_d_2(
            lambda size, epsilon: 2.0 * (size - 1.0) * epsilon, budget=budget, seed=seed
        ),
        "rule blind to the divergence": lambda budget, seed: check_lemma_d_2(
            budget=budget, seed=seed, training_rule=best_outcome_only
        ),
    },
    "thm-4.12": {
        **faulty_payments(check_thm_4_12),
        "constant 1.98": lambda budget, seed: check_thm_4_12(
            budget=budget, seed=seed, bound=one_percent_less
        ),
        "noise 1 % above eps": lambda budget, seed: check_thm_4_12(
            budget=budget, seed=seed, excess=1.01
        ),
        "others' noise follows the report": lambda budget, seed: check_thm_4_12(
            budget=budget, seed=seed, dependent=True
        ),
        "payments 1 % low": lambda budget, seed: check_thm_4_12(
            Mechanism(sw_max, payments_one_percent_low), budget=budget, seed=seed
        ),
        "payments 1 % low, candidates": lambda budget, seed: check_thm_4_12(
            Mechanism(sw_max, payments_one_percent_low), "candidate", budget, seed
        ),
        "divergence left out": lambda budget, seed: check_thm_4_12(
            Mechanism(sw_max, payments_without_divergence), budget=budget, seed=seed
        ),
        "rule not optimal": lambda budget, seed: check_thm_4_12(
            Mechanism(second_best, affine_maximizer_payments), budget=budget, seed=seed
        ),
    },
    "sharp-noise": {
        "bound 1 % lower": lambda budget, seed: check_sharp_noise(
            lambda d, spread: np.asarray(0.99 * sharp_loss(d, spread)), budget, seed
        ),
        "bound 5 % higher": lambda budget, seed: check_sharp_noise(
            lambda d, spread: np.asarray(1.05 * sharp_loss(d, spread)), budget, seed
        ),
        "two outcomes alone": lambda budget, seed: check_sharp_noise(of_two_outcomes, budget, seed),
        "KL read as chi-squared": lambda budget, seed: check_sharp_noise(
            kl_as_chi_squared, budget, seed
        ),
    },
}
