"""Is the recovery more than a fit? Hold-outs, counts of information, and real models beside it.

Every function asks something that the fit to all 54 cells does not force to come out well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from mechanism.core.errors import Floats
from mechanism.experiments.published.linear_system import HALF, System
from mechanism.experiments.published.recovery import (
    Range,
    Recovery,
    central_rows,
    predict_range,
)
from mechanism.experiments.published.reproduction import (
    CELLS,
    REWARDS,
    compare,
    published_columns,
    recovered,
    run_mechanism,
    wanted_columns,
)
from mechanism.experiments.soups import METHODS, model_names, soups_frame

TABLES = ("table2", "table4", "table6")


def chebyshev_rows(system: System) -> Floats:
    """Centre of the largest ball inside the constraints, shape (candidates, 3).

    The cells' half width is held at its greatest value; bounds count as constraints.
    """
    left, right = system.matrices
    fixed = left[:, :-1], right - left[:, -1] * system.half
    box = np.eye(system.unknowns - 1)[: 3 * system.candidates]
    rows = np.vstack([fixed[0], box, -box])
    limits = np.concatenate([fixed[1], np.ones(len(box)), np.zeros(len(box))])
    rows = np.column_stack([rows, np.linalg.norm(rows, axis=1)])
    objective = -np.eye(rows.shape[1])[-1]
    answer = linprog(objective, A_ub=rows, b_ub=limits, bounds=(None, None), method="highs")
    return np.asarray(answer.x[: 3 * system.candidates]).reshape(-1, 3)


@dataclass(frozen=True)
class HoldOut:
    """One table predicted from the two others.

    Attributes
    ----------
    table : str
    candidates : int
        Candidates that the two other tables need.
    exact, inside, cells : int
        Cells of the table that the central solution gives to two decimals; that lie in the
        predicted interval; all.
    median_width : float
        Median width of the predicted intervals.
    """

    table: str
    candidates: int
    exact: int
    inside: int
    cells: int
    median_width: float


def _from_the_others(table: str) -> Recovery:
    return recovered(*(name for name in TABLES if name != table))


@cache
def _ranges_from_the_others(table: str) -> list[Range]:
    found = _from_the_others(table)
    return [predict_range(found.closed, column) for column in published_columns(table)]


def hold_out(table: str, rule: Callable[[System], Floats] = central_rows) -> HoldOut:
    """Recover from the two other tables, predict this one, and count its cells.

    Parameters
    ----------
    table : str
    rule : callable
        Picks the one solution that exact cells are counted for: `central_rows` or
        `chebyshev_rows`.
    """
    found = _from_the_others(table)
    columns = published_columns(table)
    cells = compare(rule(found.system), columns)
    inside, widths = 0, []
    for column, spread in zip(columns, _ranges_from_the_others(table), strict=True):
        for name, paper in zip(CELLS, column.cells or (), strict=True):
            low, high = getattr(spread, name)
            inside += low - HALF <= paper <= high + HALF
            widths.append(high - low)
    exact = sum(cell.ok for cell in cells)
    candidates = found.search.candidates
    return HoldOut(table, candidates, exact, inside, len(cells), float(np.median(widths)))


def information() -> pd.DataFrame:
    """Equations and rank of each candidate: what the valuation and welfare cells determine."""
    system = recovered().system
    pairs = zip(system.columns, system.assignment, strict=True)
    distinct = {(c.table, c.cells): (c, k) for c, k in pairs}.values()
    lines = []
    for k in range(system.candidates):
        weights = [w for c, j in distinct if j == k for w in (c.own, c.own + c.others)]
        rank = int(np.linalg.matrix_rank(np.array(weights)))
        lines.append({"candidate": f"c{k + 1}", "unknowns": 3, "equations": len(weights),
                      "rank": rank})  # fmt: skip
    return pd.DataFrame(lines)


def nearest_models(*methods: str) -> pd.DataFrame:
    """For every recovered candidate, the closest real model of these methods in max norm.

    The real models are min-max normalised over the same methods.
    """
    frame = soups_frame(*methods).reset_index(drop=True)
    names = [f"{m} {name}" for m in dict.fromkeys(frame.method) for name in model_names(m)]
    lines = []
    for k, row in enumerate(recovered().rows):
        distances = np.abs(frame[list(REWARDS)].to_numpy() - row).max(axis=1)
        j = int(distances.argmin())
        lines.append({"candidate": f"c{k + 1}", "nearest model": names[j],
                      "distance": distances[j]})  # fmt: skip
    return pd.DataFrame(lines)


def seen_rows_suffice() -> pd.DataFrame:
    """Ask real models whether the rows chosen in Tables 2, 4 and 6 predict Tables 3 and 5.

    For each set of methods the mechanism runs on all its models (the truth) and on those alone that
    some published column chose (what a recovery would have found); the cells are compared.
    """
    lines = []
    for methods in (*((m,) for m in METHODS), ("RS", "MOD"), METHODS):
        rows = soups_frame(*methods)[list(REWARDS)].to_numpy()
        seen = sorted({run_mechanism(rows, column).chosen for column in published_columns()})
        for table in ("table3", "table5"):
            errors = []
            for column in (c for c in wanted_columns() if c.table == table):
                full, part = run_mechanism(rows, column), run_mechanism(rows[seen], column)
                errors.append(max(abs(getattr(full, c) - getattr(part, c)) for c in CELLS))
            lines.append({"models": " + ".join(methods), "table": table, "rows seen": len(seen),
                          "columns": len(errors), "exact": int(np.sum(np.array(errors) < 1e-9)),
                          "largest error": max(errors)})  # fmt: skip
    return pd.DataFrame(lines)
