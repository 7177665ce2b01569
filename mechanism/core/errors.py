"""Errors that say which argument is wrong, where, which rule it breaks and how to mend it."""

import warnings
from typing import Any

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

    Whatever would be lost on the way is refused: masks, imaginary parts, gradients, text, dates.

    >>> as_floats("sizes", [1, 2])
    array([1., 2.])
    """
    array = as_numbers(argument, value)
    if array.dtype == np.float64:
        return array
    with np.errstate(all="ignore"):  # a number beyond float64 becomes infinite: see `require`
        return array.astype(np.float64)


def as_numbers(argument: str, value: ArrayLike) -> NDArray[Any]:
    """Return `value` as an array of bools, integers or floats with the precision it came in.

    >>> as_numbers("rewards", np.ones(2, np.float32)).dtype
    dtype('float32')
    """
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    if isinstance(value, float):
        return np.asarray(value)
    if value is None:
        raise InvalidInputError(argument, None, "must be numbers", "pass an array")
    if _masked(value):
        fix = "drop these entries, or say what they are with .filled(value)"
        raise InvalidInputError(argument, _short(value), "has masked entries", fix)
    try:
        with warnings.catch_warnings():  # NumPy only warns where it drops a part of a number
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # of the container's own making
            warnings.simplefilter("ignore", FutureWarning)
            array = np.asarray(value)
            array = array.astype(np.float64) if array.dtype.kind == "O" else array
    except MemoryError:
        raise
    except Exception as error:  # whatever a foreign container raises when it is read
        fix = "pass numbers in a rectangular array; of a tensor its .detach().cpu()"
        rule = f"not an array ({str(error)[:200]})"
        raise InvalidInputError(argument, _short(value), rule, fix) from None
    if array.dtype.kind not in "biuf":
        fix = "pass real numbers in a rectangular array"
        rule = f"not an array of real numbers (but of {array.dtype})"
        raise InvalidInputError(argument, _short(value), rule, fix)
    return array


def _masked(value: object) -> bool:
    """Whether a masked array, alone or inside lists, hides an entry."""
    if isinstance(value, np.ma.MaskedArray):
        return bool(np.ma.getmaskarray(value).any())
    plain = {float, int, bool, np.float64}
    if isinstance(value, list | tuple) and not set(map(type, value)) <= plain:
        return any(_masked(entry) for entry in value if entry is not value)
    return False


def _short(value: object) -> str:
    return " ".join(repr(value).split())[:80]


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
    if np.asarray(holds).all():
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


def check_whole(argument: str, value: object, least: int, rule: str, fix: str) -> None:
    """Raise unless `value` is a whole number, at least `least`.

    >>> check_whole("seed", 0, 0, "must be a whole number >= 0", "e.g. 0")
    """
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_integer or not least <= int(str(value)) < 2**31:
        raise InvalidInputError(argument, value, rule, fix)


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
