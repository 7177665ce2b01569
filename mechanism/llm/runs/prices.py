"""Payments of a recorded run without further training, and what a group is left with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.llm.runs import outcomes
from mechanism.llm.runs.record import Recorded
from mechanism.payments import recorded
from mechanism.payments.estimates import PaymentEstimate
from mechanism.tables import support
from mechanism.tables.candidates import standard_error

PIVOT_ONLY = "log-partition, pivot only, jackknife"
TOLD = ("best candidate", PIVOT_ONLY)


def paired_prompts(run: Recorded) -> tuple[Floats, Floats, Floats]:
    """Return rewards (n, k, P) and KL (k, P) of the soups, rewards (P, n, K) of the samples.

    All in raw units, on the prompts that the soups and the initial model's samples share.
    """
    soups = outcomes.soups_of(run)
    samples = support.from_table(run.support, run.settings.rewards, scale=outcomes.RAW)
    shared = min(samples.prompts, soups.prompts)
    return soups.rewards[..., :shared], soups.kl[:, :shared], samples.values[:shared]


def estimates(run: Recorded, sizes: Sequence[float]) -> tuple[PaymentEstimate, ...]:
    """Return every estimate of the payments that the run allows, at these sizes."""
    weights = outcomes.size_weights(sizes)
    return recorded.trained_estimates(*paired_prompts(run), weights, run.settings.lam)


def utilities(run: Recorded, sizes: Sequence[float]) -> pd.DataFrame:
    """Return what the released soup is worth to each group, what it pays, and what is left.

    Returns
    -------
    DataFrame
        `game`, `group`, `method`; `w v`, `payment` and `utility`, their difference; `over initial`,
        the utility less what the initial model is worth free of charge, and `its error` over
        prompts; in units of the training.
    """
    values, kl, samples = paired_prompts(run)
    weights = outcomes.size_weights(sizes)
    chosen = recorded.released_candidate(values, kl, weights, run.settings.lam)
    worth = (weights[:, None] * values[:, chosen]).T
    free = weights * samples.mean(axis=-1)
    lines = []
    for one in estimates(run, sizes):
        if one.method not in TOLD:
            continue
        left = worth - one.per_prompt
        for i, name in enumerate(run.settings.rewards):
            lines.append(
                {
                    "game": run.settings.game, "group": name, "method": one.method,
                    "w v": worth[:, i].mean(), "payment": one.payment[i],
                    "utility": left[:, i].mean(),
                    "over initial": (left - free)[:, i].mean(),
                    "its error": standard_error((left - free)[:, i]),
                }
            )  # fmt: skip
    return pd.DataFrame(lines)


def spans(run: Recorded) -> dict[str, float]:
    """Return the range of each reward over the soups, in raw units."""
    means = outcomes.soups_of(run).rewards.mean(axis=-1)
    return dict(zip(run.settings.rewards, map(float, np.ptp(means, axis=-1)), strict=True))
