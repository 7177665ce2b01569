r"""What the published cells of Tables 2, 4 and 6 say about the candidates, as linear constraints.

Unknown are the rewards :math:`x_k \in [0,1]^3` of every candidate that was ever chosen and the
pivot term :math:`P_t = \max_k ASW_{-1}(x_k)` of every table. Once each published column is assigned
to a candidate, all that is known is linear in them, and every question is a linear program (HiGHS).
Source: the cells of Tables 2, 4 and 6, arXiv:2405.16276v4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import linprog

from mechanism.core.errors import Floats

Constraint: TypeAlias = tuple[Floats, float]  # lhs . z <= rhs
Interval: TypeAlias = tuple[float, float]
Assignment: TypeAlias = tuple[int, ...]  # candidate of each column
DivergenceIn: TypeAlias = Literal["nothing", "welfare", "utility"]

HALF = 0.005 + 1e-9  # half width of a cell that was rounded to two decimals
WIDEST = 1.0  # a half width at which every system is feasible
SCALING = (0.0, 0.0, 0.0)
MIXTURE = (0.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Column:
    r"""One column of a table: who plays, what group 1 reports, and the cells if published.

    Attributes
    ----------
    table, parameter, value
        e.g. "table2", "alpha", 0.2.
    sizes : ndarray, shape (3,)
    preferences : ndarray, shape (3 groups, 3 rewards)
        What each group values, in the order helpful, harmless, humor.
    cells : tuple of 3 floats, optional
        Published valuation, utility and social welfare.
    blend : tuple of 3 floats
        A beta report is beta rm_1 + (1 - beta) sum_j blend_j rm_j: `SCALING` or `MIXTURE`.
    """

    table: str
    parameter: str
    value: float
    sizes: Floats
    preferences: Floats
    cells: tuple[float, float, float] | None = None
    blend: tuple[float, float, float] = SCALING

    @property
    def own(self) -> Floats:
        """Weights of w_1 v_1 on the three rewards, shape (3,)."""
        return self.sizes[0] * self.preferences[0]

    @property
    def others(self) -> Floats:
        """Weights of ASW_-1, shape (3,)."""
        return self.sizes[1:] @ self.preferences[1:]

    @property
    def report(self) -> Floats:
        """Weights of the reported sum that the chosen candidate maximises, shape (3,)."""
        report = self.value * self.own + self.others
        if self.parameter == "beta":
            report = report + (1 - self.value) * self.sizes[0] * (self.blend @ self.preferences)
        return report


@dataclass(frozen=True, eq=False)
class System:
    """Linear constraints on z = (candidates' rewards, P of each table, costs D, half width).

    Attributes
    ----------
    columns, assignment
        Published columns and the candidate chosen in each.
    candidates : int
        Number of candidates; those that no column chose are only known not to have won.
    half : float
        Greatest half width of a rounded cell.
    divergence : {"nothing", "welfare", "utility"}
        Whether a cost D_k >= 0 of each candidate is subtracted: nowhere; everywhere; everywhere but
        in the printed social welfare.
    extra : tuple of (lhs, rhs)
        Further rows lhs . z <= rhs.
    """

    columns: tuple[Column, ...]
    assignment: Assignment
    candidates: int
    half: float = HALF
    divergence: DivergenceIn = "nothing"
    extra: tuple[Constraint, ...] = ()

    @cached_property
    def tables(self) -> Mapping[str, Column]:
        """A column of each table, by name."""
        return dict(sorted({c.table: c for c in reversed(self.columns)}.items()))

    @property
    def unknowns(self) -> int:
        """Length of z."""
        costs = 0 if self.divergence == "nothing" else self.candidates
        return 3 * self.candidates + len(self.tables) + costs + 1

    def reward(self, weights: Floats, k: int, cost: bool = True) -> Floats:
        """Row of z that stands for weights . x_k, less D_k where costs are in the system."""
        row = np.zeros(self.unknowns)
        row[3 * k : 3 * k + 3] = weights
        if cost and self.divergence != "nothing":
            row[-1 - self.candidates + k] = -1.0
        return row

    def cost(self, k: int) -> Floats:
        """Row of z that stands for D_k."""
        return -self.reward(np.zeros(3), k)

    def coordinate(self, k: int, reward: int) -> Floats:
        """Row of z that stands for one reward of candidate k."""
        return self.reward(np.eye(3)[reward], k, cost=False)

    def pivot(self, table: str) -> Floats:
        """Row of z that stands for P of a table."""
        row = np.zeros(self.unknowns)
        row[3 * self.candidates + list(self.tables).index(table)] = 1.0
        return row

    @property
    def half_width(self) -> Floats:
        """Row of z that stands for the half width that is used."""
        return np.eye(self.unknowns)[-1]

    def wins(self, weights: Floats, k: int) -> tuple[Constraint, ...]:
        """Candidate k maximises weights . x - D."""
        rivals = [j for j in range(self.candidates) if j != k]
        return tuple((self.reward(weights, j) - self.reward(weights, k), 0.0) for j in rivals)

    def with_rows(self, *rows: Constraint) -> "System":
        """Add rows lhs . z <= rhs."""
        larger = replace(self, extra=(*self.extra, *rows))
        larger.__dict__["_base"] = self._base  # the costly part is the same: hand the cache on
        return larger

    def _rows(self) -> Iterator[Constraint]:
        for column, k in zip(self.columns, self.assignment, strict=True):
            total = column.own + column.others
            welfare = self.reward(total, k, cost=self.divergence == "welfare")
            utility = self.reward(total, k) - self.pivot(column.table)
            shown = self.reward(column.own, k, cost=False), utility, welfare
            for row, cell in zip(shown, column.cells or (), strict=True):
                yield row - self.half_width, cell
                yield -row - self.half_width, -cell
            yield from self.wins(column.report, k)
        for table, column in self.tables.items():
            for j in range(self.candidates):
                yield self.reward(column.others, j) - self.pivot(table), 0.0

    @cached_property
    def _base(self) -> tuple[Floats, Floats]:
        left, right = zip(*self._rows(), strict=True)
        return np.array(left), np.array(right)

    @cached_property
    def matrices(self) -> tuple[Floats, Floats]:
        """All constraints as A z <= b."""
        left, right = self._base
        if not self.extra:
            return left, right
        more, bounds = zip(*self.extra, strict=True)
        return np.vstack([left, *more]), np.append(right, bounds)

    def minimum(self, objective: Floats) -> float | None:
        """Least objective . z; None where the system is infeasible, -inf where unbounded."""
        left, right = self.matrices
        bounds = np.full((self.unknowns, 2), (0.0, np.inf))
        bounds[: 3 * self.candidates] = 0.0, 1.0
        bounds[3 * self.candidates :][: len(self.tables)] = -np.inf, np.inf
        bounds[-1] = 0.0, self.half
        answer = linprog(objective, A_ub=left, b_ub=right, bounds=bounds, method="highs")
        if answer.status not in (0, 2, 3):
            raise RuntimeError(f"linear program not solved: {answer.message}")
        return {0: answer.fun, 2: None, 3: -np.inf}[answer.status]

    @property
    def feasible(self) -> bool:
        """Whether some candidates satisfy everything."""
        return self.minimum(np.zeros(self.unknowns)) is not None

    def interval(self, objective: Floats) -> Interval | None:
        """Least and greatest objective . z, or None where infeasible."""
        low, high = self.minimum(objective), self.minimum(-objective)
        return None if low is None or high is None else (low, -high)


def least_half_width(system: System) -> float:
    """Least half width of the cells at which the system is feasible; above 0.005: refuted."""
    found = replace(system, half=WIDEST).minimum(system.half_width)
    return float("inf") if found is None else found


def all_distinct(columns: tuple[Column, ...], half: float = HALF) -> System:
    """Every column has a candidate of its own: contains every merging, and unseen candidates."""
    return System(columns, tuple(range(len(columns))), len(columns), half)
