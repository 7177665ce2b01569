"""How the command speaks: exit codes, tables that fit any width, any encoding, a reader who leaves.

Exit codes: 0 ok; 1 a target was missed; 2 wrong input; 3 the machine failed (a full disk, say) or
the program did, with a traceback; 130 interrupted, 143 asked to end, 141 nobody reads the output.
"""

import codecs
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.errors import MarkupError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as TimeColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from mechanism import family
from mechanism.core.errors import InvalidInputError

OK, MISSED, WRONG_INPUT, FAILED = 0, 1, 2, 3
UNREAD = 128 + signal.SIGPIPE
NAMES = {"help_option_names": ["-h", "--help"]}
SPELLED = str.maketrans(
    {"±": "+-", "×": "x", "…": "...", "–": "-", "—": "-", "λ": "lam", "→": "->"}
)


class Commands(TyperGroup):
    """A group of commands in which wrong input, found anywhere, ends with exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except InvalidInputError as error:
            Console(stderr=True, soft_wrap=True).print(f"Error: {error}", style="red", markup=False)
            raise typer.Exit(WRONG_INPUT) from None


class Application(typer.Typer):
    """The command of a shell: called, it runs, ends its family with it, and exits."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with one of the codes above."""
        family.keep_together()
        fix_environment()
        code = FAILED
        try:
            super().__call__(*args, **kwargs)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else FAILED if end.code else OK
        except InvalidInputError as error:
            print(f"Error: {error}", file=sys.stderr)
            code = WRONG_INPUT
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            print(f"Error: {error.strerror or error}{where}", file=sys.stderr)
        except Exception:  # a bug: shown whole, and ends with 3, since 1 would say "target missed"
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError as error:
                print(f"Error: {error.strerror or error}", file=sys.stderr)
                code = code or FAILED
        sys.exit(code)


class Output(io.TextIOWrapper):
    """Standard output that any encoding can take, and whose reader may leave."""

    def write(self, text: str, /) -> int:
        """Write, or end with 141 where nobody reads on."""
        try:
            return super().write(text)
        except BrokenPipeError:
            _unread()

    def flush(self) -> None:
        """Hand on what is held back, or end with 141 where nobody reads on."""
        try:
            super().flush()
        except BrokenPipeError:
            _unread()


def _unread() -> NoReturn:
    family.end()
    os._exit(UNREAD)


def fix_environment() -> None:
    """Bring output and width into a state in which a table can be printed."""
    if os.environ.get("COLUMNS", "").strip() and not _columns():
        del os.environ["COLUMNS"]  # 0 or no number: a width in which nothing is seen
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif name == "stdout" and hasattr(stream, "detach"):
            settings = {"encoding": stream.encoding, "line_buffering": stream.line_buffering}
            stream.flush()
            setattr(sys, name, Output(stream.detach(), errors="spelled", **settings))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelled")


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in letters that it has."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(SPELLED)
    return text.encode("ascii", "replace").decode(), error.end


codecs.register_error("spelled", _spell)


def _columns() -> int:
    """Return the number of columns that the environment asks for, or 0."""
    text = os.environ.get("COLUMNS", "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0


def show(table: Table, console: Console | None = None) -> None:
    """Print a table; where it does not fit, each row as a block of lines "column  value".

    Nothing is cut: without a terminal or a width that was asked for, the table takes what it needs.
    """
    console = console or Console()
    heads = [_plain(column.header) for column in table.columns]
    cells = [[_plain(cell) for cell in column.cells] for column in table.columns]
    columns = [[head, *column] for head, column in zip(heads, cells, strict=True)]
    needed = 1 + sum(3 + _least(c, t.no_wrap) for c, t in zip(columns, table.columns, strict=True))
    if not (console.is_terminal or _columns()):
        console.width = max(console.width, needed)
    if needed <= console.width:
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="italic", soft_wrap=True)
    wide = max(map(len, heads))
    for row in zip(*cells, strict=True):
        for head, cell in zip(heads, row, strict=True):
            if cell:
                console.print(f"{head:{wide}}  {cell}", markup=False, soft_wrap=True)
        console.print()


@contextmanager
def progress(name: str | None, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error, and hand out what moves it by one.

    Without a name there is none, nor where tqdm's bars are switched off.
    """
    if name is None or os.environ.get("TQDM_DISABLE"):
        yield lambda: None
        return
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeColumn())
    with Progress(*parts, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield lambda: bar.advance(task)


def _least(cells: list[str], whole: bool) -> int:
    """Return the least width of a column: of its longest cell, or word where it may wrap."""
    parts = cells if whole else [word for cell in cells for word in cell.split()]
    return max(map(cell_len, parts), default=0)


def _plain(cell: Any) -> str:
    """Return the text of a cell, without markup."""
    try:
        return Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)
    except MarkupError:
        return str(cell)
