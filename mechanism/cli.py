"""The `mechanism` command. People get tables; machines get one JSON document with `--json`.

Standard output carries the result alone; progress goes to standard error. Exit codes: 0 ok, 1 a
target was missed, 2 wrong input, 3 a fault of the machine or of the program, 130 interrupted.
"""

import json
import math
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mechanism.cli_groups import Rooms
from mechanism.experiments.cells import Cell
from mechanism.sweeps import Where
from mechanism.sweeps.options import Cluster, Jobs
from mechanism.terminal import NAMES, Application, show
from mechanism.tool import command as tool

app = Application(
    name="mechanism",
    cls=Rooms,
    context_settings=NAMES,
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
reproduce = typer.Typer(help="Recompute the paper's tables, cell by cell.", no_args_is_help=True)
app.add_typer(reproduce, name="reproduce")
app.add_typer(tool.app)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mechanism {version('mechanism')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Check, attack and use mechanism design for LLM fine-tuning with several reward models."""


@reproduce.command()
def table1(
    as_json: Json = False,
    samples: Annotated[int, typer.Option(min=1, help="Games for each cell.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random games.")] = 0,
    jobs: Jobs = 1,
    cluster: Cluster = None,
) -> None:
    """Table 1: synthetic games, under the best setting found and under the stated one."""
    from mechanism.experiments.synthetic import reproduction as synthetic

    settings, where = (synthetic.BEST, synthetic.STATED), Where(jobs, cluster, "table1")
    ours = synthetic.estimates(settings, samples, seed, where=where)
    cells, stated = map(synthetic.cells, ours)
    run = {"samples": samples, "seed": seed}
    report = {
        "setting": asdict(synthetic.BEST) | run,
        "stated_setting": asdict(synthetic.STATED) | run,
        "stated_cells": [asdict(cell) for cell in stated],
    }
    if not as_json:
        _print_cells("Table 1 under the setting as stated", stated)
    _finish("Table 1 under the best setting found", cells, report, as_json)


@reproduce.command()
def tables(as_json: Json = False) -> None:
    """Tables 2 to 6: finite candidate sets, from the rows recovered out of the tables."""
    from mechanism.experiments.published import reproduction as published

    with Console(stderr=True).status("recovering the candidates, then running the mechanism"):
        cells = published.reproduce()
    candidates = "results/published/candidates_all_tables.csv"
    setting = {"candidates": candidates, "rounding": "two decimals"}
    _finish("Tables 2 to 6", cells, {"setting": setting}, as_json)


@app.command()
def claims(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="Claims to run; repeatable.")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="Most runs a claim or control; by default what coverage takes."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of games and searches.")] = 0,
    jobs: Jobs = 2,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Check every statement, the paper's and our own, and every negative control of its checker."""
    from mechanism import claims as registry

    ids = list(dict.fromkeys(only or registry.CLAIMS))
    if unknown := [name for name in ids if name not in registry.CLAIMS]:
        raise typer.BadParameter(f"{unknown[0]} is not a claim: {', '.join(registry.CLAIMS)}")
    found = {v.claim.id: v for v in registry.run(ids, budget, seed, Where(jobs, cluster, "claims"))}
    verdicts = [found[name] for name in ids]
    ok = all(verdict.ok for verdict in verdicts)
    if as_json:
        rows = [verdict.as_dict() for verdict in verdicts]
        document = {"ok": ok, "seed": seed, "budget": budget, "claims": rows}
        typer.echo(json.dumps(_plain(document), allow_nan=False))
    else:
        _print_verdicts(verdicts)
    raise typer.Exit(0 if ok else 1)


def _print_verdicts(verdicts: list[Any]) -> None:
    table = Table(title="Claims")
    for name in ("claim", "status"):
        table.add_column(name, no_wrap=True)
    for name in ("margin", "tolerance", "comparisons", "kinds", "controls", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for verdict in verdicts:
        noticed = f"{sum(verdict.controls.values())}/{len(verdict.controls)}"
        result = verdict.result
        table.add_row(
            verdict.claim.id, result.status, f"{result.margin:.1e}", f"{result.tolerance:.1e}",
            str(result.comparisons), _kinds(verdict), noticed, f"{verdict.seconds:.1f}",
        )  # fmt: skip
    show(table)
    for verdict in verdicts:
        if gaps := len(verdict.missing):
            kinds = f"{gaps} kinds not met" if gaps > 1 else f"{verdict.missing[0]} not met"
            typer.echo(f"{verdict.claim.id}: coverage incomplete: {kinds}", err=True)


def _kinds(verdict: Any) -> str:
    """Kinds of games of the scope that were met, of how many."""
    kinds = list(verdict.claim.scope.cells())
    met = sum(verdict.result.coverage.cells[kind] > 0 for kind in kinds)
    return f"{met}/{len(kinds)}"


def _finish(title: str, cells: list[Cell], report: dict[str, Any], as_json: bool) -> None:
    """Print the cells as a table or as JSON, and exit with 1 where a target was missed."""
    ok = bool(cells) and all(cell.ok for cell in cells)
    if as_json:
        document = {"ok": ok, **report, "cells": [asdict(cell) for cell in cells]}
        typer.echo(json.dumps(_plain(document), allow_nan=False))
    else:
        _print_cells(title, cells)
        met = sum(cell.ok for cell in cells)
        typer.echo(f"{met} of {len(cells)} cells meet their target.")
    raise typer.Exit(0 if ok else 1)


def _print_cells(title: str, cells: list[Cell]) -> None:
    table = Table(title=title)
    for name in ("table", "row", "column"):
        table.add_column(name, no_wrap=True)
    for name in ("paper", "ours", "relative error", "target met"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in cells:
        error = "" if cell.relative_error is None else f"{cell.relative_error:+.2%}"
        table.add_row(
            cell.table, cell.row, cell.column, f"{cell.paper:g}", f"{cell.ours:.6g}", error,
            "yes" if cell.ok else "no",
        )  # fmt: skip
    show(table)


def _plain(value: Any) -> Any:
    """JSON without NaN and infinity: they become null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


if __name__ == "__main__":
    app()
