r"""The equations of `multiplier`, row by row in machine code: the same steps without temporaries.

Imported only where it is used, since it needs numba. Both equations are one here,
:math:`\sum_x a_x u_x^e = 1` with u = z + b where e < 0, and u = (z - b)_+ where e > 0.
"""

from typing import Any

import numpy as np
from numba import njit, types

FLAGS = {"reassoc", "contract", "nsz"}  # sums in any order; infinities and NaN keep their meaning
PART = 4096  # terms that are added before they join the total, so that rounding stays small
TINY = float(np.finfo(np.float64).tiny)
STEPS = 200
FLOAT = types.float64
ROWS = types.Array(FLOAT, 2, "C", readonly=True)
COLUMN = types.Array(FLOAT, 1, "C")
TABLE = types.Array(FLOAT, 2, "C")


def kernel(*arguments: Any) -> Any:
    """Compile a function at import, or load what an earlier process has compiled."""
    signature = types.void(*arguments) if arguments else None
    return njit(signature, cache=True, fastmath=FLAGS, error_model="numpy", nogil=True)


@kernel()
def _sums(offset, weight, e, z):  # type: ignore[no-untyped-def]
    """sum_x a u^e, a u^(e - 1), and for e < 0 a u^(e - 2): a loop for each e of vector units."""
    total, steep, bent = 0.0, 0.0, 0.0
    if e == -1.0:
        for x in range(len(offset)):
            inverse = 1.0 / (z + offset[x])
            term = weight[x] * inverse
            total, steep = total + term, steep + term * inverse
            bent += term * inverse * inverse
    elif e == -2.0:
        for x in range(len(offset)):
            inverse = 1.0 / (z + offset[x])
            term = weight[x] * inverse * inverse
            total, steep = total + term, steep + term * inverse
            bent += term * inverse * inverse
    elif e == -0.5:
        for x in range(len(offset)):
            inverse = 1.0 / (z + offset[x])
            term = weight[x] * np.sqrt(inverse)
            total, steep = total + term, steep + term * inverse
            bent += term * inverse * inverse
    elif e < 0.0:
        for x in range(len(offset)):
            term = weight[x] * (z + offset[x]) ** e
            inverse = 1.0 / (z + offset[x])
            total, steep = total + term, steep + term * inverse
            bent += term * inverse * inverse
    elif e == 1.0:
        for x in range(len(offset)):
            base = max(z - offset[x], 0.0)
            total, steep = total + weight[x] * base, steep + (weight[x] if base > 0.0 else 0.0)
    elif e == 2.0:
        for x in range(len(offset)):
            slope = weight[x] * max(z - offset[x], 0.0)
            total, steep = total + slope * max(z - offset[x], 0.0), steep + slope
    else:
        for x in range(len(offset)):
            base = max(z - offset[x], 0.0)
            term = weight[x] * (np.sqrt(base) if e == 0.5 else base**e)
            total, steep = total + term, steep + (term / base if base > 0.0 else 0.0)
    return total, steep, bent


@kernel()
def _newton(offset, weight, e, near, z, low, high):  # type: ignore[no-untyped-def]
    """Root and number of steps: one row of `by_numpy`."""
    last, count = np.inf, 0
    while count < STEPS:
        count += 1
        total, steep, bent = 0.0, 0.0, 0.0
        for start in range(0, len(offset), PART):
            part = slice(start, start + PART)
            first, second, third = _sums(offset[part], weight[part], e, z)
            total, steep, bent = total + first, steep + second, bent + third
        value = total ** (1.0 / e)
        error = value - 1.0
        low, high = (z if error <= 0.0 else low), (z if error >= 0.0 else high)
        step = -error / (value * steep / total)
        if e < 0.0:
            shrink = 1.0 + step * 0.5 * (1.0 - e) * (steep / total - bent / steep)
            step /= shrink if shrink > 0.5 else 0.5
        target = z + step
        good = low <= target <= high and abs(target - z) <= 0.5 * last
        if good and abs(target - z) <= near * z:
            z = target
            break
        if not good:
            target = np.sqrt(low) * np.sqrt(high) if high > 4.0 * low else 0.5 * (low + high)
        settled = abs(error) <= 4e-16 or abs(target - z) <= 2e-16 * z
        if settled or high - low <= 4e-16 * high:
            break
        last, z = abs(target - z), target
    return z, count


@kernel(ROWS, ROWS, FLOAT, FLOAT, COLUMN, COLUMN, COLUMN, COLUMN)
def roots(offsets, weights, e, near, start, low, high, count):  # type: ignore[no-untyped-def]
    """Put the roots of rows (B, m) into `start`, from where each is sought, and count steps."""
    for r in range(len(offsets)):
        start[r], count[r] = _newton(
            offsets[r], weights[min(r, len(weights) - 1)], e, near, start[r], low[r], high[r]
        )


@kernel()
def _raised(base, e):  # type: ignore[no-untyped-def]
    """base**e by the cheapest operation."""
    if e == 1.0 or e == -1.0:
        return base if e > 0.0 else 1.0 / base
    if e == 2.0 or e == -2.0:
        return base * base if e > 0.0 else 1.0 / (base * base)
    if e == 0.5 or e == -0.5:
        return np.sqrt(base) if e > 0.0 else 1.0 / np.sqrt(base)
    return base**e


@kernel()
def _bounds(offset, weight, e):  # type: ignore[no-untyped-def]
    """Start, low and high of a root, as `power_equation` and `positive_part_equation` have them."""
    best, mean, most, alone = 0.0, 0.0, 0.0, TINY
    for x in range(len(offset)):
        if e < 0.0:
            alone = max(alone, _raised(weight[x], -1.0 / e) - offset[x])
        elif offset[x] == 0.0 and best == 0.0:
            best = weight[x]
        mean, most = mean + weight[x] * offset[x], max(most, offset[x])
    if e < 0.0:
        return alone, alone, 2.0
    high = min(_raised(best, -1.0 / e), 1.0 + (mean if e == 1.0 else most)) * (1.0 + 1e-9)
    return (high if e >= 1.0 else min(high, 1.0 + mean)), 0.5, high


@kernel(ROWS, ROWS, FLOAT, FLOAT, TABLE, COLUMN, COLUMN, COLUMN)
def whole(offsets, weights, e, near, terms, root, total, count):  # type: ignore[no-untyped-def]
    """Write the roots of rows (B, m), their a u^e, sums and steps."""
    for r in range(len(offsets)):
        offset, weight, row = offsets[r], weights[min(r, len(weights) - 1)], terms[r]
        start, low, high = _bounds(offset, weight, e)
        z, count[r] = _newton(offset, weight, e, near, start, low, high)
        mass = 0.0
        for x in range(len(row)):
            base = z + offset[x] if e < 0.0 else max(z - offset[x], 0.0)
            row[x] = weight[x] * _raised(base, e)
            mass += row[x]
        root[r], total[r] = z, mass


@kernel(ROWS, COLUMN, FLOAT, TABLE)
def turn(scores, best, factor, out):  # type: ignore[no-untyped-def]
    """Write (best - S) factor of rows S (B, m) to `out`, which may be the scores."""
    for r in range(len(scores)):
        row, gaps, top = scores[r], out[r], best[r]
        for x in range(len(row)):
            gaps[x] = (top - row[x]) * factor


@kernel(TABLE, ROWS, COLUMN)
def weigh(policy, weights, total):  # type: ignore[no-untyped-def]
    """Multiply rows (B, m) by weights, and add what comes out to `total` (B,)."""
    for r in range(len(policy)):
        row, weight = policy[r], weights[min(r, len(weights) - 1)]
        mass = 0.0
        for x in range(len(row)):
            row[x] *= weight[x]
            mass += row[x]
        total[r] += mass


@kernel(ROWS, ROWS, ROWS, COLUMN, COLUMN, COLUMN)
def sums(terms, weights, base, total, steep, bent):  # type: ignore[no-untyped-def]
    """Add rows' sums of weights * terms, and of the same over base and base^2 where it is > 0."""
    for r in range(len(terms)):
        row, weight, below = terms[r], weights[min(r, len(weights) - 1)], base[r]
        first, second, third = 0.0, 0.0, 0.0
        for x in range(len(row)):
            inverse = 1.0 / below[x] if below[x] > 0.0 else 0.0
            term = weight[x] * row[x]
            first, second = first + term, second + term * inverse
            third += term * inverse * inverse
        total[r], steep[r], bent[r] = total[r] + first, steep[r] + second, bent[r] + third
