"""Checks and replacements of the arrays that games are made of."""

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import (
    Floats,
    InvalidInputError,
    ShapeError,
    as_floats,
    group_index,
    require,
)

LEAST = float(np.finfo(float).tiny)  # of probabilities of the initial model
LARGEST = 1e300  # of sums of rewards, so that no difference, mean or welfare overflows
ROUNDING = 1e-5  # how far float32 leaves the sum of a softmax from 1
SETTLED = 1e-12  # a sum that is as near to 1 as this is left alone


def freeze(game: object, *names: str) -> None:
    """Replace the named arrays of a frozen game by read-only float64 copies."""
    for name in names:
        array = as_floats(name, getattr(game, name))
        if _writeable(array):  # a private copy, so that a game never changes under its user
            array = array.copy()
            array.flags.writeable = False
        object.__setattr__(game, name, array)


def _writeable(array: object) -> bool:
    """Whether somebody can write into `array`, or into what it is a view of."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return True
        array = array.base
    return False


def check_matrix(argument: str, array: Floats, meaning: str) -> None:
    """Raise unless `array` has shape (..., n, m) with n, m >= 1."""
    if array.ndim < 2 or 0 in array.shape[-2:]:
        fix = "give every group one row, with at least one entry"
        shape = f"array of shape {array.shape}"
        raise ShapeError(argument, shape, f"must have shape {meaning}, neither empty", fix)


def check_last(argument: str, array: Floats, length: int, noun: str) -> None:
    """Raise unless the last axis of `array` has `length` entries."""
    if array.ndim < 1 or array.shape[-1] != length:
        rule = f"its last axis must have length {length}, one entry for each of the {noun}"
        raise ShapeError(argument, f"array of shape {array.shape}", rule, "match the rewards")


def check_sizes(sizes: Floats, rewards: Floats) -> None:
    """Raise unless sizes (..., n) are positive and match the rewards (..., n, m)."""
    check_last("sizes", sizes, rewards.shape[-2], "groups")
    fix = "a group without members takes no part: leave it out"
    require(np.isfinite(sizes) & (sizes > 0), "sizes", sizes, "must be finite and > 0", fix)


def sound_sizes(sizes: Floats) -> bool:
    """Whether there are sizes (...), and all are finite and positive.

    >>> sound_sizes(np.array([1.0, np.inf]))
    False
    """
    return sizes.size > 0 and bool(sizes.min() > 0) and bool(sizes.max() < np.inf)


def check_scores(argument: str, rows: Floats, sizes: Floats, lam: float = 1.0) -> None:
    """Raise where sizes (..., n) times finite rows (..., n, m), or that over lam, may overflow."""
    if rows.size == 0 or sizes.size == 0:
        return
    n, largest = rows.shape[-2], LARGEST * min(1.0, lam)
    bound = largest / n / float(sizes.max())
    if max(float(rows.max()), -float(rows.min())) > bound:
        rule = f"times the largest size, {sizes.max():g}, must be below {largest / n:.3g}"
        require(np.abs(rows) <= bound, argument, rows, rule, "use another unit of reward")


def check_reference(reference: Floats, rewards: Floats) -> Floats:
    """Return the positive distributions (..., m), free of float32's rounding, or raise."""
    check_last("reference", reference, rewards.shape[-1], "outcomes")
    if not (reference.min(initial=1.0) >= LEAST and reference.max(initial=0.0) < np.inf):
        fix = "leave out outcomes that the initial model never produces"
        positive = np.isfinite(reference) & (reference > 0)
        require(positive, "reference", reference, "must be finite and > 0", fix)
        rule = f"must be at least {LEAST:.4g}: smaller numbers have few digits in float64"
        require(reference >= LEAST, "reference", reference, rule, fix)
    return unit_sums("reference", reference)


def check_distribution(argument: str, value: ArrayLike, length: int) -> Floats:
    """Return distributions (..., length), free of float32's rounding, or raise.

    >>> check_distribution("model", np.float32([0.1, 0.9]), 2).sum()
    np.float64(1.0)
    """
    array = as_floats(argument, value)
    check_last(argument, array, length, "outcomes")
    inside = (array >= 0) & (array <= 1 + ROUNDING)
    require(inside, argument, array, "must be in 0..1", "pass probabilities; clip rounding at 0")
    return unit_sums(argument, array)


def unit_sums(
    argument: str,
    array: Floats,
    error: type[InvalidInputError] = InvalidInputError,
    fix: str = "divide by the sum, in float64",
) -> Floats:
    """Return non-negative rows (..., m), divided by their sums where float32 rounded them."""
    with np.errstate(over="ignore"):
        total = array.sum(axis=-1)
    off = np.abs(total - 1)
    if (off <= SETTLED).all():
        return array
    require(off <= ROUNDING, f"sum of {argument}", total, "must be 1", fix, error)
    array = array / np.where(off > SETTLED, total, 1.0)[..., None]
    array.flags.writeable = False
    return array


def broadcast_batch(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Broadcast leading axes, or raise `ShapeError`."""
    if shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        fix = "make the leading axes of all arrays broadcast"
        raise ShapeError("leading axes", shapes, "do not broadcast", fix) from None


def replaced(rewards: Floats, i: int, reward: ArrayLike | None, argument: str) -> Floats:
    """Return rewards (..., n, m) with row i replaced by `reward`; leading axes broadcast."""
    i = group_index(i, rewards.shape[-2])
    if reward is None:
        return rewards
    row = as_floats(argument, reward)
    check_last(argument, row, rewards.shape[-1], "outcomes")
    batch = broadcast_batch(rewards.shape[:-2], row.shape[:-1])
    changed = np.broadcast_to(rewards, (*batch, *rewards.shape[-2:])).copy()
    changed[..., i, :] = row
    return changed


def resized(sizes: Floats, i: int, size: ArrayLike | None) -> Floats:
    """Return sizes (..., n) with entry i replaced by `size`; leading axes broadcast."""
    if size is None:
        return sizes
    new = as_floats("size", size)
    changed = np.broadcast_to(
        sizes, (*broadcast_batch(sizes.shape[:-1], new.shape), sizes.shape[-1])
    )
    changed = changed.copy()
    changed[..., i] = new
    return changed
