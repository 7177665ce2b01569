"""Safeguarded Newton for many rows at once: numpy's path, and machine code where there is numba.

`pip install "mechanism[fast]"` installs it. It is asked for at the first equation, or the first
large game, so that the import of the core stays light: some 0.4 s then, and a few seconds once,
when the machine code is made and kept in `__pycache__`. `MECHANISM_ACCELERATOR=off` in the
environment leaves it out.
"""

import logging
import os
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats

MAX_ITERATIONS = 200
Slopes: TypeAlias = tuple[
    Floats, Floats, Floats | float
]  # value, f', and f''/(2 f') if f is smooth
Curve: TypeAlias = Callable[[Floats, Floats, Floats], Slopes]
VECTOR = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # exponents of which a vector unit does several at once
MANY, SAMPLE = 1 << 16, 1 << 14  # outcomes from which a sample of them comes first
SHORT = 1 << 12  # outcomes whose sum needs no care
NARROW = 128  # outcomes up to which other powers are faster one by one than through numpy


@cache
def machine_code() -> ModuleType | None:
    """The module `compiled`, or None and, once, a message that says why."""
    if os.environ.get("MECHANISM_ACCELERATOR", "") == "off":
        return None
    try:
        from mechanism.core.newton import compiled
    except Exception as reason:  # not installed, not for this numpy, no folder for its cache
        message = 'numba is not used (%s): large or many games are slower. Fix: pip install "%s"'
        logging.getLogger("mechanism").warning(message, reason, "mechanism[fast]")
        return None
    return compiled


def turn(scores: Floats, best: Floats, factor: float, out: Floats) -> None:
    """Write (best - S) factor of rows S (B, m) to `out`: with machine code in one pass."""
    compiled = machine_code() if _worth(scores) and _worth(out) else None
    if compiled is not None:
        compiled.turn(scores, best[:, 0].copy(), factor, out)
    else:
        np.multiply(np.subtract(best, scores, out=out), factor, out=out)


def weigh(policy: Floats, weights: Floats) -> Floats:
    """Multiply rows (B, m) by weights, in place, and return their sums (B, 1)."""
    compiled = machine_code() if _worth(policy) else None
    if compiled is None:
        policy *= weights
        return np.asarray(policy.sum(axis=-1, keepdims=True))
    total = np.zeros(len(policy))
    compiled.weigh(policy, _rows(weights), total)
    return total[:, None]


def sums(terms: Floats, weights: Floats, base: Floats) -> Floats:
    """Sums (3, B, 1) of weights * terms, and of the same over base and base^2 where base > 0."""
    compiled = machine_code() if _worth(terms) else None
    if compiled is not None:
        found = np.zeros((3, len(terms)))
        compiled.sums(terms, _rows(weights), base, *found)
        return found[:, :, None]
    terms = terms * weights  # first, or a tiny base may overflow
    found = np.empty((3, len(terms), 1))
    for total in found:
        terms.sum(axis=-1, keepdims=True, out=total)
        np.divide(terms, base, out=terms, where=base > 0)
    return found


def _worth(rows: Floats) -> bool:
    """Whether rows are so many numbers that loading machine code for them pays."""
    return rows.size >= SAMPLE and rows.flags.c_contiguous


def _rows(weights: Floats) -> Floats:
    """Weights as machine code takes them: one row where it is the same for all."""
    return np.ascontiguousarray(weights[:1] if weights.strides[0] == 0 else weights)


def whole(
    offsets: Floats, weights: Floats, e: float, near: float = 0.0
) -> tuple[Floats, Floats, Floats, NDArray[np.int_]] | None:
    """Roots (B, 1), a u^e (B, m), its sums (B, 1) and steps (B,) of rows of few outcomes, at once.

    None where there is no machine code, or numpy's steps are as fast.
    """
    m = offsets.shape[-1]
    compiled = machine_code() if m <= (SHORT if e in VECTOR else NARROW) else None
    if compiled is None:
        return None
    root, total, count = np.empty((3, len(offsets)))
    terms = np.empty(offsets.shape)
    rows = np.ascontiguousarray(offsets), _rows(weights)
    compiled.whole(*rows, e, near, terms, root, total, count)
    return root[:, None], terms, total[:, None], count.astype(int)


def find_roots(
    curve: Curve,
    rows: tuple[Floats, Floats, Floats],
    e: float,
    start: Floats,
    low: Floats,
    high: Floats,
    near: float = 0.0,
) -> tuple[Floats, NDArray[np.int_]]:
    """Solve curve(z) = 1 from `start` for rows (B, m): roots (B, 1) and steps (B, 1).

    `rows` are the offsets, the weights and the weight (B, 1) of a best outcome; `curve` gives, of
    offsets, weights and z, the norm of exponent e and its slope, as machine code does with the
    steps of `by_numpy`. A relative step of at most `near` is the last.
    """
    offsets, weights, best = rows
    m = offsets.shape[-1]

    def root(offsets: Floats, weights: Floats, start: Floats) -> tuple[Floats, NDArray[np.int_]]:
        if machine_code() is None or (e not in VECTOR and offsets.shape[-1] > NARROW):
            return by_numpy(partial(curve, offsets, weights), start, low, high, near)
        return _by_machine(offsets, weights, e, start, low, high, near)

    if m >= MANY:  # a sample's root is near: only the last steps need all outcomes
        some, first = sample(m), np.zeros_like(best)  # the best may weigh more than all the others
        few = np.concatenate([first, offsets[:, some]], axis=-1)
        share = weights[:, some] * (m / (few.shape[-1] - 1))
        start = root(few, np.concatenate([best, share], axis=-1), start)[0]
    return root(offsets, weights, start)


def sample(m: int) -> slice:
    """Outcomes that stand for all of m: every one, or some `SAMPLE` of very many."""
    return slice(m // SAMPLE // 2, None, m // SAMPLE) if m >= MANY else slice(None)


def _by_machine(
    offsets: Floats, weights: Floats, e: float, start: Floats, low: Floats, high: Floats,
    near: float,
) -> tuple[Floats, NDArray[np.int_]]:  # fmt: skip
    compiled = machine_code()
    assert compiled is not None
    root, count = np.array(start[:, 0]), np.empty(len(start))
    rows = np.ascontiguousarray(offsets), _rows(weights)
    compiled.roots(*rows, e, near, root, low[:, 0].copy(), high[:, 0].copy(), count)
    return root[:, None], count[:, None].astype(int)


def by_numpy(
    curve: Callable[[Floats], Slopes],
    start: Floats,
    low: Floats,
    high: Floats,
    near: float,
) -> tuple[Floats, NDArray[np.int_]]:
    """Solve curve(z) = 1 for an increasing curve by safeguarded Newton, or Halley where it bends.

    A step that leaves the bracket, or is not at most half of the one before, bisects instead. A
    step of at most `near` times z ends the search.
    """
    z, last, count = start, np.full_like(start, np.inf), np.zeros(start.shape, dtype=int)
    settled = np.zeros(start.shape, dtype=bool)
    for _ in range(MAX_ITERATIONS):
        value, slope, bend = curve(z)
        error = value - 1.0
        step = -error / slope
        low, high = np.where(error <= 0, z, low), np.where(error >= 0, z, high)
        target = z + step / np.fmax(1.0 + step * bend, 0.5)
        good = (target >= low) & (target <= high) & (np.abs(target - z) <= 0.5 * last)
        target = np.where(good, target, _between(low, high))
        settled |= (np.abs(error) <= 4e-16) | (np.abs(target - z) <= 2e-16 * z)
        settled |= high - low <= 4e-16 * high
        close = ~settled & good & (np.abs(target - z) <= near * z)
        z, settled = np.where(close, target, z), settled | close
        if settled.all():
            break
        count += ~settled
        last, z = np.abs(target - z), np.where(settled, z, target)
    return z, count + 1


def _between(low: Floats, high: Floats) -> Floats:
    """Middle of a bracket of positive numbers: geometric while it spans more than a factor of 4."""
    return np.where(high > 4.0 * low, np.sqrt(low) * np.sqrt(high), 0.5 * (low + high))
