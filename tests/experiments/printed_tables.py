"""Tables as a paper would print them, for candidates that are known."""

from dataclasses import replace

import numpy as np

from mechanism.experiments.published.linear_system import System


def satisfies(system: System, rows: np.ndarray, slack: float = 1e-7) -> bool:
    """Check rows against a system's constraints by hand, the pivot being the true maximum."""
    pivots = [max(rows @ column.others) for column in system.tables.values()]
    z = np.concatenate([rows.ravel(), pivots, [system.half]])
    left, right = system.matrices
    return bool(np.all(left @ z <= right + slack))


def seen_through_two_decimals(rows, columns, cost=0.0):
    """Columns as a paper would print them if these were the candidates (costs: in the argmax)."""
    chosen, printed = [], []
    for column in columns:
        k = int(np.argmax(rows @ column.report - cost))
        welfare = rows[k] @ (column.own + column.others) - np.broadcast_to(cost, len(rows))[k]
        utility = welfare - np.max(rows @ column.others - cost)
        cells = tuple(round(float(v), 2) for v in (rows[k] @ column.own, utility, welfare))
        chosen.append(k)
        printed.append(replace(column, cells=cells))
    return tuple(chosen), tuple(printed)
