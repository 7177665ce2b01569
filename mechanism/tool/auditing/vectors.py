"""Audits of one table at many vectors of sizes, as one sweep: which sizes make lying pay most."""

import csv
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from mechanism.core.errors import InvalidInputError
from mechanism.sweeps import HERE, Where, ordered
from mechanism.tool.auditing.candidates import audit
from mechanism.tool.auditing.findings import Audit
from mechanism.tool.auditing.support import PROMPTS
from mechanism.tool.bootstrap import LEVEL, REPLICATES
from mechanism.tool.render import grid, number, plain
from mechanism.tool.tables import Held, SupportTable, Table, checked_sizes

Sizes = dict[str, float]
PaymentRule = Callable[[Any], Any]


@dataclass(frozen=True)
class Asked:
    """Arguments of `audit`; the payment rule may be one of `by_value`."""

    delta: float = 0.0
    epsilon: float | None = None
    rule: PaymentRule | bytes | None = None
    replicates: int = REPLICATES
    level: float = LEVEL
    seed: int = 0


def read_vectors(path: Path, groups: Sequence[str]) -> list[Sizes]:
    """Read a CSV file with a column for each group and a row for each vector of sizes.

    Raises
    ------
    InvalidInputError
        A column that is missing or no group's, no row, or a size that is no number > 0.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        rule = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise InvalidInputError("--vectors", path, rule, "name a CSV file") from None
    names = [" ".join(name.split()) for name in head]
    if sorted(names) != sorted(groups):
        rule = f"its columns are not the groups of --sizes, {', '.join(groups)}"
        raise InvalidInputError("--vectors", path, rule, "a column a group, a row a vector")
    if not rows:
        raise InvalidInputError("--vectors", path, "has no row", "a row is a vector of sizes")
    found = []
    for at, row in enumerate(rows, start=2):
        if len(row) != len(names):
            rule = f"row {at} has {len(row)} cells, not {len(names)}"
            raise InvalidInputError("--vectors", path, rule, "give each group its size")
        cells = dict(zip(names, row, strict=True))
        found.append({name: _size(path, at, name, cells[name]) for name in groups})
    return found


def _size(path: Path, row: int, name: str, cell: str) -> float:
    try:
        return float(checked_sizes({name: float(cell)})[1][0])
    except ValueError:
        rule = f"row {row} has no number > 0 for {name!r}, but {cell!r}"
        fix = "give its number of members"
        raise InvalidInputError("--vectors", path, rule, fix) from None


def audits(
    table: Table, vectors: Sequence[Sizes], asked: Asked, where: Where = HERE
) -> list[Audit]:
    """Audit a table at each vector of sizes, in their order.

    >>> import mechanism
    >>> table = mechanism.from_arrays([[1, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC")
    >>> vectors = [{"a": 5.0, "b": 4.0}, {"a": 9.0, "b": 1.0}]
    >>> [found.chosen for found in audits(table, vectors, Asked())]
    ['C', 'A']
    """
    if isinstance(table, SupportTable):  # its samples must travel, and no more than are searched
        table = replace(table, chunks=Held.first(table, PROMPTS))
    if callable(asked.rule) and find_spec("cloudpickle"):
        asked = replace(asked, rule=by_value(asked.rule))
    return ordered(_audit_at, vectors, where, table, asked)


def by_value(function: PaymentRule) -> bytes:
    """Pickle a function with the code of its module, which other machines may lack."""
    import cloudpickle

    module = sys.modules[function.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(function))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _audit_at(table: Table, asked: Asked, sizes: Sizes) -> Audit:
    rule = pickle.loads(asked.rule) if isinstance(asked.rule, bytes) else asked.rule
    table = replace(table, sizes=checked_sizes(sizes)[1])
    return audit(table, asked.delta, asked.epsilon, rule, asked.replicates, asked.level, asked.seed)


def document(vectors: Sequence[Sizes], found: Sequence[Audit]) -> dict[str, Any]:
    """Plain values for JSON: every audit in full, with its sizes."""
    pairs = zip(vectors, found, strict=True)
    return {"vectors": [{"sizes": sizes, **one.as_dict()} for sizes, one in pairs]}


def vector_tables(vectors: Sequence[Sizes], found: Sequence[Audit]) -> list[RenderableType]:
    """A row a vector: the choice, and the most that any group gains in each way."""
    gains = ["gain, free", "gain, paid", "false names"]
    columns = [*vectors[0], "chosen", "gain, free", "by", "gain, paid", "false names"]
    table = grid("Best gains at each vector of sizes", columns, [*vectors[0], *gains])
    for sizes, one in zip(vectors, found, strict=True):
        free = {name: max(lie.free_gain for lie in g.lies) for name, g in one.groups.items()}
        by = max(free, key=lambda name: free[name])
        paid = max(lie.paid_gain for g in one.groups.values() for lie in g.lies)
        names = max(max(e.utility for e in n) - n[0].utility for n in one.false_names.values())
        table.add_row(
            *map(number, sizes.values()), plain(one.chosen or ""), number(free[by]),
            plain(by if free[by] > 0 else ""), number(paid), number(names),
        )  # fmt: skip
    return [table]
