"""What a price is made of, and what both forms of it need."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame

ROUNDING = 1e-14
TIE = 1e-9  # of the welfare's scale: closer than this, two candidates tie


@dataclass(frozen=True)
class GroupPrice:
    """What one group gets and pays.

    Attributes
    ----------
    size : float
        w_i.
    valuation : float
        v_i of one member, normalised.
    payment : float
    payment_low, payment_high : float or None
        Ends of the interval; None where the table has no prompts.
    utility : float
        w_i v_i less the payment.
    pivotal : bool
        Whether the outcome would be another without the group; the payment says by how much.
    without : str or None
        The candidate that would be chosen without the group.
    """

    size: float
    valuation: float
    payment: float
    payment_low: float | None
    payment_high: float | None
    utility: float
    pivotal: bool
    without: str | None


@dataclass(frozen=True)
class Price:
    """What the mechanism does on a table.

    Attributes
    ----------
    chosen : str or None
        The chosen candidate; None where samples are reweighted.
    welfare : float
        ASW of the outcome.
    groups : dict of str to GroupPrice
    warnings : tuple of str
        What may make the numbers misleading.
    notes : tuple of str
        What was left out, dropped or assumed.
    other_probability : float or None
        Share of bootstrap replicates in which another candidate is chosen.
    runner_up : str or None
        The second-best candidate.
    margin : float or None
        How much welfare the second-best falls short.
    candidates, prompts, samples : int or None
        Size of the table.
    effective_samples : dict or None
        Samples: median and least of the effective number a prompt.
    format, normalization : str
    lam : float or None
    replicates, seed : int
    level : float
    """

    chosen: str | None
    welfare: float
    groups: dict[str, GroupPrice]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    other_probability: float | None
    runner_up: str | None
    margin: float | None
    candidates: int | None
    prompts: int
    samples: int | None
    effective_samples: dict[str, float] | None
    format: str
    normalization: str
    lam: float | None
    replicates: int
    seed: int
    level: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in the order of the fields."""
        return asdict(self)


def settled(payments: Floats, scores: Floats) -> Floats:
    """Payments that are 0 but for rounding, as 0."""
    return np.where(np.abs(payments) <= ROUNDING * np.abs(scores).max(initial=0.0), 0.0, payments)


def others_scores(game: CandidateGame) -> Floats:
    """ASW_-i of every candidate, shape (n, k): summed without group i, nothing cancels."""
    total = leave_one_out_scores(game.sizes, game.values)
    return total if game.divergences is None else total - game.divergences


def check_finite(scores: Floats) -> None:
    """Raise where rewards times sizes overflow."""
    if not np.isfinite(scores).all():
        rule = "rewards times sizes are too large for floating-point numbers"
        raise InvalidInputError("welfare", "infinite", rule, "rescale rewards or sizes")
