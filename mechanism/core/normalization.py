"""The reward domain R: non-negative rewards whose sum (summation) or maximum (maximum) is 1.

Source: Section 2, arXiv:2405.16276v4. Min-max normalisation is Section 6's, over candidates.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import (
    Floats,
    InvalidInputError,
    RewardDomainError,
    ShapeError,
    as_floats,
    require,
)

Normalization = Literal["summation", "maximum"]
Scaling = Literal["summation", "maximum", "min-max"]
TOLERANCE = 1e-9  # how far a sum or maximum may be from 1


def normalize(rewards: ArrayLike, how: Scaling) -> Floats:
    """Bring raw rewards into a domain, along the last axis.

    "summation": r / sum r; "maximum": r / max r; "min-max": (r - min r) / (max r - min r).
    The first two shift a reward model with a negative entry to least value 0 first, since the
    domain asks for r >= 0.

    Parameters
    ----------
    rewards : array_like, shape (..., m)
        Finite raw rewards.
    how : {"summation", "maximum", "min-max"}
        The domain.

    Raises
    ------
    InvalidInputError
        Unknown `how`, non-finite rewards, or a reward model that nothing can scale (all zero, or
        constant under "min-max" or after the shift).

    Examples
    --------
    >>> normalize([1.0, 3.0], "summation")
    array([0.25, 0.75])
    """
    if how not in get_args(Scaling):
        raise InvalidInputError("how", repr(how), f"must be one of {get_args(Scaling)}", "name one")
    values = as_floats("rewards", rewards)
    if values.ndim == 0 or values.shape[-1] == 0:
        fix = "pass at least one outcome on the last axis"
        raise ShapeError("rewards", f"array of shape {values.shape}", "must hold outcomes", fix)
    require(np.isfinite(values), "rewards", values, "must be finite", "drop or mend this outcome")
    least = values.min(axis=-1, keepdims=True)
    values = values - (least if how == "min-max" else np.minimum(least, 0.0))
    peak = values.max(axis=-1, keepdims=True)
    fix = "a group that is indifferent has reward 1/m (summation) or 1 (maximum) everywhere"
    require(peak[..., 0] > 0, "rewards", peak[..., 0], "all equal: nothing to scale", fix)
    values = values / peak
    return values / values.sum(axis=-1, keepdims=True) if how == "summation" else values


def check_rewards(rewards: Floats, normalization: Normalization | None) -> None:
    """Raise `RewardDomainError` where rewards (..., n, m) are outside the named domain.

    >>> check_rewards(np.array([[0.5, 0.5]]), "summation")
    """
    require(np.isfinite(rewards), "rewards", rewards, "must be finite", "drop or mend this outcome")
    if normalization is None:
        return
    if normalization not in get_args(Normalization):
        rule = f"must be one of {get_args(Normalization)} or None"
        raise InvalidInputError("normalization", repr(normalization), rule, "name one")
    fix = f'use normalize(rewards, "{normalization}"), or normalization=None for any reals'
    rule = f"must be >= 0 under {normalization} normalisation"
    require(rewards >= 0, "rewards", rewards, rule, fix, RewardDomainError)
    total = rewards.sum(axis=-1) if normalization == "summation" else rewards.max(axis=-1)
    name = "sum of rewards" if normalization == "summation" else "maximum of rewards"
    require(np.abs(total - 1) <= TOLERANCE, name, total, "must be 1", fix, RewardDomainError)
