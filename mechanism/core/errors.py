"""Errors that say which argument is wrong, where, which rule it breaks and how to mend it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class InvalidInputError(ValueError):
    """An argument breaks a rule; the message names argument, index, value, rule and likely fix."""

    def __init__(self, argument: str, value: object, rule: str, fix: str) -> None:
        super().__init__(f"{argument} = {value}: {rule}. Fix: {fix}.")
        self.argument, self.value, self.rule, self.fix = argument, value, rule, fix

    def __reduce__(self) -> tuple[type["InvalidInputError"], tuple[str, object, str, str]]:
        """Let the error come back from another process."""
        return type(self), (self.argument, self.value, self.rule, self.fix)


class ShapeError(InvalidInputError):
    """Arrays do not have the shapes that the game asks for."""


class RewardDomainError(InvalidInputError):
    """Rewards lie outside the named normalisation (the domain R of the paper)."""


def as_floats(argument: str, value: ArrayLike) -> Floats:
    """Return `value` as a float64 array, or raise `InvalidInputError` naming the argument.

    >>> as_floats("sizes", [1, 2])
    array([1., 2.])
    """
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        fix = "pass numbers in a rectangular array"
        raise InvalidInputError(
            argument, repr(value)[:80], f"not an array ({error})", fix
        ) from None


def require(
    holds: NDArray[np.bool_],
    argument: str,
    value: Floats,
    rule: str,
    fix: str,
    error: type[InvalidInputError] = InvalidInputError,
) -> None:
    """Raise `error` at the first index of `value` where `holds` is false.

    >>> require(np.array([True, False]), "sizes", np.array([1.0, -2.0]), "must be > 0", "drop it")
    Traceback (most recent call last):
    mechanism.core.errors.InvalidInputError: sizes[1] = -2: must be > 0. Fix: drop it.
    """
    if np.all(holds):
        return
    index = tuple(int(k) for k in np.argwhere(~holds)[0])
    label = f"{argument}[{', '.join(map(str, index))}]" if index else argument
    raise error(label, f"{value[index]:.12g}", rule, fix)


def positive_number(argument: str, value: float, fix: str) -> float:
    """Return `value` as a positive finite float, or raise.

    >>> positive_number("lam", 0.2, "")
    0.2
    """
    array = as_floats(argument, value)
    if array.shape != ():
        raise ShapeError(argument, f"array of shape {array.shape}", "must be one number", fix)
    require(np.isfinite(array) & (array > 0), argument, array, "must be finite and > 0", fix)
    return float(array)


def group_index(i: int, groups: int) -> int:
    """Return `i` where it names one of `groups` groups, or raise.

    >>> group_index(1, 3)
    1
    """
    is_integer = isinstance(i, (int, np.integer)) and not isinstance(i, bool)
    if not is_integer or not 0 <= i < groups:
        fix = "groups are counted from 0"
        raise InvalidInputError("i", i, f"must be a group index in 0..{groups - 1}", fix)
    return int(i)
