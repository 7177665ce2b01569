"""Linear programs over all payments of a finite set of types, solved by HiGHS."""

import numpy as np
from scipy.optimize import linprog

from mechanism.core.errors import Floats


def payment_range(lengths: Floats, first: int, last: int) -> tuple[float, float]:
    """Least and greatest pay(last) - pay(first) of all payments that make truth optimal (LP)."""
    return -_widest(lengths, last, first), _widest(lengths, first, last)


def _widest(lengths: Floats, first: int, last: int) -> float:
    """Maximise pay(last) - pay(first) subject to pay(k) - pay(j) <= l(j, k), by HiGHS."""
    k = len(lengths)
    unit = max(float(np.abs(lengths).max()), 1e-300)
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    rows = np.zeros((len(pairs), k))
    for row, (a, b) in zip(rows, pairs, strict=True):
        row[b], row[a] = 1.0, -1.0
    bounds = [(0.0, 0.0) if j == first else (None, None) for j in range(k)]
    limit = np.array([lengths[a, b] for a, b in pairs]) / unit
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(-np.eye(k)[last], rows, limit, bounds=bounds, method="highs", options=tight)
    return float(-found.fun * unit) if found.status == 0 else float("nan")


def least_regret(lengths: Floats) -> float:
    """Least e such that some payment keeps every gain from misreporting at e or below (LP).

    Negative where truth can be made better by a margin. Equals minus the least cycle mean.

    >>> round(least_regret(np.array([[0.0, -3.0], [1.0, 0.0]])), 9)
    1.0
    """
    k, unit = len(lengths), max(float(np.abs(lengths).max()), 1e-300)
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    rows = np.zeros((len(pairs), k + 1))
    for row, (a, b) in zip(rows, pairs, strict=True):
        row[b], row[a], row[k] = 1.0, -1.0, -1.0
    limit = np.array([lengths[a, b] for a, b in pairs]) / unit
    bounds = [(0.0, 0.0)] + [(None, None)] * k
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(np.eye(k + 1)[k], rows, limit, bounds=bounds, method="highs", options=tight)
    return float(found.fun * unit) if found.status == 0 else float("nan")
