"""A plan as tables for people."""

from itertools import groupby

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from mechanism import terminal
from mechanism.llm.runs.plan import Plan, Row
from mechanism.llm.runs.stage_costs import StageCost

COLOURS = {"same": "green", "differs": "yellow", "not stated": "dim"}


def show(plan: Plan, console: Console | None = None) -> None:
    """Print settings, stages, totals and commands."""
    console = console or Console()
    for table in (settings_table(plan), stages_table(plan), totals_table(plan)):
        terminal.show(table, console)
    console.print("RiC: github.com/YangRui2015/RiC, on which the paper's setup rests", style="dim")
    for heading, lines in plan.commands:
        console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def settings_table(plan: Plan) -> Table:
    """Every setting beside the paper's."""
    s = plan.settings
    table = Table(title=f"{s.preset} {s.game}: settings beside the paper's", title_justify="left")
    table.add_column("setting", no_wrap=True)
    for name in ("value", "paper", "", "reason, source"):
        table.add_column(name, overflow="fold")
    for row in plan.rows:
        colour = COLOURS[row.verdict]
        paper = "" if row.paper is None else str(row.paper)
        verdict = f"[{colour}]{row.verdict}[/{colour}]"
        table.add_row(row.setting, _text(row), paper, verdict, _remark(row))
    return table


def _text(row: Row) -> str:
    return "none" if row.value in (None, "", {}) else str(row.value).replace("[", r"\[")


def _remark(row: Row) -> str:
    parts = [row.reason, f"({row.source})" if row.source else ""]
    return " ".join(part for part in parts if part).replace("[", r"\[")


def stages_table(plan: Plan) -> Table:
    """What each stage takes on one accelerator."""
    a = plan.accelerator
    title = (
        f"stages on one {a.name}, at {a.utilisation:.0%} of {a.peak / 1e12:.0f} TFLOP/s and, token "
        f"by token, {a.reading:.0%} of {a.bandwidth / 1e12:.1f} TB/s; upper bounds"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("stage")
    for name in ("tokens", "FLOPs", "peak", "time", "leaves"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("memory for")
    for figures, alike in groupby(plan.stages, _figures):
        names = [stage.name for stage in alike]
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1].split()[-1]}, each"
        table.add_row(name, *figures)
    return table


def _figures(stage: StageCost) -> tuple[str, ...]:
    """Return what the table says of a stage; neighbours that agree share a line."""
    parts = ", ".join(f"{name} {decimal(size)}" for name, size in stage.memory if size)
    return (
        f"{stage.tokens / 1e6:.3g} M", f"{stage.flops:.1e}", decimal(stage.peak),
        _time(stage.hours), decimal(stage.disk), parts,
    )  # fmt: skip


def _time(hours: float) -> str:
    """Return hours in a unit that fits.

    >>> _time(2.5), _time(0.01), _time(1e-5)
    ('2.5 h', '36 s', '0.036 s')
    """
    return f"{hours:.2g} h" if hours >= 0.1 else f"{3600 * hours:.3g} s"


def totals_table(plan: Plan) -> Table:
    """Sums over the run."""
    a = plan.accelerator
    fits = "fits" if plan.peak <= a.memory else "does not fit"
    table = Table(show_header=False)
    table.add_row("parameters of the initial model", f"{plan.parameters:,}")
    table.add_row("parameters of an adapter", f"{plan.trained:,}")
    table.add_row("accelerator time, all stages", _time(plan.hours))
    table.add_row("peak memory", f"{decimal(plan.peak)}; {fits} {a.name}")
    table.add_row("disk, data sets not counted", decimal(plan.disk))
    return table
