"""Payments by retraining, from samples: what the paper asks for, beside estimates that train less.

The released model is the one that was trained for the sum of all groups, and every pivot is that of
the others: of the model trained without the group; of all models, by the log-partition function;
of the best model that was trained anyway. All price the same released model.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.payments.estimates import PaymentEstimate, from_released, log_partition
from mechanism.payments.models import heuristic_1, leave_one_out
from mechanism.tables.candidates import SIZE_SCALE, SOUP, standard_error
from mechanism.tables.misreports import Drawn, drawn, error_of
from mechanism.tables.support import from_table
from mechanism.tables.trained import sw_max_model, without

RETRAINING = "retraining"
GROUPS = 2


def models(sizes: Sequence[float]) -> tuple[str, ...]:
    """Return the models that payments by retraining need: the released one, then the pivots."""
    return sw_max_model(sizes), *(without(sizes, i) for i in range(GROUPS))


def available(samples: pd.DataFrame, sizes: Sequence[float]) -> bool:
    """Whether a sample table has all of these."""
    return set(models(sizes)) <= set(samples["candidate"])


def retraining_estimates(
    samples: pd.DataFrame, rewards: Sequence[str], sizes: Sequence[float], lam: float,
    fixed_prompts: bool = False,
) -> tuple[PaymentEstimate, ...]:  # fmt: skip
    """Payments of the trained SW-Max model, in every way that a sample table allows.

    - "retraining": pivots from the models that were trained without a group;
    - "log-partition, pivot only, jackknife": pivots over all models, from the initial one's
      samples. It lies above retraining by what a left-out training falls short of its optimum;
    - "released model, jackknife": from the released model's completions alone;
    - "best candidate": pivots from the soups and the models at hand, Heuristic 1.

    Parameters
    ----------
    samples : DataFrame
        As in `candidates.check_table`; see `available`.
    rewards : sequence of str
        Raw, in [0, 1].
    sizes : sequence of float
        The groups' sizes.
    lam : float
        Weight of the divergence.
    fixed_prompts : bool
        Whether there are no other prompts, so that the noise is that of the samples alone.

    Returns
    -------
    tuple of PaymentEstimate
        `standard_error` holds the noise of samples, of the released model's and the pivot's.
    """
    weights = SIZE_SCALE * np.asarray(sizes, dtype=float)
    there = samples["candidate"].unique()
    mixed = [name for name in there if name.startswith(SOUP)]
    found = drawn(samples, [*models(sizes), *mixed], rewards)
    welfare = _others(found, weights, lam)  # (n, k, P, S)
    means = welfare.mean(axis=-1).transpose(1, 2, 0)
    known = means[0]
    retrained = leave_one_out(means, 0, list(range(1, GROUPS + 1)), method=RETRAINING)
    noise = [error_of(welfare[i, i + 1] - welfare[i, 0], True) for i in range(GROUPS)]
    first = replace(retrained, standard_error=np.array(noise), samples=found.log_ratio.shape[-1])
    own = np.array([error_of(welfare[i, 0], True) for i in range(GROUPS)])
    support = from_table(samples, rewards, scale=(np.zeros(GROUPS), np.ones(GROUPS)))
    pivot = log_partition(support.values, weights, lam, "jackknife", released=known)
    pivot = replace(pivot, standard_error=np.hypot(pivot.standard_error, own))
    taken = np.moveaxis(found.rewards[:, 0], 0, 1)
    alone = from_released(taken, weights, lam, "jackknife", found.log_ratio[0])
    best = replace(heuristic_1(means, 0), method="best candidate")
    best = replace(best, standard_error=np.full(GROUPS, np.nan))
    return first, pivot, alone, best


def _others(found: Drawn, weights: Floats, lam: float) -> Floats:
    """ASW_-i of every sample, shape (n, k, P, S)."""
    kept = np.where(np.eye(GROUPS, dtype=bool), 0.0, weights)
    return np.stack([found.welfare(others, lam) for others in kept])


def agreement(
    samples: pd.DataFrame, rewards: Sequence[str], sizes: Sequence[float], lam: float
) -> pd.DataFrame:
    """Compare payments by retraining with the log-partition pivot, group by group.

    The difference is what the model trained without the group falls short of the optimum of its
    own objective: algebra, once the released model's part cancels. So it measures that training.

    Returns
    -------
    DataFrame
        `group`, the two payments, `shortfall` (pivot only less retraining), each with its error
        over prompts, and `in errors`, the shortfall over its error.
    """
    first, pivot, *_ = retraining_estimates(samples, rewards, sizes, lam)
    apart = pivot.per_prompt - first.per_prompt
    parts = {RETRAINING: first.per_prompt, "pivot only": pivot.per_prompt, "shortfall": apart}
    columns: dict[str, object] = {"group": list(rewards)}
    for name, part in parts.items():
        columns |= {name: part.mean(axis=0), f"{name}, error": standard_error(part.T)}
    table = pd.DataFrame(columns)
    return table.assign(**{"in errors": table["shortfall"] / table["shortfall, error"]})
