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
    as_numbers,
    require,
)
from mechanism.core.validation import LARGEST, SETTLED, unit_sums

Normalization = Literal["summation", "maximum"]
Scaling = Literal["summation", "maximum", "min-max"]
TOLERANCE = 1e-9  # how far a maximum may be from 1
NOISE = {"float16": 4e-3, "float32": 2e-6}  # spread over magnitude that rounding of means explains
DOUBLE_NOISE = 1e-12


def normalize(rewards: ArrayLike, how: Scaling) -> Floats:
    """Bring raw rewards into a domain, along the last axis.

    "summation": r / sum r; "maximum": r / max r; "min-max": (r - min r) / (max r - min r).
    The first two shift a reward model with a negative entry to least value 0 first, since the
    domain asks for r >= 0. A row is constant where its spread is no more than rounding leaves of
    equal means, 1e-12 of its largest entry (2e-6 of float32, 4e-3 of float16 arrays): such a
    spread is never stretched to a preference.

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
    if not isinstance(how, str) or how not in get_args(Scaling):
        raise InvalidInputError("how", repr(how), f"must be one of {get_args(Scaling)}", "name one")
    given = as_numbers("rewards", rewards)
    noise = NOISE.get(str(given.dtype), DOUBLE_NOISE)
    values = as_floats("rewards", given)
    if values.ndim == 0 or values.shape[-1] == 0:
        fix = "pass at least one outcome on the last axis"
        raise ShapeError("rewards", f"array of shape {values.shape}", "must hold outcomes", fix)
    require(np.isfinite(values), "rewards", values, "must be finite", "drop or mend this outcome")
    size = np.abs(values).max(axis=-1, keepdims=True)
    values = np.where(size > LARGEST, values * 2.0**-64, values)  # or differences may overflow
    least, largest = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    shift = least if how == "min-max" else np.minimum(least, 0.0)
    values = values - shift
    peak = values.max(axis=-1, keepdims=True)
    spread = np.where(shift == 0, peak, peak - noise * np.maximum(np.abs(least), np.abs(largest)))
    fix = (
        "a group that is indifferent has reward 1/m (summation) or 1 (maximum, min-max) everywhere"
    )
    rule = "all equal, up to rounding: nothing to scale"
    require(spread[..., 0] > 0, "rewards", largest[..., 0], rule, fix)
    values = values / peak
    return values / values.sum(axis=-1, keepdims=True) if how == "summation" else values


def check_rewards(rewards: Floats, normalization: Normalization | None) -> Floats:
    """Return rewards (..., n, m) in the named domain, free of float32's rounding, or raise.

    >>> check_rewards(np.array([[0.5, 0.5]]), "summation")
    array([[0.5, 0.5]])
    """
    require(np.isfinite(rewards), "rewards", rewards, "must be finite", "drop or mend this outcome")
    if normalization is None:
        return rewards
    if not isinstance(normalization, str) or normalization not in get_args(Normalization):
        rule = f"must be one of {get_args(Normalization)} or None"
        raise InvalidInputError("normalization", repr(normalization), rule, "name one")
    fix = f'use normalize(rewards, "{normalization}"), or normalization=None for any reals'
    rule = f"must be >= 0 under {normalization} normalisation"
    require(rewards >= 0, "rewards", rewards, rule, fix, RewardDomainError)
    if normalization == "summation":
        return unit_sums("rewards", rewards, RewardDomainError, fix)
    top, name = rewards.max(axis=-1), "maximum of rewards"
    require(np.abs(top - 1) <= TOLERANCE, name, top, "must be 1", fix, RewardDomainError)
    return rewards


def sound_rewards(rows: Floats, normalization: Normalization | None) -> bool:
    """Whether `check_rewards` would return rewards (..., m) as they are; in a quarter of its time.

    >>> sound_rewards(np.array([0.5, 0.5]), "summation"), sound_rewards(np.array([0.5]), "maximum")
    (True, False)
    """
    if normalization is None or rows.size == 0:
        return bool(np.isfinite(rows).all())
    if not rows.min() >= 0:
        return False
    if normalization == "maximum":
        return bool((np.abs(rows.max(axis=-1) - 1) <= TOLERANCE).all())
    with np.errstate(over="ignore"):
        return bool((np.abs(rows.sum(axis=-1) - 1) <= SETTLED).all())
