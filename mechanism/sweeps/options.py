"""The options of every command that is a sweep."""

from typing import Annotated

import typer

Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes on this machine.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Dask scheduler, or its file: its workers do the work."
    ),
]
