"""Safeguarded Newton for many rows at once: numpy's path, and machine code where there is numba.

`pip install "mechanism[fast]"` installs it. It is asked for at the first equation, so that the
import of the core stays light: some 0.3 s then, and a few seconds once, when the machine code is
made and kept in `__pycache__`. `MECHANISM_ACCELERATOR=off` in the environment leaves it out.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats

MAX_ITERATIONS = 200
Curve: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
VECTOR = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # exponents of which a vector unit does several at once
MANY, SAMPLE = 1 << 16, 1 << 12  # outcomes from which a sample of them comes first
NARROW = 128  # outcomes up to which other powers are faster one by one than through numpy


@cache
def compiled_roots() -> Callable[..., None] | None:
    """`compiled.roots`, or None and, once, a message that says why."""
    if os.environ.get("MECHANISM_ACCELERATOR", "") == "off":
        return None
    try:
        from mechanism.core.newton.compiled import roots
    except Exception as reason:  # not installed, not for this numpy, no folder for its cache
        message = 'numba is not used (%s): large or many games are slower. Fix: pip install "%s"'
        logging.getLogger("mechanism").warning(message, reason, "mechanism[fast]")
        return None
    return roots


def find_roots(
    curve: Curve,
    offsets: Floats,
    weights: Floats,
    e: float,
    start: Floats,
    low: Floats,
    high: Floats,
) -> tuple[Floats, NDArray[np.int_]]:
    """Solve curve(z) = 1 from `start` for rows (B, m): roots (B, 1) and steps (B, 1).

    `curve` gives the norm of exponent e and its slope; machine code works it out from `offsets` and
    `weights`, with the steps of `by_numpy`.
    """
    m = offsets.shape[-1]
    if compiled_roots() is None:
        return by_numpy(curve, start, low, high)
    if weights.strides[0] == 0:  # one reference for all rows
        weights = weights[:1]
    if m >= MANY:  # a sample's root is near: only the last steps need all outcomes
        sample = slice(m // SAMPLE // 2, None, m // SAMPLE)
        some, share = offsets[:, sample], weights[:, sample] * (m / SAMPLE)
        start = _by_machine(some, share, e, start, low, high)[0]
    if e in VECTOR or m <= NARROW:
        return _by_machine(offsets, weights, e, start, low, high)
    return by_numpy(curve, start, low, high)


def _by_machine(
    offsets: Floats, weights: Floats, e: float, start: Floats, low: Floats, high: Floats
) -> tuple[Floats, NDArray[np.int_]]:
    roots = compiled_roots()
    assert roots is not None
    root, count = np.array(start[:, 0]), np.empty(len(start))
    rows = np.ascontiguousarray(offsets), np.ascontiguousarray(weights)
    roots(*rows, e, root, low[:, 0].copy(), high[:, 0].copy(), count)
    return root[:, None], count[:, None].astype(int)


def by_numpy(
    curve: Curve, start: Floats, low: Floats, high: Floats
) -> tuple[Floats, NDArray[np.int_]]:
    """Solve curve(z) = 1 for an increasing curve by safeguarded Newton.

    A step that leaves the bracket, or is not at most half of the one before, bisects instead.
    """
    z, last, count = start, np.full_like(start, np.inf), np.zeros(start.shape, dtype=int)
    settled = np.zeros(start.shape, dtype=bool)
    for _ in range(MAX_ITERATIONS):
        value, slope = curve(z)
        error = value - 1.0
        low, high = np.where(error <= 0, z, low), np.where(error >= 0, z, high)
        target = z - error / slope
        good = (target >= low) & (target <= high) & (np.abs(target - z) <= 0.5 * last)
        target = np.where(good, target, _between(low, high))
        settled |= (np.abs(error) <= 4e-16) | (np.abs(target - z) <= 2e-16 * z)
        settled |= high - low <= 4e-16 * high
        if settled.all():
            break
        count += ~settled
        last, z = np.abs(target - z), np.where(settled, z, target)
    return z, count + 1


def _between(low: Floats, high: Floats) -> Floats:
    """Middle of a bracket of positive numbers: geometric while it spans more than a factor of 4."""
    return np.where(high > 4.0 * low, np.sqrt(low) * np.sqrt(high), 0.5 * (low + high))
