"""The columnar engine behind the tool: DuckDB, told to stay within its memory and off the network.

Why DuckDB: it reads CSV, JSON and Parquet in C++ without pandas or pyarrow, spills to disk what
does not fit its memory limit, keeps the order of rows, and names line and column of what it cannot
read. Its extensions are neither fetched nor loaded on demand, so reading a file executes nothing.
Source: DuckDB documentation, "Configuration", "Tuning Workloads" (larger than memory).
"""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import InvalidInputError

MEMORY = "1GB"  # of DuckDB alone: numpy's arrays and the interpreter come on top, 2 GB in all
PATIENCE = 2.0  # seconds before progress is shown


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
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": memory,
                "temp_directory": self.folder.name,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
            },
        )
        # its own bar would go to standard output, among the JSON
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
        with self._watched(doing):
            return self.connection.execute(sql).fetchall()

    def one(self, sql: str, doing: str = "counting") -> tuple[Any, ...]:
        """Run one statement and return its only row."""
        return self.rows(sql, doing)[0]

    def arrays(self, sql: str, doing: str = "averaging") -> dict[str, NDArray[Any]]:
        """Run one statement and return its columns as numpy arrays; NULL becomes NaN."""
        with self._watched(doing):
            found = self.connection.execute(sql).fetchnumpy()
        return {name: _filled(column) for name, column in found.items()}

    def execute(self, sql: str, doing: str = "reading") -> None:
        """Run one statement for its effect."""
        with self._watched(doing):
            self.connection.execute(sql)

    @contextmanager
    def _watched(self, doing: str) -> Iterator[None]:
        """Show progress on standard error once a statement takes longer than two seconds."""
        import duckdb

        done = threading.Event()
        watch = threading.Thread(target=self._progress, args=(doing, done), daemon=True)
        if not self.quiet:
            watch.start()
        try:
            yield
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            if "interrupted" in str(error).lower():
                raise KeyboardInterrupt from None
            raise
        except duckdb.OutOfMemoryException as error:
            rule = str(error).split("\n")[0]
            fix = "free space in the temporary folder (TMPDIR), or raise --memory"
            raise InvalidInputError("--memory", "too small", rule, fix) from None
        finally:
            done.set()
            if watch.is_alive():
                watch.join()

    def _progress(self, doing: str, done: threading.Event) -> None:
        start, shown = time.monotonic(), False
        pause = PATIENCE
        while not done.wait(pause):
            share = max(0.0, float(self.connection.query_progress()))
            line = f"{doing}: {time.monotonic() - start:.0f} s" + (
                f", {share:.0f} %" if share > 0 else ""
            )
            if sys.stderr.isatty():
                sys.stderr.write("\r" + line + " \x1b[K")
            else:
                sys.stderr.write(line + "\n")
            sys.stderr.flush()
            shown, pause = True, 1.0 if sys.stderr.isatty() else 10.0
        if shown and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def _filled(column: Any) -> NDArray[Any]:
    """A column without mask: hashes keep all their bits, missing numbers become NaN."""
    if not isinstance(column, np.ma.MaskedArray):
        return np.asarray(column)
    if not np.ma.getmaskarray(column).any():
        return np.asarray(column.data)
    return np.asarray(np.ma.filled(column.astype(float), np.nan))
