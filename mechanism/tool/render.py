"""Tables for people: names from files are shown as they are, never as markup."""

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from mechanism.terminal import show as show_table
from mechanism.tool.formats.base import Format
from mechanism.tool.outcome import Price

BAR = 12  # characters of the longest bar


def show(parts: Iterable[RenderableType]) -> None:
    """Print on standard output; nothing is cut where there is no terminal."""
    console = Console(highlight=False, emoji=False)
    for part in parts:
        if isinstance(part, Grid):
            show_table(part, console)
        else:
            console.print(part, soft_wrap=not console.is_terminal)


def plain(text: object) -> Text:
    """A text that steers neither the terminal nor rich."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in str(text)))


def number(value: float | None) -> str:
    """Four significant digits, or nothing.

    >>> number(1.6), number(None)
    ('1.6', '')
    """
    return "" if value is None else f"{value:.4g}"


def grid(title: str, columns: Iterable[str], numeric: Iterable[str]) -> Grid:
    """An empty table; the named columns are numbers."""
    table = Grid(title=title, title_justify="left")
    numbers = set(numeric)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table


def price_tables(found: Price) -> list[RenderableType]:
    """The outcome, a table of the groups with bars of what they pay, warnings and notes."""
    columns = ["group", "size", "valuation", "payment", "", "utility", "pivotal"]
    table = grid("", columns, ["size", "valuation", "payment", "utility"])
    top = max((group.payment for group in found.groups.values()), default=0.0)
    for name, group in found.groups.items():
        paid = number(group.payment)
        if group.payment_low is not None:
            paid += f" [{number(group.payment_low)}, {number(group.payment_high)}]"
        bar = "#" * round(BAR * max(group.payment, 0.0) / top) if top > 0 else ""
        pivotal = "no"
        if group.pivotal:
            pivotal = f"yes: else {group.without}" if group.without else "yes"
        table.add_row(
            plain(name), number(group.size), number(group.valuation), plain(paid), bar,
            number(group.utility), plain(pivotal),
        )  # fmt: skip
    return [plain(headline(found)), table, *remarks(found.warnings, found.notes)]


def headline(found: Price) -> str:
    """The outcome in a line or two."""
    if found.chosen is None:
        ess = found.effective_samples or {}
        return (
            f"{found.samples} samples of {found.prompts} prompts, reweighted with lam"
            f" {number(found.lam)}: welfare {number(found.welfare)}, effective samples a prompt"
            f" {number(ess.get('median'))} (median), {number(ess.get('least'))} (least)"
        )
    text = f"Chosen: {found.chosen} (welfare {number(found.welfare)}, of {found.candidates})"
    if found.runner_up is not None:
        text += f"; second: {found.runner_up}, {number(found.margin)} behind"
    if found.other_probability is not None:
        text += f"; another candidate in {found.other_probability:.1%} of {found.replicates} draws"
    return text


def remarks(warnings: Iterable[str], notes: Iterable[str]) -> list[Text]:
    """Warnings and notes, a line each."""
    return [plain(f"warning: {text}") for text in warnings] + [
        plain(f"note: {text}") for text in notes
    ]


def format_lines(known: dict[str, Format]) -> list[RenderableType]:
    """Every format: what it is, an example, the command."""
    lines: list[RenderableType] = []
    for format in known.values():
        lines += [Text(format.name, style="bold"), Text("  " + format.summary)]
        lines += [Text("    " + line) for line in format.example.split("\n")]
        lines += [Text("  $ " + format.command), Text("")]
    return lines
