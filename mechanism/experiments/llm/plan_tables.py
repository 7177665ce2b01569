"""A plan as tables for people."""

from rich.console import Console
from rich.table import Table

from mechanism.experiments.llm.plan import Plan, Row

COLOURS = {"same": "green", "differs": "yellow", "not stated": "dim"}


def show(plan: Plan, console: Console | None = None) -> None:
    """Print settings, stages, totals and commands."""
    console = console or Console()
    for table in (settings_table(plan), stages_table(plan), totals_table(plan)):
        console.print(table)
    for heading, lines in plan.commands:
        console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def settings_table(plan: Plan) -> Table:
    """Every setting beside the paper's."""
    s = plan.settings
    table = Table(title=f"{s.preset} {s.game}: settings beside the paper's", title_justify="left")
    for name in ("setting", "value", "paper", "", "reason, source"):
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
    table = Table(title=title, title_justify="left")
    table.add_column("stage", no_wrap=True)
    for name in ("tokens", "PFLOP", "peak GB", "hours", "leaves GB"):
        table.add_column(name, justify="right")
    table.add_column("of which GB")
    for stage in plan.stages:
        parts = ", ".join(f"{name} {size / 1e9:.3g}" for name, size in stage.memory if size)
        table.add_row(
            stage.name, f"{stage.tokens:,}", f"{stage.flops / 1e15:,.3g}",
            f"{stage.peak / 1e9:.3g}", f"{stage.hours:.3g}", f"{stage.disk / 1e9:.3g}", parts,
        )  # fmt: skip
    return table


def totals_table(plan: Plan) -> Table:
    """Sums over the run."""
    a = plan.accelerator
    fits = "fits" if plan.peak <= a.memory else "does not fit"
    table = Table(show_header=False)
    table.add_row("parameters of the initial model", f"{plan.parameters:,}")
    table.add_row("parameters of an adapter", f"{plan.trained:,}")
    table.add_row("accelerator hours", f"{plan.hours:.3g}")
    table.add_row("peak memory", f"{plan.peak / 1e9:.3g} GB; {fits} {a.memory / 1e9:.0f} GB")
    table.add_row("disk, data sets not counted", f"{plan.disk / 1e9:.3g} GB")
    return table
