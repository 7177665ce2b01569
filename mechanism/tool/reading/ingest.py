"""Rows of all parts into one typed table of the engine; what is unusable is named and located."""

import re

from mechanism.core.errors import InvalidInputError
from mechanism.tool.reading.engine import Engine
from mechanism.tool.reading.normal import EXTRAS, Normal, Part, Rows, Wish, parsed


def ingest(engine: Engine, normal: Normal, wish: Wish) -> Rows:
    """Read all parts into the table `rows`, and raise on what cannot be used.

    Raises
    ------
    InvalidInputError
        Naming file, row, column, value, rule and fix.
    """
    extras = tuple(name for name in EXTRAS if any(name in part.numbers for part in normal.parts))
    rows = Rows(
        normal, wish.groups, extras,
        has_prompt=any(part.prompt for part in normal.parts),
        has_sample=any(part.sample for part in normal.parts), notes=list(normal.notes),
    )  # fmt: skip
    for name in wish.negate:
        if name not in wish.groups:
            rule, fix = "is not among the groups", "name it in --sizes too"
            raise InvalidInputError("--negate", name, rule, fix)
    columns = "".join(f", v{k} DOUBLE" for k in range(len(rows.values)))
    engine.execute(
        "CREATE TEMP TABLE rows (part INTEGER, candidate VARCHAR, prompt UBIGINT, sample UBIGINT"
        + columns + ")"
    )  # fmt: skip
    for number, part in enumerate(normal.parts):
        _read_part(engine, rows, number, part, wish)
    _check_infinite_and_text(engine, rows, wish)
    _check_keys(engine, rows)
    _handle_missing(engine, rows, wish)
    return rows


def _read_part(engine: Engine, rows: Rows, number: int, part: Part, wish: Wish) -> None:
    import duckdb

    values = [
        ("-" if name in wish.negate else "")
        + f"({parsed(*part.numbers[name], part.source.comma, wish.markers)})"
        if name in part.numbers
        else "NULL"
        for name in rows.values
    ]
    keys = [
        f"trim(CAST({part.candidate} AS VARCHAR))" if part.candidate else "NULL",
        _key(part.prompt),
        _key(part.sample),
    ]
    select = ", ".join([str(number), *keys, *values])
    try:
        engine.execute(
            f"INSERT INTO rows SELECT {select} FROM {part.relation}", f"reading {part.source.path}"
        )
    except duckdb.Error as error:
        raise _unreadable(part, error) from None


def _key(sql: str | None) -> str:
    return f"hash(CAST({sql} AS VARCHAR))" if sql else "NULL"


def _unreadable(part: Part, error: Exception) -> InvalidInputError:
    """What DuckDB said about a file, in one line: the line of a CSV, what is wrong, the fix."""
    said = str(error)
    lines = [line.strip() for line in said.split("\n") if line.strip()]
    fix = "mend it; unusual quotes or a cut-off line are common causes"
    if "utf" in said.lower() or "unicode" in said.lower():
        fix = "save the file as UTF-8 throughout, or name its encoding: --encoding latin-1"
    found = re.search(r"CSV Error on Line: (\d+)\s*(?:Original Line: (.*))?", said)
    if found is None:
        rule = f"cannot be read: {lines[0][:300].rstrip('.')}"
        return InvalidInputError("FILES", part.source.path, rule, fix)
    rule = next((line for line in lines[1:] if not line.startswith("Original")), "is broken")
    where = f"{part.source.path}, line {found.group(1)}"
    value = repr((found.group(2) or "")[:60])
    return InvalidInputError(where, value, f"cannot be read: {rule.rstrip('.')}", fix)


def _check_infinite_and_text(engine: Engine, rows: Rows, wish: Wish) -> None:
    if engine.one("SELECT count(*) FROM rows")[0] == 0:
        path = rows.normal.parts[0].source.path
        raise InvalidInputError("FILES", path, "has a header and no rows", "write the rows too")
    names = rows.values
    counts = engine.one(
        "SELECT " + ", ".join(f"count(*) FILTER (isnan(v{k})), count(*) FILTER (isinf(v{k}))"
                              for k in range(len(names))) + " FROM rows"
    )  # fmt: skip
    for k, name in enumerate(names):
        text, infinite = counts[2 * k : 2 * k + 2]
        if text:
            rule = f"must be a number ({text} such cells)"
            fix = "mend it, or say that it means a missing reward: --na TEXT"
            _raise_at(engine, rows, k, f"isnan(v{k})", name, rule, fix, wish)
        if infinite:
            rule = f"must be finite ({infinite} such cells)"
            fix = "score it again, or say that it means a missing reward: --na inf"
            _raise_at(engine, rows, k, f"isinf(v{k})", name, rule, fix, wish)


def _raise_at(
    engine: Engine, rows: Rows, k: int, condition: str, name: str, rule: str, fix: str, wish: Wish
) -> None:
    """Raise, naming file and row of the first row of `rows` where a condition holds."""
    part, row = _first(engine, condition)
    source = rows.normal.parts[part]
    found = ""
    if name in source.numbers:
        sql, _ = source.numbers[name]
        found = engine.one(
            f"SELECT CAST({sql} AS VARCHAR) FROM (SELECT *, row_number() OVER () AS number_"
            f" FROM {source.relation}) WHERE number_ = {row}"
        )[0]
    where = f"{source.source.path}, {source.noun} {row}, column {name!r}"
    raise InvalidInputError(where, "empty" if not found else repr(str(found)[:60]), rule, fix)


def _first(engine: Engine, condition: str) -> tuple[int, int]:
    """Part and row in it (from 1) of the first row where a condition holds."""
    part, row = engine.one(f"SELECT part, rowid FROM rows WHERE {condition} ORDER BY rowid LIMIT 1")
    start = engine.one(f"SELECT min(rowid) FROM rows WHERE part = {part}")[0]
    return part, row - start + 1


def _check_keys(engine: Engine, rows: Rows) -> None:
    """Raise where a row has no candidate, prompt or sample."""
    for key, present in (
        ("candidate", rows.normal.form == "candidates"),
        ("prompt", rows.has_prompt),
        ("sample", rows.has_sample),
    ):
        empty = f"{key} IS NULL" + (" OR candidate = ''" if key == "candidate" else "")
        if present and engine.one(f"SELECT count(*) FROM rows WHERE {empty}")[0]:
            part, row = _first(engine, empty)
            source = rows.normal.parts[part]
            where = f"{source.source.path}, {source.noun} {row}"
            rule = f"every row must name its {key}"
            raise InvalidInputError(where, f"no {key}", rule, "fill it in, or remove the row")


def _handle_missing(engine: Engine, rows: Rows, wish: Wish) -> None:
    """Raise on missing numbers, or drop their rows and say so."""
    conditions = []
    for number, part in enumerate(rows.normal.parts):
        given = [k for k, name in enumerate(rows.values) if name in part.numbers]
        lacks = " OR ".join(f"v{k} IS NULL" for k in given)
        conditions.append((number, given, f"part = {number} AND ({lacks})"))
    lost: dict[str, int] = {}
    for number, given, _ in conditions:
        counts = engine.one(
            "SELECT " + ", ".join(f"count(*) FILTER (v{k} IS NULL)" for k in given)
            + f" FROM rows WHERE part = {number}"
        )  # fmt: skip
        for k, count in zip(given, counts, strict=True):
            lost[rows.values[k]] = lost.get(rows.values[k], 0) + count
    lost = {name: count for name, count in lost.items() if count}
    if not lost:
        return
    said = ", ".join(f"{count} of {name!r}" for name, count in lost.items())
    name = next(iter(lost))
    k = rows.values.index(name)
    number = next(n for n, given, _ in conditions if k in given and _lacks(engine, n, k))
    if wish.missing == "error":
        rule = f"missing numbers are not guessed (missing: {said})"
        fix = "fill them in, or leave those rows out with --missing drop"
        _raise_at(engine, rows, k, f"part = {number} AND v{k} IS NULL", name, rule, fix, wish)
    before = engine.one("SELECT count(*) FROM rows")[0]
    engine.execute("DELETE FROM rows WHERE " + " OR ".join(f"({c})" for *_, c in conditions))
    after = engine.one("SELECT count(*) FROM rows")[0]
    rows.notes.append(f"{before - after} of {before} rows dropped: missing {said}")
    if after == 0:
        rule = f"no row is complete (missing: {said})"
        raise InvalidInputError("FILES", rows.normal.parts[0].source.path, rule, "score them again")


def _lacks(engine: Engine, part: int, k: int) -> bool:
    sql = f"SELECT count(*) FROM rows WHERE part = {part} AND v{k} IS NULL"
    return bool(engine.one(sql)[0])
