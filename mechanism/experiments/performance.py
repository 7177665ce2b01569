"""How fast the library is, as `make bench` recorded it: growth, floors, and what misses its target.

The times are of one machine; ratios hold better, since both sides ran in turn. What is derived here
is derived from the recorded table alone.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from mechanism.places import results

__all__ = [
    "RESULTS", "exponent", "floors", "growth", "provenance", "recorded", "seconds_for", "summary",
    "verdicts",
]  # fmt: skip
RESULTS = results("performance")
LARGE = 10**4  # outcomes, or prompts, from which fixed costs count for little


def recorded() -> pd.DataFrame:
    """The recorded table, a line a figure; `benchmarks.timing.Row` says what its columns are."""
    return pd.read_csv(RESULTS / "table.csv", keep_default_na=True).fillna(
        {"beside": "", "target": ""}
    )


def provenance() -> dict[str, Any]:
    """Command, date, hardware and versions of the recorded table."""
    return json.loads((RESULTS / "provenance.json").read_text(encoding="utf-8"))


def exponent(sizes: pd.Series, seconds: pd.Series) -> float:
    r"""Exponent k of :math:`t \propto s^k`, by least squares in logarithms.

    >>> round(exponent(pd.Series([1, 10, 100]), pd.Series([2.0, 20.0, 200.0])), 9)
    1.0
    """
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth(table: pd.DataFrame) -> pd.DataFrame:
    """Fitted exponents: of a solve in m, of payments in n, of price and audit in prompts and n."""
    cases = [
        ("solve", "m", table[(table.part == "solve") & (table.m >= LARGE)]),
        ("payments", "n", table[(table.part == "payments") & (table.n >= 5)]),
    ]
    for command in ("price", "audit"):
        lines = table[table.part == command]
        cases.append((command, "games", lines[(lines.n == lines.n.min()) & (lines.games >= LARGE)]))
        cases.append((command, "n", lines[(lines.games == LARGE) & (lines.n >= 5)]))
    found = [
        (part, subject, axis, exponent(lines[axis], lines.seconds))
        for part, axis, some in cases
        for subject, lines in some.groupby("subject", sort=False)
    ]
    return pd.DataFrame(found, columns=["part", "subject", "grows with", "exponent"])


def seconds_for(table: pd.DataFrame, outcomes: float) -> pd.Series:
    """Seconds that so many outcomes would take on one core, each divergence, by calculation.

    In pieces of the largest m that was timed: a game needs one multiplier for all of them, but the
    work an outcome takes stays.
    """
    solves = table[table.part == "solve"]
    largest = solves[solves.m == solves.m.max()].set_index("subject")
    return largest.seconds / largest.m * outcomes


def floors(table: pd.DataFrame) -> pd.DataFrame:
    """Each divergence at m = 10^6 in units of softmax: solve, last step alone, and target."""
    large = table[(table.part == "solve") & (table.m == 10**6)].set_index("subject")
    floor = table[table.part == "floor"].set_index("subject").ratio[large.index]
    target = large.target.str.split().str[1].astype(float)
    columns = {"solve": large.ratio, "floor": floor, "passes": large.ratio / floor}
    return pd.DataFrame(columns | {"target": target})


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Every figure with a target: the figure, the target, whether it is met and by what factor.

    The margin is above 1 where the target is met.
    """
    lines = table[table.target != ""].copy()
    parts = lines.target.str.split()
    bound = parts.str[1].astype(float)
    absolute = parts.str.len() == 3
    lines["figure"] = lines.seconds.where(absolute, lines.ratio)
    upward = parts.str[0] == ">="
    lines["margin"] = (lines.figure / bound).where(upward, bound / lines.figure)
    columns = ["part", "subject", "figure", "low", "high", "beside", "target", "margin", "met"]
    return lines[columns]


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Verdicts, a line a part and target: how many are met, and the figure of the least margin."""
    lines = []
    for (part, target), some in found.groupby(["part", "target"], sort=False):
        worst = some.loc[some.margin.idxmin()]
        counts = f"{int(some.met.sum())} of {len(some)}"
        lines.append(
            (part, target, worst.beside, counts, worst.subject, worst.figure, worst.margin)
        )
    columns = ["part", "target", "of what", "met", "nearest or worst", "figure", "margin"]
    return pd.DataFrame(lines, columns=columns)
