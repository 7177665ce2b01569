"""All payment estimates that a recorded run allows, side by side: nothing exact is known here.

The rewards of the initial model's completions and those of the candidates must be normalised in the
same way, and belong to the same prompts.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import InvalidInputError, as_floats
from mechanism.payments.estimates import (
    CORRECTIONS,
    PaymentEstimate,
    from_released,
    log_partition,
)
from mechanism.payments.models import heuristic_1, leave_one_out, welfare_table


def trained_estimates(
    values: ArrayLike, kl: ArrayLike, rewards: ArrayLike, sizes: ArrayLike, lam: float,
    taken: ArrayLike | None = None, log_ratio: ArrayLike | None = None,
    without: dict[int, int] | None = None,
) -> tuple[PaymentEstimate, ...]:  # fmt: skip
    """Prices of the released soup, which is the best candidate on average.

    - "best candidate": pivot from the same candidate set (Heuristic 1 with soups as checkpoints,
      and the payment of the paper's own experiment), never negative;
    - "log-partition, pivot only", plain and corrected: pivot over *all* models, by samples of the
      initial one. It is at least the candidates' pivot, but for noise, so that the restriction to
      soups, which costs welfare, is charged to every group;
    - "released model" where its own completions are given, with the same pivot;
    - "leave-one-out" where a candidate was trained without each group.

    The first three know only means of the candidates' completions, so their `standard_error` is
    nan; `prompt_error` holds all noise.

    Parameters
    ----------
    values : array_like, shape (n, k, P)
    kl : array_like, shape (k, P)
        Nats.
    rewards : array_like, shape (P, n, K)
        Of the initial model's completions.
    sizes : array_like, shape (n,)
    lam : float
    taken : array_like, shape (P, n, K'), optional
        Rewards of the released candidate's completions (`released_candidate`).
    log_ratio : array_like, shape (P, K'), optional
        log(p/q) of these, nats; needed with `taken`, since a trained model is not optimal.
    without : dict, optional
        Group to candidate that was trained without it, one for each group.

    Raises
    ------
    InvalidInputError
        `taken` without `log_ratio`; arrays that do not match.
    """
    welfare = welfare_table(values, kl, sizes, lam)
    chosen = released_candidate(values, kl, sizes, lam)
    found = [replace(heuristic_1(welfare, chosen), method="best candidate")]
    for correction in CORRECTIONS[::2]:
        found.append(log_partition(rewards, sizes, lam, correction, released=welfare[chosen]))
    # the soups' own few completions are most of the noise, and their means do not tell it
    found = [replace(e, standard_error=np.full_like(e.standard_error, np.nan)) for e in found]
    if taken is not None:
        if log_ratio is None:
            fix = "pass log_prob - log_prob_initial"
            raise InvalidInputError("log_ratio", None, "needed with taken", fix)
        for correction in CORRECTIONS[::2]:
            found.append(from_released(taken, sizes, lam, correction, log_ratio))
    if without is not None:
        pivots = [without[i] for i in range(welfare.shape[-1])]
        found.append(leave_one_out(welfare, chosen, pivots))
    return tuple(found)


def released_candidate(values: ArrayLike, kl: ArrayLike, sizes: ArrayLike, lam: float) -> int:
    """Candidate with the greatest mean ASW, from values (n, k, P) and KL (k, P).

    >>> released_candidate([[[1.0], [0.0]], [[0.0], [1.0]]], [[0.0], [0.0]], [1, 2], 0.5)
    1
    """
    w, rows = as_floats("sizes", sizes), as_floats("values", values)
    scores = np.einsum("n,nkp->k", w, rows) - lam * as_floats("kl", kl).sum(axis=-1)
    return int(scores.argmax())
