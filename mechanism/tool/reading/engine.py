"""The columnar engine behind the tool: DuckDB, told to stay within its memory and off the network.

Why DuckDB: it reads CSV, JSON and Parquet in C++ without pandas or pyarrow, spills to disk what
does not fit its memory limit, keeps the order of rows, and names line and column of what it cannot
read. Its extensions are neither fetched nor loaded on demand, so reading a file executes nothing.
Source: DuckDB documentation, "Configuration", "Tuning Workloads" (larger than memory).
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import InvalidInputError

MEMORY = "1GB"  # of DuckDB alone: numpy's arrays and the interpreter come on top, 2 GB in all
PATIENCE = 2.0  # seconds before progress is shown
Result = TypeVar("Result")


def identifier(name: str) -> str:
    """Quote a name of SQL.

    >>> identifier('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text of SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


class Engine:
    """One connection, its temporary folder and its progress line; use as a context manager."""

    def __init__(self, memory: str = MEMORY, quiet: bool = False) -> None:
        import duckdb

        self.folder = tempfile.TemporaryDirectory(prefix="mechanism-")
        self.quiet = quiet
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": self.folder.name,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        }
        try:
            self.connection = duckdb.connect(":memory:", config=settings)
        except duckdb.Error:
            self.folder.cleanup()
            rule = "is no amount of memory"
            raise InvalidInputError("--memory", memory, rule, "e.g. --memory 2GB") from None
        # its own bar would go to standard output, among the JSON
        with contextlib.suppress(duckdb.Error):  # Jupyter has none, and refuses the setting
            self.connection.execute("SET enable_progress_bar_print = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()
        self.folder.cleanup()

    def rows(self, sql: str, doing: str = "counting") -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        return self._run(lambda: self.connection.execute(sql).fetchall(), doing)

    def one(self, sql: str, doing: str = "counting") -> tuple[Any, ...]:
        """Run one statement and return its only row."""
        return self.rows(sql, doing)[0]

    def arrays(self, sql: str, doing: str = "averaging") -> dict[str, NDArray[Any]]:
        """Run one statement and return its columns as numpy arrays; NULL becomes NaN."""
        found = self._run(lambda: self.connection.execute(sql).fetchnumpy(), doing)
        return {name: _filled(column) for name, column in found.items()}

    def execute(self, sql: str, doing: str = "reading") -> None:
        """Run one statement for its effect."""
        self._run(lambda: self.connection.execute(sql), doing)

    def _run(self, work: Callable[[], Result], doing: str) -> Result:
        """Do the work in a thread, so that Ctrl-C stops it at once; say how far it is.

        Raises
        ------
        KeyboardInterrupt
            After the statement was stopped.
        InvalidInputError
            Where neither memory nor the temporary folder is large enough.
        """
        import duckdb

        with ThreadPoolExecutor(max_workers=1) as pool:
            future = pool.submit(work)
            try:
                self._wait(future, doing)
                return future.result()
            except KeyboardInterrupt:
                self.connection.interrupt()
                raise
            except duckdb.OutOfMemoryException as error:
                rule = str(error).split("\n")[0].rstrip(".")
                fix = "free space in the temporary folder (TMPDIR), or raise --memory"
                raise InvalidInputError("--memory", "too small", rule, fix) from None

    def _wait(self, future: "Future[Any]", doing: str) -> None:
        """Wait for the end, with a line on standard error from the third second on."""
        start, shown, pause = time.monotonic(), False, PATIENCE
        terminal = sys.stderr.isatty()
        while not wait([future], timeout=pause).done:
            if self.quiet:
                continue
            share = float(self.connection.query_progress())
            line = f"{doing}: {time.monotonic() - start:.0f} s"
            line += f", {share:.0f} %" if share > 0 else ""
            sys.stderr.write(f"\r{line} \x1b[K" if terminal else line + "\n")
            sys.stderr.flush()
            shown, pause = True, 1.0 if terminal else 10.0
        if shown and terminal:
            sys.stderr.write("\r\x1b[K")


def _filled(column: Any) -> NDArray[Any]:
    """A column without mask: hashes keep all their bits, missing numbers become NaN."""
    if not isinstance(column, np.ma.MaskedArray):
        return np.asarray(column)
    if not np.ma.getmaskarray(column).any():
        return np.asarray(column.data)
    return np.asarray(np.ma.filled(column.astype(float), np.nan))
