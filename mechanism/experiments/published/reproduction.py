"""Tables 2 to 6: recover the candidates, run the mechanism on them, compare and predict.

`predictions` gives Tables 3 and 5 from the cells of Tables 2, 4 and 6 alone; what was recorded of
them before the two tables were opened is scored by `forecast`. `reproduce` compares all 90
published cells, with candidates that are recovered from all five tables. Deterministic; nothing is
drawn at random.
Source: Appendix with Tables 2 to 6, arXiv:2405.16276v4.
"""

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from mechanism import CandidateGame, affine_maximizer_payments, misreports, sw_max
from mechanism.core.errors import Floats
from mechanism.experiments.cells import Cell
from mechanism.experiments.published.linear_system import SCALING, Column, System
from mechanism.experiments.published.recovery import Range, Recovery, predict_range, recover
from mechanism.places import results

REWARDS = ("helpful", "harmless", "humor")
CELLS = ("valuation", "utility", "social_welfare")
TWO_DECIMALS = 0.005  # a cell is met when it agrees after rounding
RESULTS = results("published")

# Who values what. Tables 2 to 5: helpfulness, harmlessness, humor. Which group of Table 6 values
# which 0.8/0.2 mix is itself a finding, see `hypotheses.preference_scan`.
SINGLE = np.eye(3)
TABLE_6 = np.array([[0.2, 0.8, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 1.0]])

WANTED = (
    ("table3", (4, 5, 3), "alpha", (0.2, 0.5, 1.0, 1.5, 2.0, 3.0)),
    ("table5", (3, 1, 4), "beta", (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)),
)


def published_frame() -> pd.DataFrame:
    """The 18 published columns of Tables 2, 4 and 6, one a row: what the predictions rest on."""
    return pd.read_csv(str(files("mechanism") / "data" / "published_tables.csv"))


def opened_frame() -> pd.DataFrame:
    """The 12 published columns of Tables 3 and 5, which no prediction has seen."""
    name = files("mechanism") / "data" / "published_tables_3_5.csv"
    return pd.read_csv(str(name), comment="#")


def preferences(table: str) -> Floats:
    """What the three groups of a table value, shape (3 groups, 3 rewards)."""
    return TABLE_6 if table == "table6" else SINGLE


def published_columns(
    *tables: str, blend: tuple[float, float, float] = SCALING, mixes: Floats = TABLE_6
) -> tuple[Column, ...]:
    """Published columns of the named tables (all where none is named).

    Parameters
    ----------
    blend
        What beta is taken to mean, see `Column`.
    mixes : ndarray, shape (3, 3)
        What the groups of Table 6 are taken to value.
    """
    frame = published_frame()
    return tuple(
        Column(
            row.table, row.parameter, row.value, np.array([row.w1, row.w2, row.w3], float),
            mixes if row.table == "table6" else SINGLE,
            (row.valuation, row.utility, row.social_welfare), blend,
        )
        for row in frame[frame.table.isin(tables or frame.table.unique())].itertuples()
    )  # fmt: skip


def wanted_columns() -> tuple[Column, ...]:
    """Columns of Tables 3 and 5, without cells."""
    return tuple(
        Column(table, parameter, value, np.array(sizes, float), preferences(table))
        for table, sizes, parameter, values in WANTED
        for value in values
    )


def opened_columns() -> tuple[Column, ...]:
    """Columns of Tables 3 and 5 with their published cells."""
    cells = {
        (row.table, row.value): (row.valuation, row.utility, row.social_welfare)
        for row in opened_frame().itertuples()
    }
    return tuple(replace(c, cells=cells[c.table, c.value]) for c in wanted_columns())


def all_columns() -> tuple[Column, ...]:
    """All 30 published columns of Tables 2 to 6."""
    return published_columns() + opened_columns()


@cache
def refitted() -> Recovery:
    """Candidates recovered from all five tables."""
    return recover(all_columns())


@cache
def recovered(*tables: str) -> Recovery:
    """Candidates recovered from the named tables (all three where none is named)."""
    return recover(published_columns(*tables))


@dataclass(frozen=True)
class Outcome:
    """The mechanism's answer to one report of group 1: what a published column shows.

    Attributes
    ----------
    chosen : int
        Index of the chosen candidate.
    valuation : float
        w_1 v_1 of the true reward.
    utility : float
        valuation - payment.
    social_welfare : float
        sum_i w_i v_i of the true rewards.
    """

    chosen: int
    valuation: float
    utility: float
    social_welfare: float


def run_mechanism(rows: Floats, column: Column) -> Outcome:
    """Run SW-Max and affine maximizer payments on candidates (k, 3) under a column's report.

    >>> column = Column("table2", "alpha", 1.0, np.array([1.0, 1, 1]), SINGLE)
    >>> run_mechanism(np.array([[1.0, 0, 0], [0, 0.7, 0.7]]), column).chosen
    1
    """
    truth = CandidateGame(column.preferences @ rows.T, column.sizes)
    if column.parameter == "alpha":
        reported = misreports.scale_size(truth, 0, column.value)
    else:
        mixed = column.value * column.preferences[0]
        mixed = mixed + (1 - column.value) * (np.array(column.blend) @ column.preferences)
        reported = truth.with_report(0, reward=mixed @ rows.T)
    chosen = sw_max(reported)
    utilities = truth.utilities(chosen, affine_maximizer_payments(reported))
    valuation = truth.sizes[0] * truth.valuations(chosen)[0]
    return Outcome(int(chosen), float(valuation), float(utilities[0]), float(truth.welfare(chosen)))


def compare(rows: Floats, columns: tuple[Column, ...]) -> list[Cell]:
    """Run the mechanism on candidates and compare every published cell of the columns."""
    cells = []
    for column in columns:
        ours = run_mechanism(rows, column)
        label = f"{column.parameter}={column.value:g}"
        for name, paper in zip(CELLS, column.cells or (), strict=True):
            value = float(getattr(ours, name))
            error = abs(value - paper)
            relative = error / abs(paper) if paper else None
            ok = abs(round(value, 2) - paper) < 1e-9
            row = column.table, label, name, paper, value, error, relative, TWO_DECIMALS, ok
            cells.append(Cell(*row))
    return cells


def reproduce() -> list[Cell]:
    """All 90 published cells of Tables 2 to 6 beside those of the candidates of all five."""
    return compare(refitted().rows, all_columns())


def candidates_frame(found: Recovery | None = None) -> pd.DataFrame:
    """Recovered candidates with the interval of each reward; by default those of three tables."""
    found = found or recovered()
    parts = {"candidate": [f"c{k + 1}" for k in range(len(found.rows))]}
    frame = pd.DataFrame(parts)
    for i, name in enumerate(REWARDS):
        frame[name] = found.rows[:, i]
        frame[f"{name}_low"] = np.clip(found.low[:, i], 0, 1)
        frame[f"{name}_high"] = np.clip(found.high[:, i], 0, 1)
    return frame


def predicted_row(column: Column, value: Outcome, spread: Range) -> dict[str, object]:
    """One line of predictions.csv."""
    w1, w2, w3 = (int(w) for w in column.sizes)
    line: dict[str, object] = dict(
        table=column.table, w1=w1, w2=w2, w3=w3, parameter=column.parameter, value=column.value
    )
    for name in CELLS:
        low, high = getattr(spread, name)
        line |= {name: getattr(value, name), f"{name}_low": low, f"{name}_high": high}
    return line


@cache
def predictions() -> pd.DataFrame:
    """Tables 3 and 5, conditional on the chosen candidates being among the recovered ones."""
    found = recovered()
    lines = [
        predicted_row(
            column, run_mechanism(found.rows, column), predict_range(found.closed, column)
        )
        for column in wanted_columns()
    ]
    return pd.DataFrame(lines)


def predictions_with_unseen() -> pd.DataFrame:
    """Tables 3 and 5 where two candidates that no published column chose may win or set the pivot.

    Two are enough: one to be chosen, one to be the leave-one-out optimum.
    """
    found = recovered()
    larger = replace(found.system, candidates=found.system.candidates + 2)
    return _frame_of_wanted(found.rows, (larger,))


def _frame_of_wanted(rows: Floats, systems: tuple[System, ...]) -> pd.DataFrame:
    lines = []
    for column in wanted_columns():
        spread = predict_range(systems, column)
        lines.append(predicted_row(column, run_mechanism(rows, column), spread))
    frame = pd.DataFrame(lines)
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = frame[numbers].round(6) + 0.0  # no minus zeros
    return frame


def recorded(name: str) -> pd.DataFrame:
    """A table that `record.write` left in ``results/published``."""
    return pd.read_csv(RESULTS / name)
