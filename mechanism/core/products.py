r"""Sums of products that wake no thread: the same to the last bit whatever the number of threads.

BLAS libraries spread a call over a pool of threads when it holds more than some 9,000
multiplications (OpenBLAS). On a busy machine the call then waits for threads that are waiting for a
core, many times longer than the product takes. So no call here is larger than `PIECE`.
"""

import numpy as np

from mechanism.core.errors import Floats

PIECE = 1 << 13


def dot(first: Floats, second: Floats) -> Floats:
    """sum_x first(x) second(x) over the last axis; leading axes broadcast.

    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.float64(11.0)
    """
    m = first.shape[-1]
    if m <= PIECE:
        return np.vecdot(first, second)
    total = np.vecdot(first[..., :PIECE], second[..., :PIECE])
    for start in range(PIECE, m, PIECE):
        piece = slice(start, start + PIECE)
        total = total + np.vecdot(first[..., piece], second[..., piece])
    return total


def weighted_rows(weights: Floats, rows: Floats) -> Floats:
    """sum_i weights(i) rows(i, x): weights (..., n) and rows (..., n, m) give (..., m).

    >>> weighted_rows(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([1., 2.])
    """
    n, m = rows.shape[-2:]
    if n == 1:
        return np.asarray(weights * rows[..., 0, :])
    width = PIECE // max(n, 1)
    if m <= width:
        return np.asarray(np.vecmat(weights, rows))
    if width == 0:
        return np.asarray(np.einsum("...n,...nm->...m", weights, rows))
    total = np.empty((*np.broadcast_shapes(weights.shape[:-1], rows.shape[:-2]), m))
    for start in range(0, m, width):
        piece = slice(start, start + width)
        np.vecmat(weights, rows[..., piece], out=total[..., piece])
    return total


def means(rows: Floats, weights: Floats) -> Floats:
    """sum_x rows(i, x) weights(x): rows (..., n, m) and weights (..., m) give (..., n).

    >>> means(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.25, 0.75]))
    array([0.25, 0.75])
    """
    n, m = rows.shape[-2:]
    if n * m <= PIECE:
        return np.asarray(np.matvec(rows, weights))
    return dot(rows, weights[..., None, :])


def leave_one_out(weights: Floats, rows: Floats) -> Floats:
    """sum over j != i of weights(j) rows(j, x), shape (..., n, m): summed afresh, nothing cancels.

    >>> leave_one_out(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([[0., 2.],
           [1., 0.]])
    """
    n, m = rows.shape[-2:]
    if n * n * m <= 16 * PIECE:  # matrix products are spread from 262,144 multiplications on
        others = 1.0 - np.eye(n)
        return np.asarray((weights[..., None, :] * others) @ rows)
    weighted = weights[..., None] * rows
    total = np.zeros_like(weighted)
    np.cumsum(weighted[..., :-1, :], axis=-2, out=total[..., 1:, :])
    after = np.cumsum(weighted[..., :0:-1, :], axis=-2)[..., ::-1, :]
    total[..., :-1, :] += after
    return total
