"""Linear programs over all payments of a finite set of types, solved by HiGHS."""

import numpy as np
from scipy.optimize import linprog

from mechanism.core.errors import Floats

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
PROGRAM = "linear program: 1e-9 of the largest length"


def payment_range(lengths: Floats, first: int, last: int) -> tuple[float, float]:
    """Least and greatest pay(last) - pay(first) of all payments that make truth optimal (LP).

    One program finds both: it holds two payments that have nothing to do with each other.

    >>> payment_range(np.array([[0.0, 0.5], [-0.2, 0.0]]), 0, 1)
    (0.2, 0.5)
    """
    k, unit = len(lengths), max(float(np.abs(lengths).max()), 1e-300)
    rows, limit = _truth(lengths / unit)
    cost = np.eye(2 * k)[last] - np.eye(2 * k)[k + last]
    fixed = [(0.0, 0.0) if j == first else (None, None) for j in range(k)]
    found = linprog(
        cost, np.kron(np.eye(2), rows), np.tile(limit, 2), bounds=2 * fixed, method="highs",
        options=TIGHT,
    )  # fmt: skip
    if found.status != 0:
        return float("nan"), float("nan")
    return float(found.x[last] * unit), float(found.x[k + last] * unit)


def least_regret(lengths: Floats) -> float:
    """Least e such that some payment keeps every gain from misreporting at e or below (LP).

    Negative where truth can be made better by a margin. Equals minus the least cycle mean.

    >>> round(least_regret(np.array([[0.0, -3.0], [1.0, 0.0]])), 9)
    1.0
    """
    k, unit = len(lengths), max(float(np.abs(lengths).max()), 1e-300)
    truth, limit = _truth(lengths / unit)
    rows = np.concatenate([truth, np.full((len(truth), 1), -1.0)], axis=1)
    bounds = [(0.0, 0.0)] + [(None, None)] * k
    found = linprog(np.eye(k + 1)[k], rows, limit, bounds=bounds, method="highs", options=TIGHT)
    return float(found.fun * unit) if found.status == 0 else float("nan")


def cheapest_payment(lengths: Floats, k: int) -> float:
    """Least pay(k) of all payments >= 0 that make truth optimal on these types (LP).

    >>> cheapest_payment(np.array([[0.0, 0.5], [-0.2, 0.0]]), 1)
    0.2
    """
    count, unit = len(lengths), max(float(np.abs(lengths).max()), 1e-300)
    rows, limit = _truth(lengths / unit)
    found = linprog(np.eye(count)[k], rows, limit, method="highs", options=TIGHT)
    return float(found.fun * unit) if found.status == 0 else float("nan")


def _truth(lengths: Floats) -> tuple[Floats, Floats]:
    """Rows and limits of pay(b) - pay(a) <= l(a, b), for all pairs."""
    a, b = np.nonzero(~np.eye(len(lengths), dtype=bool))
    rows = np.zeros((len(a), len(lengths)))
    rows[np.arange(len(a)), b], rows[np.arange(len(a)), a] = 1.0, -1.0
    return rows, lengths[a, b]
