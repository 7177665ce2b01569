"""Adaptive quadrature over (0, 1) for functions with steps at known places and slivers beside them.

Source: Gauss-Legendre rules on pieces that are halved where two of them differ.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats

Indices = NDArray[np.intp]
LEFT, RIGHT = slice(None, -1), slice(1, None)
# one odd, one even: two even rules agree on any step near the middle of a piece
FINE, COARSE = np.polynomial.legendre.leggauss(11), np.polynomial.legendre.leggauss(6)
ABSCISSAE = np.concatenate([FINE[0], COARSE[0]])
GRADES = np.concatenate([0.5 * 4.0 ** -np.arange(12.0), 1.0 - 0.5 * 4.0 ** -np.arange(1.0, 12.0)])


def graded_edges(cuts: Floats) -> Floats:
    """Edges of (0, 1): the cuts, and points that crowd towards both sides of each of them.

    Where the divergence is weak the model changes within a sliver next to a cut.

    >>> len(graded_edges(np.array([0.5])))
    49
    """
    ends = np.unique(np.concatenate([[0.0], cuts, [1.0]]))
    low, width = ends[:-1, None], np.diff(ends)[:, None]
    return np.unique(np.concatenate([ends, (low + width * GRADES).ravel()]))


def integrate(
    function: Callable[[Floats], Floats], edges: Floats, atol: float
) -> tuple[Floats, float, Floats, int]:
    """Integral over (0, 1) of a function (k,) -> (k, c): `integrate_all` of one.

    Returns
    -------
    value (c,), error, final edges, evaluations

    >>> value, error, edges, runs = integrate(lambda u: u[:, None] ** 2, np.array([0.0, 1.0]), 1e-9)
    >>> value.round(12), len(edges), runs
    (array([0.33333333]), 2, 17)
    """
    values, errors, final, runs = integrate_all(lambda u, _: function(u), [edges], np.full(1, atol))
    return values[0], float(errors[0]), final[0], int(runs[0])


def integrate_all(
    function: Callable[[Floats, Indices], Floats],
    edges: Sequence[Floats],
    atol: Floats,
    rounds: int = 30,
) -> tuple[Floats, Floats, list[Floats], Indices]:
    """Integrals over (0, 1) of K functions, all pieces of a round in one call.

    ``function(u, which)`` has values (k, c) at the points u (k,) of the functions `which` (k,). The
    rules with 11 and 6 Gauss nodes are compared on every piece, and pieces that differ by more than
    their part of `atol` (K,) are halved. scipy's `cubature` does one piece at a time, which is ten
    times slower here.

    Returns
    -------
    values (K, c), errors (K,), final edges, evaluations (K,)
        An error is the sum over pieces and components of the difference of the two rules.
    """
    count = len(edges)
    low, high = (np.concatenate([ends[part] for ends in edges]) for part in (LEFT, RIGHT))
    which = np.repeat(np.arange(count), [len(ends) - 1 for ends in edges])
    limit = atol / np.array([len(ends) for ends in edges])
    values, errors, runs = np.zeros((count, 1)), np.zeros(count), np.zeros(count, dtype=np.intp)
    kept = [list[Floats]([ends]) for ends in edges]
    for turn in range(rounds):
        middle, half = (low + high)[:, None] / 2.0, (high - low)[:, None] / 2.0
        points = (middle + half * ABSCISSAE).ravel()
        heights = function(points, np.repeat(which, len(ABSCISSAE)))
        heights = half[..., None] * heights.reshape(len(low), len(ABSCISSAE), -1)
        fine = np.einsum("k,pkc->pc", FINE[1], heights[:, : len(FINE[1])])
        coarse = np.einsum("k,pkc->pc", COARSE[1], heights[:, len(FINE[1]) :])
        gaps = np.abs(fine - coarse).sum(axis=-1)
        runs += np.bincount(which, minlength=count) * len(ABSCISSAE)
        bad = (gaps > limit[which]) & (turn < rounds - 1)
        good = which[~bad]
        values = values + np.zeros(fine.shape[-1])
        np.add.at(values, good, fine[~bad])
        errors += np.bincount(good, gaps[~bad], minlength=count)
        if not bad.any():
            break
        centre, which = middle[bad, 0], which[bad]
        for k in np.unique(which):
            kept[k].append(centre[which == k])
        low, high = np.append(low[bad], centre), np.append(centre, high[bad])
        which = np.tile(which, 2)
    return values, errors, [np.sort(np.concatenate(ends)) for ends in kept], runs
