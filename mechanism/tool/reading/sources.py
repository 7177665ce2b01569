"""Files as they are: what kind a file is, its columns, and the SQL relation that reads it.

The kind is told by content: Parquet's magic bytes, JSON's first bracket, else delimited text.
Nothing is unpickled and nothing is executed; files that are neither of the three are refused.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mechanism.core.errors import InvalidInputError
from mechanism.tool.reading.engine import Engine, identifier, literal

Kind = Literal["text", "json", "parquet"]
ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json")
SAMPLE = 1 << 18  # bytes that are looked at to tell the kind and the header
LOOKED_AT = 2000  # JSON documents whose keys are taken for columns
ENCODINGS = {"utf-8": "utf-8", "latin-1": "latin-1", "utf-16": "utf-16"}


@dataclass(frozen=True)
class Source:
    """One file, opened far enough to know its columns.

    Attributes
    ----------
    path : Path
    kind : {"text", "json", "parquet"}
    relation : str
        SQL that reads all rows in order; JSON files have one column `json`.
    columns : tuple of str
        Names, with runs of white space made one blank; "" for an unnamed first column.
    texts : tuple of str
        SQL of each column as text, or as what Parquet stores.
    numeric : tuple of bool
        Whether the file itself stores the column as a number.
    comma : bool
        Numbers have a decimal comma.
    """

    path: Path
    kind: Kind
    relation: str
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    numeric: tuple[bool, ...]
    comma: bool = False

    def sql(self, column: str) -> str:
        """SQL of the named column; raises where the file has none of this name."""
        if column not in self.columns:
            rule = f"has no column {column!r}"
            fix = "name a reader that fits these columns, or none (`mechanism formats` lists them)"
            raise InvalidInputError("FILES", self.path, rule, fix)
        return self.texts[self.columns.index(column)]

    def is_number(self, column: str) -> bool:
        """Whether the file stores the named column as a number."""
        return self.numeric[self.columns.index(column)]


def expand(paths: Sequence[str | Path]) -> list[Path]:
    """List the files that are meant; a folder stands for the tables under it, by name.

    Raises
    ------
    InvalidInputError
        Where a path does not exist, or a folder holds no table.
    """
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            inside = sorted(
                (p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file()),
                key=_natural,
            )
            if not inside:
                rule = f"the folder holds no file that ends in {', '.join(ENDINGS)}"
                raise InvalidInputError("FILES", path, rule, "name the files themselves")
            found += inside
        elif not path.exists():
            raise InvalidInputError("FILES", path, "no such file", "check the name and the folder")
        else:
            found.append(path)
    if not found:
        raise InvalidInputError("FILES", "none", "at least one file is needed", "name one")
    return list(dict.fromkeys(found))


def _natural(path: Path) -> list[tuple[int, float, str]]:
    """Sort pref2 before pref10 and 0.1 before 0.25."""
    parts = re.split(r"(\d+(?:\.\d+)?)", str(path))
    return [(0, float(part), "") if k % 2 else (1, 0.0, part) for k, part in enumerate(parts)]


def open_source(engine: Engine, path: Path, encoding: str | None = None) -> Source:
    """Tell the kind and the columns of one file.

    Raises
    ------
    InvalidInputError
        A file that is empty, unreadable, binary, or whose header is broken.
    """
    if not path.is_file():
        raise InvalidInputError("FILES", path, "is no regular file", "name a file or a folder")
    try:
        with path.open("rb") as file:
            head = file.read(SAMPLE)
    except OSError as error:
        rule = error.strerror or "cannot be read"
        raise InvalidInputError("FILES", path, rule, "check its permissions") from None
    if not head:
        raise InvalidInputError("FILES", path, "is empty (0 bytes)", "write the table again")
    if head[:4] == b"PAR1" or path.suffix.lower() == ".parquet":
        return _open_parquet(engine, path)
    text = _decode(path, head, encoding)
    if text.lstrip()[:1] in "{[" and text.strip() and path.suffix.lower() not in (".csv", ".tsv"):
        return _open_json(engine, path, text)
    return _open_text(path, text, _encoding_of(head, encoding))


def pattern(path: Path) -> str:
    """A path as DuckDB's file pattern that matches this file alone, quoted.

    >>> pattern(Path("a[1]*.csv"))
    "'a[[]1][*].csv'"
    """
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def _encoding_of(head: bytes, encoding: str | None) -> str:
    if encoding is not None:
        return encoding
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def _decode(path: Path, head: bytes, encoding: str | None) -> str:
    """Decode the first bytes, or say why they are no text."""
    name = _encoding_of(head, encoding)
    try:
        text = codecs.getincrementaldecoder(name)("strict").decode(head)
    except UnicodeDecodeError as error:
        if head[:1] == b"\x80" or head[:2] in (b"PK", b"\x1f\x8b", b"BZ"):
            rule = "is a pickle or an archive, which is never opened"
            fix = "save the table as CSV, JSON lines or Parquet"
            raise InvalidInputError("FILES", path, rule, fix) from None
        line = head[: error.start].count(b"\n") + 1
        rule = f"line {line} is not {name}: {error.reason} (byte {head[error.start]:#04x})"
        fix = "save the file as UTF-8 throughout, or name its encoding: --encoding latin-1"
        raise InvalidInputError("FILES", path, rule, fix) from None
    text = text.removeprefix("\ufeff")
    if "\x00" in text:
        rule = "is binary: it holds zero bytes"
        fix = "save the table as CSV, JSON lines or Parquet"
        raise InvalidInputError("FILES", path, rule, fix)
    if not text.strip():
        raise InvalidInputError("FILES", path, "holds nothing but blanks", "write the table again")
    return text


def _open_parquet(engine: Engine, path: Path) -> Source:
    import duckdb

    relation = f"read_parquet({pattern(path)})"
    try:
        described = engine.rows(f"DESCRIBE SELECT * FROM {relation}")
    except duckdb.Error as error:
        rule = "is no readable Parquet file: " + _first_line(error)
        fix = "write it again: the copy may have been cut off"
        raise InvalidInputError("FILES", path, rule, fix) from None
    names = _names(path, [row[0] for row in described])
    numbers = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN)")
    return Source(
        path, "parquet", relation, names, tuple(identifier(row[0]) for row in described),
        tuple(bool(numbers.fullmatch(row[1])) for row in described),
    )  # fmt: skip


def _open_json(engine: Engine, path: Path, text: str) -> Source:
    import duckdb

    relation = f"read_json_objects({pattern(path)}, format={literal(_json_layout(text))})"
    try:
        kinds = engine.rows(
            f"SELECT DISTINCT json_type(json) FROM (SELECT json FROM {relation} LIMIT {LOOKED_AT})"
        )
        rows = engine.rows(
            f"SELECT k, min(n) FROM (SELECT unnest(json_keys(json)) AS k, n FROM (SELECT json,"
            f" row_number() OVER () AS n FROM {relation} LIMIT {LOOKED_AT})) GROUP BY k"
        )
    except duckdb.Error as error:
        rule = "is no readable JSON: " + _first_line(error)
        fix = "write it again: a line may have been cut off"
        raise InvalidInputError("FILES", path, rule, fix) from None
    if {kind for (kind,) in kinds} != {"OBJECT"}:
        rule = "must hold JSON objects, one a row"
        raise InvalidInputError("FILES", path, rule, 'write rows like {"candidate": "a", ...}')
    keys = [key for key, _ in sorted(rows, key=lambda row: (row[1], row[0]))]
    names = _names(path, keys)
    texts = tuple(f"json_extract_string(json, {literal(_pointer(key))})" for key in keys)
    return Source(path, "json", relation, names, texts, (False,) * len(names))


def _json_layout(text: str) -> str:
    """Whether a JSON file is an array, has one document a line, or documents one after another."""
    if text.lstrip().startswith("["):
        return "array"
    try:
        json.loads(text.lstrip().split("\n", 1)[0])
    except (ValueError, RecursionError):
        return "unstructured"
    return "newline_delimited"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _open_text(path: Path, text: str, encoding: str) -> Source:
    if encoding not in ENCODINGS:
        rule = f"must be one of {', '.join(ENCODINGS)}"
        raise InvalidInputError("--encoding", encoding, rule, "save the file as UTF-8")
    lines = text.splitlines(keepends=True)
    skipped = 0
    while skipped < len(lines) and lines[skipped].startswith("#"):
        skipped += 1
    body = "".join(lines[skipped:])
    delimiter = max(",;\t", key=_header_line(body).count)
    try:
        header = next(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidInputError(
            "FILES", path, f"its header cannot be read ({error})", "write it again"
        ) from None
    names = _names(path, header)
    unique = [f"c{k}" for k in range(len(names))]
    fields = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in unique)
    relation = (
        f"read_csv({pattern(path)}, delim={literal(delimiter)}, quote='\"', escape='\"',"
        f" header=true, skip={skipped}, auto_detect=false, columns={{{fields}}},"
        f" encoding={literal(encoding)}, strict_mode=true, max_line_size=20000000)"
    )
    comma = delimiter != "," and bool(re.search(r"(^|[;\t\n])[+-]?\d+,\d+([;\t\r\n]|$)", body))
    return Source(
        path, "text", relation, names, tuple(map(identifier, unique)), (False,) * len(names), comma
    )


def _header_line(text: str) -> str:
    """The header without what stands in quotes, where delimiters mean nothing."""
    return re.sub(r'"[^"]*"', "", text).split("\n", 1)[0]


def _names(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(" ".join(name.split()) for name in header)
    if not names:
        raise InvalidInputError("FILES", path, "has no columns", "write the table again")
    for k, name in enumerate(names):
        if name in names[:k]:
            rule = f"column {name!r} comes twice in the header"
            raise InvalidInputError("FILES", path, rule, "rename or remove one of the two")
        if not name and k:
            rule = f"column {k + 1} has no name"
            raise InvalidInputError("FILES", path, rule, "name it in the header")
    return names


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
