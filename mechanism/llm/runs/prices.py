"""Payments of a recorded run without further training, and what a group is left with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.llm.runs import exact, outcomes
from mechanism.llm.runs.record import Recorded
from mechanism.payments import models, recorded, retraining
from mechanism.payments.estimates import PaymentEstimate
from mechanism.payments.study import exact_payments, model_estimates
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


def retrained(run: Recorded, sizes: Sequence[float]) -> tuple[PaymentEstimate, ...]:
    """Return payments by retraining and their rivals, where the run has the models; else nothing.

    On the tiny scale beside the exact payments, with two more methods: the same models evaluated
    exactly, which leaves the error of training alone, and the heuristics on optimal models.
    """
    samples, tiny = outcomes.tables(run), run.exact is not None
    if not retraining.available(samples, sizes):
        return ()
    given = samples, run.settings.rewards, sizes, run.settings.lam
    found = retraining.retraining_estimates(*given, fixed_prompts=tiny)
    if run.exact is None:
        return found
    game = exact.exact_games(run.exact, run.settings.rewards, sizes, run.settings.lam)
    others = [one for one in model_estimates(game) if one.method.startswith("heuristic")]
    known = [one.against(exact_payments(game)) for one in found]
    return (known[0], _without_noise(run, sizes).against(exact_payments(game)), *known[1:], *others)


def _without_noise(run: Recorded, sizes: Sequence[float]) -> PaymentEstimate:
    """Payments by retraining from the laws of the trained models."""
    law = exact.exact_candidates(run.exact, run.settings.rewards)
    weights = outcomes.size_weights(sizes)
    table = models.welfare_table(law.rewards, law.kl, weights, run.settings.lam)
    rows = [law.names.index(name) for name in retraining.models(sizes)]
    name = f"{retraining.RETRAINING}, evaluated exactly"
    return models.leave_one_out(table, rows[0], rows[1:], method=name)


def retraining_table(run: Recorded, sizes: Sequence[float]) -> pd.DataFrame:
    """Return `retrained` as a table: a row a method and group, with errors.

    `error` is over samples on the tiny scale, whose prompts are all there are, and over prompts
    elsewhere; `off` is the payment less the exact one, and `in errors` that over the error.
    """
    lines = []
    for one in retrained(run, sizes):
        errors = one.standard_error if run.exact is not None else one.prompt_error
        for i, name in enumerate(run.settings.rewards):
            line = {"group": name, "method": one.method, "trainings": one.trainings}
            line |= {"payment": one.payment[i], "error": errors[i]}
            if one.exact is not None:
                off = float(one.error[i])
                line |= {"exact": one.exact[i], "off": off}
                line["in errors"] = off / errors[i] if errors[i] > 0 else np.nan
            lines.append(line)
    return pd.DataFrame(lines).sort_values("group", kind="stable")
