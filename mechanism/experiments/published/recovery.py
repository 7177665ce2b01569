r"""Tables 2, 4 and 6 read backwards: recover the candidates' rewards, then predict other columns.

The published columns are merged into the fewest candidates that linear programming allows; each
reward then has an interval, and any further column of the same candidates one too.
Source: the cells of Tables 2, 4 and 6, arXiv:2405.16276v4.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mechanism.core.errors import Floats
from mechanism.experiments.published.linear_system import (
    HALF,
    Assignment,
    Column,
    DivergenceIn,
    Interval,
    System,
)


@dataclass(frozen=True)
class Search:
    """Result of `find_assignments`: all assignments with the fewest candidates.

    Attributes
    ----------
    candidates : int
        The fewest that do; 0 where none do.
    found : tuple of assignments
    programs : int
        Linear programs that were solved.
    """

    candidates: int
    found: tuple[Assignment, ...]
    programs: int


def find_assignments(
    columns: tuple[Column, ...], half: float = HALF, divergence: DivergenceIn = "nothing",
    least: int = 1,
) -> Search:  # fmt: skip
    """Search all ways to merge published columns into candidates, with the fewest (>= `least`).

    Equal cells in one table are one candidate, different cells are two. A partial assignment that
    is infeasible is never extended, so the search is complete.
    """
    keys = list(dict.fromkeys((c.table, c.cells) for c in columns))
    item = [keys.index((c.table, c.cells)) for c in columns]
    programs = 0

    def extend(done: Assignment, limit: int) -> Iterator[Assignment]:
        nonlocal programs
        if len(done) == len(keys):
            yield done
            return
        table, count = keys[len(done)][0], len(set(done))
        taken = {k for k, key in zip(done, keys, strict=False) if key[0] == table}
        for k in range(min(count + 1, limit)):
            if k in taken:
                continue
            new = (*done, k)
            part = [(c, new[i]) for c, i in zip(columns, item, strict=True) if i < len(new)]
            some, chosen = zip(*part, strict=True)
            programs += 1
            if System(some, chosen, max(count, k + 1), half, divergence).feasible:
                yield from extend(new, limit)

    for limit in range(least, len(keys) + 1):
        found = [new for new in extend((), limit) if len(set(new)) == limit]
        if found:
            return Search(limit, tuple(tuple(new[i] for i in item) for new in found), programs)
    return Search(0, (), programs)


def named_leave_one_out(system: System) -> tuple[System, ...]:
    """One system for each way to say which candidate attains the pivot term of every table."""

    def attained(system: System, table: str, k: int) -> System:
        row = system.reward(system.tables[table].others, k) - system.pivot(table)
        return system.with_rows((row, 0.0), (-row, 0.0))

    options = [
        [(table, k) for k in range(system.candidates) if attained(system, table, k).feasible]
        for table in system.tables
    ]
    closed = []
    for choice in itertools.product(*options):
        candidate = system
        for table, k in choice:
            candidate = attained(candidate, table, k)
        if candidate.feasible:
            closed.append(candidate)
    return tuple(closed)


def corners(system: System, width: float = 0.01) -> dict[tuple[int, int], float]:
    """Rewards whose narrow interval touches 0 or 1: where min-max puts exact zeros and ones.

    Returns
    -------
    dict
        (candidate, reward) to 0.0 or 1.0.
    """
    found = {}
    for k, i in itertools.product(range(system.candidates), range(3)):
        low, high = system.interval(system.coordinate(k, i)) or (0.0, 1.0)
        if high - low <= width and (low < 1e-6 or high > 1 - 1e-6):
            found[k, i] = float(high > 0.5)
    return found


def room(system: System) -> float:
    """Sum of the widths of all rewards' intervals."""
    widths = [
        np.ptp(system.interval(system.coordinate(k, i)) or (0.0, 0.0))
        for k, i in np.ndindex(system.candidates, 3)
    ]
    return round(float(sum(widths)), 6)


def central_rows(system: System, margin: float = 0.0002) -> Floats:
    """One central solution, shape (candidates, 3).

    The cells are narrowed by `margin`; corners come as close to exact zeros and ones as that
    allows; of the namings of the pivot terms that tie, the one that leaves most room is taken; then
    one coordinate after the other is put in the middle of what is left.
    """
    ends = corners(system)
    tight = replace(system, half=system.half - margin)
    away = np.zeros(tight.unknowns)
    for (k, i), v in ends.items():
        away += tight.coordinate(k, i) * (1 - 2 * v)
    near = []
    for closed in named_leave_one_out(tight):
        distance = closed.minimum(away)
        if distance is not None:
            near.append((distance, closed.with_rows((away, distance + 1e-7))))
    _, best = min(near, key=lambda pair: (round(pair[0], 6), -room(pair[1])))
    rows = np.zeros((system.candidates, 3))
    for k, i in itertools.product(range(system.candidates), range(3)):
        coordinate = best.coordinate(k, i)
        middle = sum(best.interval(coordinate) or (0.0, 1.0)) / 2
        best = best.with_rows((coordinate, middle + 1e-7), (-coordinate, 1e-7 - middle))
        rows[k, i] = middle
    return np.clip(rows, 0.0, 1.0).round(5)


@dataclass(frozen=True, eq=False)
class Recovery:
    """Candidates recovered from published columns, in increasing order of their first reward.

    Attributes
    ----------
    search : Search
        How many assignments exist, and how many linear programs that took.
    system : System
        The constraints under the one assignment that was found.
    closed : tuple of System
        The same with a candidate named for every pivot term: one for each possible naming.
    rows, low, high : ndarray, shape (candidates, 3)
        A central solution and the least and greatest value of every reward.
    """

    search: Search
    system: System
    closed: tuple[System, ...]
    rows: Floats
    low: Floats
    high: Floats


def recover(columns: tuple[Column, ...], half: float = HALF) -> Recovery:
    """Recover the candidates behind published columns.

    Raises
    ------
    ValueError
        The cells allow no candidates, or several assignments with the fewest candidates.
    """
    search = find_assignments(columns, half)
    if len(search.found) != 1:
        raise ValueError(f"{len(search.found)} assignments fit the cells; exactly 1 is needed")
    system = System(columns, search.found[0], search.candidates, half)
    first = [sum(system.interval(system.coordinate(k, 0)) or ()) for k in range(system.candidates)]
    rank = [int(k) for k in np.argsort(np.argsort(first))]
    system = replace(system, assignment=tuple(rank[k] for k in system.assignment))
    closed = named_leave_one_out(system)
    shape = system.candidates, 3
    bounds = [
        hull(s.interval(s.coordinate(k, i)) for s in closed) or (0.0, 1.0)
        for k, i in np.ndindex(shape)
    ]
    low, high = np.array(bounds).T.reshape(2, *shape)
    return Recovery(search, system, closed, central_rows(system), low, high)


def hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """Least interval that holds all given ones; None where there are none.

    >>> hull([(0.0, 1.0), None, (0.5, 2.0)])
    (0.0, 2.0)
    """
    given = [interval for interval in intervals if interval is not None]
    if not given:
        return None
    return min(low for low, _ in given), max(high for _, high in given)


@dataclass(frozen=True)
class Range:
    """What an unpublished column can be, over every solution of the constraints.

    Attributes
    ----------
    chosen : tuple of int
        Candidates that can be the chosen one.
    valuation, utility, social_welfare : tuple of two floats
    """

    chosen: tuple[int, ...]
    valuation: Interval
    utility: Interval
    social_welfare: Interval


def predict_range(systems: tuple[System, ...], column: Column) -> Range:
    """Range of a column's cells: the union over the chosen and the leave-one-out candidate."""
    total = column.own + column.others
    chosen: list[int] = []
    cells: list[tuple[Interval | None, ...]] = []
    for system in systems:
        for k in range(system.candidates):
            won = system.with_rows(*system.wins(column.report, k))
            if not won.feasible:
                continue
            chosen.append(k)
            valuation, welfare = won.reward(column.own, k), won.reward(total, k)
            for j in range(system.candidates):
                both = won.with_rows(*won.wins(column.others, j))
                utility = both.interval(welfare - both.reward(column.others, j))
                cells.append((None, utility, None))
            cells.append((won.interval(valuation), None, won.interval(welfare)))
    ranges = [hull(part) or (np.nan, np.nan) for part in zip(*cells, strict=True)]
    return Range(tuple(sorted(set(chosen))), *ranges)
