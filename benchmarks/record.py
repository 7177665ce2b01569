"""`make bench`: one table of every figure, recorded, and an exit code that says what was missed.

Everything is timed beside what it is compared with, in rounds that alternate, so that ratios hold
on a machine that does other things too. Nothing here is a test.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import others, solving, whole
from benchmarks.timing import Row
from mechanism import folders
from mechanism.experiments import performance
from mechanism.provenance import origin, processor

PACKAGES = (
    "mechanism",
    "numpy",
    "scipy",
    "numba",
    "torch",
    "cvxpy",
    "clarabel",
    "joblib",
    "duckdb",
)
PARTS = (solving, others, whole)
Name = StrEnum("Name", [part.__name__.rpartition(".")[2] for part in PARTS])
Only = Annotated[
    list[Name] | None,
    typer.Option(help="Run these files of the benchmark alone, and record nothing; repeatable."),
]


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows as a table with a column `met`."""
    return pd.DataFrame([asdict(row) | {"met": row.met} for row in rows])


def write(rows: Sequence[Row], seconds: float, load: float) -> None:
    """Record the table, where it comes from, how busy the machine was before, and its figure."""
    from mechanism.figures.performance import plot_scaling
    from mechanism.plotting import use_style

    place = performance.RESULTS
    place.mkdir(parents=True, exist_ok=True)
    text = frame(rows).to_csv(index=False, float_format="%.5g", lineterminator="\n")
    folders.write_text(place / "table.csv", text)
    found = origin("make bench", PACKAGES, f"{model()}; {processor(whole.CORES)}")
    found |= {"seed": "of each row in its function", "seconds": round(seconds)}
    found["load"] = f"{load:.1f} of {os.cpu_count()}"
    folders.write_text(place / "provenance.json", json.dumps(found) + "\n")
    use_style()
    plot_scaling(performance.recorded()).savefig(place / "scaling.png")


def model() -> str:
    """Name of the processor, where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "a processor"


def show(rows: Iterable[Row]) -> None:
    """Print the rows that say a ratio, or have a target."""
    table = Table("part", "what", "m", "n", "games", "seconds", "ratio", "spread", "target", "")
    for row in rows:
        numbers = [f"{k:,}" if k else "" for k in (row.m, row.n, row.games)]
        ratio = "" if row.ratio != row.ratio else f"{row.ratio:.3g} {row.beside}"
        spread = "" if row.ratio != row.ratio else f"{row.low:.3g} to {row.high:.3g}"
        verdict = "" if not row.target else "met" if row.met else "[red]missed[/red]"
        table.add_row(row.part, row.subject, *numbers, f"{row.seconds:.3g}", ratio, spread,
                      row.target, verdict)  # fmt: skip
    Console(width=160).print(table)


def main(only: Sequence[str] = ()) -> int:
    """Measure, print and record; return 1 where a target is missed, else 0."""
    start, rows, load = time.monotonic(), [], os.getloadavg()[0]
    for part in PARTS:
        if only and part.__name__.rpartition(".")[2] not in only:
            continue
        for row in part.rows():
            rows.append(row)
            print(f"\r{time.monotonic() - start:4.0f} s  {row.part}: {row.subject}\033[K", end="",
                  file=sys.stderr, flush=True)  # fmt: skip
    print(file=sys.stderr)
    show(rows)
    if not only:
        write(rows, time.monotonic() - start, load)
    missed = [row for row in rows if not row.met]
    for row in missed:
        ratio = "" if row.ratio != row.ratio else f"{row.ratio:.3g} {row.beside}, "
        print(f"missed: {row.part}, {row.subject}: {ratio}{row.seconds:.3g} s; {row.target}")
    return 1 if missed else 0


def command(only: Only = None) -> None:
    """Measure speed beside torch, cvxpy and scipy, and record it in results/performance.

    It takes four minutes on two quiet cores, and ends with 1 where a target is missed.
    """
    raise typer.Exit(main(only or ()))


if __name__ == "__main__":
    typer.run(command)
