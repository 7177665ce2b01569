"""Other readings of Tables 2, 4 and 6, put to the same cells, to see which can be refuted.

Each function changes one assumption of `reproduction` (a divergence term, another meaning of beta,
other preferences in Table 6, one wrong cell) and asks the linear programs again.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mechanism import CandidateGame, affine_maximizer_payments, misreports, sw_max
from mechanism.core.errors import Floats
from mechanism.experiments.published.linear_system import (
    MIXTURE,
    SCALING,
    Column,
    System,
    all_distinct,
    least_half_width,
)
from mechanism.experiments.published.recovery import find_assignments
from mechanism.experiments.published.reproduction import (
    CELLS,
    REWARDS,
    TABLE_6,
    published_columns,
    recovered,
)

BETA_MEANINGS = {
    "plain scaling, beta rm1": SCALING,
    "mixture with rm2 (Strategy 2)": MIXTURE,
    "mixture with rm3": (0.0, 0.0, 1.0),
    "mixture with the mean of rm2 and rm3": (0.0, 0.5, 0.5),
}


def divergence_bounds() -> pd.DataFrame:
    """Greatest cost D_k >= 0 that the cells leave room for, and the welfare beside it."""
    found = recovered()
    costly = replace(found.system, divergence="welfare")
    lines = []
    for k in range(costly.candidates):
        welfare = [
            column.cells[2]
            for column, j in zip(costly.columns, costly.assignment, strict=True)
            if j == k and column.cells
        ]
        low, high = costly.interval(costly.cost(k)) or (np.nan, np.nan)
        lines.append({"candidate": f"c{k + 1}", "columns": len(welfare), "least cost": low,
                      "greatest cost": high, "least welfare shown": min(welfare)})  # fmt: skip
    return pd.DataFrame(lines)


def divergence_spread() -> float:
    """Greatest |D_k - D_j| that the cells allow where printed welfare leaves the cost out.

    The cost is then in the choice and the payment alone, so that only differences can be seen.
    """
    system = replace(recovered().system, divergence="utility")
    pairs = itertools.combinations(range(system.candidates), 2)
    ends = [system.interval(system.cost(k) - system.cost(j)) or (np.nan, np.nan) for j, k in pairs]
    return float(np.abs(ends).max())


def printed_with_cost(k: int, cost: float) -> System:
    """The system that a paper's tables would give if candidate k cost that much divergence.

    The recovered rows are taken as the truth; the cost is in the choice, the payment, the printed
    utility and the printed welfare, but not among the system's unknowns.
    """
    found = recovered()
    costs = cost * (np.arange(len(found.rows)) == k)
    columns, winners = [], []
    for column in published_columns():
        values = CandidateGame(column.preferences @ found.rows.T, column.sizes, costs)
        reported = misreports.scale_size(values, 0, column.value)  # what beta means too
        chosen = sw_max(reported)
        own = float(values.sizes[0] * values.valuations(chosen)[0])
        utility = own - float(affine_maximizer_payments(reported)[0])
        cells = round(own, 2), round(utility, 2), round(float(values.welfare(chosen)), 2)
        columns.append(replace(column, cells=cells))
        winners.append(int(chosen))
    return System(tuple(columns), tuple(winners), len(found.rows))


def beta_meanings(*tables: str) -> pd.DataFrame:
    """Whether any candidates at all fit each meaning of beta, and the half width they would need.

    Every column has a candidate of its own here, so a refutation does not depend on merging.
    """
    lines = []
    for name, blend in BETA_MEANINGS.items():
        system = all_distinct(published_columns(*tables, blend=blend))
        width = least_half_width(system)
        lines.append({"beta means": name, "feasible": system.feasible, "half width needed": width})
    return pd.DataFrame(lines)


def fewest_with_costs(blend: tuple[float, float, float]) -> int:
    """Fewest candidates, each with a free cost D_k >= 0, under a meaning of beta; 0 if none fit."""
    return find_assignments(
        published_columns(blend=blend), divergence="welfare", least=6
    ).candidates


def some_columns(
    *wanted: tuple[str, float], blend: tuple[float, float, float] = SCALING
) -> tuple[Column, ...]:
    """The published columns with these (table, value) pairs."""
    return tuple(c for c in published_columns(blend=blend) if (c.table, c.value) in wanted)


def effective_scales(beta: float, grid: Floats) -> Floats:
    """Factors p such that the column of Table 4 at `beta` fits the report p rm_1.

    The other misreports of Table 4 are left out, so that only this column speaks.
    """
    found = recovered().system
    kept = [
        (column, k)
        for column, k in zip(found.columns, found.assignment, strict=True)
        if column.table != "table4" or column.value in (1.0, beta)
    ]
    chosen = tuple(k for _, k in kept)
    fits = []
    for p in grid:
        columns = tuple(
            replace(c, value=p) if (c.table, c.value) == ("table4", beta) else c for c, _ in kept
        )
        fits.append(System(columns, chosen, found.candidates).feasible)
    return grid[np.array(fits)]


def perturbed(index: int, cell: int, change: float) -> tuple[Column, ...]:
    """The published columns with one cell changed: a typing error that recovery should notice."""
    columns = list(published_columns())
    valuation, utility, welfare = np.eye(3)[cell] * change + np.array(columns[index].cells)
    columns[index] = replace(columns[index], cells=(valuation, utility, welfare))
    return tuple(columns)


def noticed(change: float) -> pd.DataFrame:
    """For every cell: whether changing it by `change` leaves no six candidates as assigned."""
    found = recovered().system
    count = len(found.columns)
    lines = [
        [
            not System(perturbed(i, cell, change), found.assignment, found.candidates).feasible
            for cell in range(3)
        ]
        for i in range(count)
    ]
    names = [f"{c.table} {c.parameter}={c.value:g}" for c in found.columns]
    return pd.DataFrame(lines, index=names, columns=list(CELLS))


def mixes(share: float = 0.8) -> dict[str, Floats]:
    """What a group may value: one reward, or `share` of one and the rest of another."""
    named = {name: np.eye(3)[i] for i, name in enumerate(REWARDS)}
    for a, b in itertools.permutations(range(3), 2):
        label = f"{share:g} {REWARDS[a]} + {1 - share:.2g} {REWARDS[b]}"
        named[label] = share * np.eye(3)[a] + (1 - share) * np.eye(3)[b]
    return named


def preference_scan(names: Sequence[str] | None = None) -> pd.DataFrame:
    """Every combination of what the three groups of Table 6 may value, and whether it fits.

    Parameters
    ----------
    names : sequence of str, optional
        Labels out of `mixes()` for the first two groups, humor for the third; by default all
        9 x 9 x 9 combinations (about a minute).
    """
    known = mixes()
    first = list(names or known)
    third = ["humor"] if names else list(known)
    lines = []
    for groups in itertools.product(first, first, third):
        preferences = np.array([known[name] for name in groups])
        fits = all_distinct(published_columns(mixes=preferences)).feasible
        lines.append(dict(zip(("group 1", "group 2", "group 3"), groups, strict=True)) | {
            "fits": fits})  # fmt: skip
    return pd.DataFrame(lines)


def mix_coefficients(grid: Floats) -> Floats:
    """Shares s such that groups 1 and 2 of Table 6 can value s and 1 - s of the two rewards."""
    found = recovered().system
    fits = []
    for share in grid:
        preferences = np.array([[1 - share, share, 0], [share, 1 - share, 0], TABLE_6[2]])
        columns = published_columns(mixes=preferences)
        fits.append(System(columns, found.assignment, found.candidates).feasible)
    return grid[np.array(fits)]
