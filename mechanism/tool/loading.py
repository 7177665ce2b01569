"""`mechanism.load`: files to a table, in Python. The command uses the same function."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import InvalidInputError, as_floats, require
from mechanism.core.validation import check_last, check_matrix
from mechanism.tool import formats
from mechanism.tool.reading import collect
from mechanism.tool.reading.engine import MEMORY, Engine
from mechanism.tool.reading.ingest import ingest
from mechanism.tool.reading.normal import Wish
from mechanism.tool.reading.sources import ENCODINGS, expand, open_source
from mechanism.tool.tables import (
    CandidateTable,
    Held,
    Scaling,
    SupportTable,
    Table,
    checked_lam,
    checked_sizes,
)


def load(
    path: str | Path | Sequence[str | Path],
    sizes: Mapping[str, float],
    lam: float | None = None,
    normalization: Scaling = "min-max",
    format: str | None = None,
    candidate: str | None = None,
    missing: Literal["error", "drop"] = "error",
    na: Sequence[str] = (),
    filter: str | None = None,
    encoding: str | None = None,
    negate: Sequence[str] = (),
) -> Table:
    r"""Read score files into a `CandidateTable` or a `SupportTable`.

    Parameters
    ----------
    path : path or sequence of paths
        Files or folders of one format.
    sizes : mapping of str to float
        Reward column (or task, or file: the format says) to the size of the group that has it.
    lam : float, optional
        Weight of the divergence, reward units per nat; needed where the table has a divergence,
        and for samples.
    normalization : {"min-max", "none"}
    format : str, optional
        Name of a reader; by default the columns tell.
    candidate : str, optional
        Column that names the candidates.
    missing : {"error", "drop"}
        What to do about rows without a reward.
    na : sequence of str
        Texts that mean "no reward", besides empty cells, NaN and N/A.
    filter : str, optional
        lm-eval's filter.
    encoding : {"utf-8", "latin-1", "utf-16"}, optional
    negate : sequence of str
        Rewards that are costs (price, length): their sign is turned.

    Raises
    ------
    InvalidInputError
        Naming file, row, column, rule and fix.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "table.csv"
    ...     _ = file.write_text("candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n", encoding="utf-8")
    ...     table = load(file, sizes={"a": 5, "b": 4})
    >>> table.names, table.game().candidates
    (('A', 'B', 'C'), 3)
    """
    with opened(
        path, sizes, lam, normalization, format, candidate, missing, na, filter, encoding,
        negate, quiet=True,
    ) as table:  # fmt: skip
        if isinstance(table, CandidateTable):
            return table
        return replace(table, chunks=Held(tuple(table.chunks())))


@contextmanager
def opened(
    path: str | Path | Sequence[str | Path],
    sizes: Mapping[str, float],
    lam: float | None = None,
    normalization: Scaling = "min-max",
    format: str | None = None,
    candidate: str | None = None,
    missing: Literal["error", "drop"] = "error",
    na: Sequence[str] = (),
    filter: str | None = None,
    encoding: str | None = None,
    negate: Sequence[str] = (),
    memory: str = MEMORY,
    quiet: bool = False,
) -> Iterator[Table]:
    """`load`, with the samples of a support still in the engine while the block lasts."""
    groups, array = checked_sizes(sizes)
    checked_lam(lam, zero=True)
    for name, value, allowed in (
        ("--normalization", normalization, ("min-max", "none")),
        ("--missing", missing, ("error", "drop")),
        ("--encoding", encoding, (None, *ENCODINGS)),
    ):
        if value not in allowed:
            rule = f"must be one of {', '.join(word for word in allowed if word)}"
            raise InvalidInputError(name, value, rule, "name one of these")
    wish = Wish(groups, candidate, missing, tuple(na), filter, tuple(negate))
    paths = expand([path] if isinstance(path, (str, Path)) else path)
    asked = collect.Asked(array, normalization, lam)
    with Engine(memory, quiet) as engine:
        sources = [open_source(engine, one, encoding) for one in paths]
        normal = formats.read(sources, format, wish)
        if normal.form == "support":
            checked_lam(lam, zero=False)
        rows = ingest(engine, normal, wish)
        if normal.form == "candidates":
            yield collect.candidate_table(engine, rows, wish, asked)
        else:
            yield collect.support_table(engine, rows, wish, asked)


def from_arrays(
    means: ArrayLike,
    sizes: Mapping[str, float],
    names: Sequence[str] | None = None,
    divergences: ArrayLike | None = None,
    lam: float | None = None,
    normalization: Scaling = "min-max",
) -> CandidateTable:
    """A candidate table from arrays: raw mean rewards (n, k), in the order of `sizes`.

    Raises
    ------
    InvalidInputError
        Wrong shapes or values.

    Examples
    --------
    >>> from_arrays([[1, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC").names
    ('A', 'B', 'C')
    """
    groups, array = checked_sizes(sizes)
    values = as_floats("means", means)
    check_matrix("means", values, "(n groups, k candidates)")
    check_last("sizes", array, values.shape[-2], "rows of means")
    require(np.isfinite(values), "means", values, "must be finite", "drop this candidate")
    labels = tuple(names) if names is not None else tuple(map(str, range(values.shape[-1])))
    if len(labels) != values.shape[-1] or len(set(labels)) != len(labels) or values.ndim != 2:
        rule = f"must be {values.shape[-1]} different names for means of shape (n, k)"
        raise InvalidInputError("names", labels[:5], rule, "name every candidate once")
    costs = None
    if divergences is not None:
        costs = as_floats("divergences", divergences)
        check_last("divergences", costs, values.shape[-1], "candidates")
        require(np.isfinite(costs), "divergences", costs, "must be finite", "drop this candidate")
    if (costs is None) != (lam is None):
        rule = "lam and divergences belong together"
        raise InvalidInputError("lam", lam, rule, "give both, or neither")
    weight = checked_lam(lam, zero=True)
    return CandidateTable(
        "arrays", labels, groups, array, values, costs, None, 0, normalization, weight
    )


__all__ = ["CandidateTable", "SupportTable", "from_arrays", "load", "opened"]
