"""Estimated payments as rules: what is reported goes in, payments come out, samples are fixed.

The released model is exactly optimal for the report, so that only the payment is estimated.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.payments.estimates import (
    Correction,
    PaymentEstimate,
    from_released,
    log_partition,
)
from mechanism.payments.models import heuristic_1, leave_one_out
from mechanism.payments.study import (
    checkpoint_models,
    draw,
    exact_payments,
    gather,
    sampled_thermodynamic,
    stopped_model,
)
from mechanism.theorems.efficient_payments import SHARES, others_welfare

Rule = Callable[[RLHFGame], Floats]  # reported game -> payments (n,), means over prompts


def sampled_rule(
    index: NDArray[np.intp], correction: Correction = "none", pivot_only: bool = False
) -> Rule:
    """Payments by `log_partition` from completions (..., P, K) of the initial model.

    With `pivot_only` the released model's welfare is exact.
    """

    def rule(game: RLHFGame) -> Floats:
        welfare = others_welfare(game, np.asarray(sw_max(game), float)) if pivot_only else None
        rows = gather(game.rewards, index)
        return _mean(
            log_partition(rows, game.sizes, game.divergence.lam, correction, released=welfare)
        )

    return rule


def released_rule(uniforms: Floats, correction: Correction = "none") -> Rule:
    """Payments by `from_released`; the report moves the model, and with it what is drawn."""

    def rule(game: RLHFGame) -> Floats:
        rows = gather(game.rewards, draw(np.asarray(sw_max(game)), uniforms))
        return _mean(from_released(rows, game.sizes, game.divergence.lam, correction))

    return rule


def heuristic_1_rule(shares: Sequence[float] = SHARES) -> Rule:
    """Heuristic 1: the best checkpoint of everyone's own training, the released model included."""

    def rule(game: RLHFGame) -> Floats:
        welfare = others_welfare(game, checkpoint_models(game, [*shares, 1.0]))
        return heuristic_1(welfare, len(shares)).payment

    return rule


def heuristic_2_rule(share: float = 0.5) -> Rule:
    """Heuristic 2: every leave-one-out training stops at a share that no report can change."""

    def rule(game: RLHFGame) -> Floats:
        early = [stopped_model(game, i, share) for i in range(game.groups)]
        models = np.stack([np.asarray(sw_max(game), float), *early])
        return leave_one_out(
            others_welfare(game, models), 0, range(1, game.groups + 1), method="heuristic 2"
        ).payment

    return rule


def payment_rules(game: RLHFGame, count: int, repeats: int = 1, seed: int = 0) -> dict[str, Rule]:
    """All rules on one draw (`repeats` = 1) or in expectation over many, from `count` completions.

    `half of it` is a control that must be found gainful.
    """
    uniforms = _uniforms(game, count, repeats, seed)
    index = draw(game.reference, uniforms)
    return {
        "leave-one-out": exact_payments,
        "log-partition": sampled_rule(index),
        "log-partition, jackknife": sampled_rule(index, "jackknife"),
        "log-partition, pivot only": sampled_rule(index, pivot_only=True),
        "log-partition, pivot only, jackknife": sampled_rule(index, "jackknife", True),
        "released model": released_rule(uniforms),
        "thermodynamic": lambda g: _mean(sampled_thermodynamic(g, count // 5, uniforms)),
        "heuristic 1": heuristic_1_rule(),
        "heuristic 2": heuristic_2_rule(),
        "half of it (control)": lambda g: exact_payments(g) / 2,
    }


def drawn_outcomes(game: RLHFGame, count: int, seed: int = 0) -> Floats:
    """Indicator (1, P, m) of what `payment_rules` drew, for a group that knows the draw."""
    index = draw(game.reference, _uniforms(game, count, 1, seed))[0]
    seen = np.zeros(game.reference.shape)
    np.put_along_axis(seen, index, 1.0, axis=-1)
    return seen[None]


def _uniforms(game: RLHFGame, count: int, repeats: int, seed: int) -> Floats:
    return np.random.default_rng(seed).random((repeats, len(game.reference), count))


def _mean(estimate: PaymentEstimate) -> Floats:
    payment = estimate.payment
    return np.asarray(payment.reshape(-1, payment.shape[-1]).mean(axis=0))
