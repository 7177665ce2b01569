"""Say below the head of every table what its numbers are measured in: `units.toml` knows.

A table that is taller than its frame scrolls there, and its caption says how many rows it has.
"""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from html import escape
from itertools import product
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag

ROWS = 9  # as many fit into the frame of `book.css`
SCROLLS = ", in a frame that scrolls"  # on a screen; paper shows every row
KNOWN = Path(__file__).with_suffix("").parent / "units.toml"
NUMBER = re.compile(r"[-+−]?([\[(]*[-+−]?\d|inf\b)")
OWN = re.compile(r"%|\bms\b|\bminutes\b|\bseconds\b|in s\.e\.")  # heads that say it themselves
ABSENT = ("", "-", "NaN", "nan", "None")
TABLE = re.compile(r'<table [^>]*class="dataframe"[^>]*>')


@cache
def known() -> dict[str, list[tuple[str, str]]]:
    """Return, for each page and for all, patterns of heads with their unit, the narrowest first."""
    pages = tomllib.loads(KNOWN.read_text("utf-8"))
    pairs = {
        page: [(pattern, unit) for unit, patterns in units.items() for pattern in patterns]
        for page, units in pages.items()
    }
    return {
        page: sorted(p, key=lambda pair: ("*" in pair[0], -len(pair[0])))
        for page, p in pairs.items()
    }


def unit(page: str, heads: list[str]) -> tuple[str, str] | None:
    """Return the head that tells a column's unit, and the unit; None where no head is known.

    The innermost head counts, and what the page itself means by it before what all pages do.

    >>> unit("llm", ["errors", "0"]), unit("synthetic", ["Δv", "error, %"]), unit("llm", ["?"])
    (('errors', 'standard errors'), ('error, %', 'none'), None)
    """
    for head in reversed(heads):
        if OWN.search(head):
            return head, "none"
    for named in (known().get(page, []), known()["all"]):
        for head, (pattern, found) in product(reversed(heads), named):
            if fnmatchcase(head, pattern):
                return head, found
    return None


def columns(table: Tag) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the heads and the values of each column that is no index of its rows."""
    grid: dict[tuple[int, int], Tag] = {}
    rows = table.select("tr")
    for r, row in enumerate(rows):
        c = 0
        for cell in row.find_all(["td", "th"], recursive=False):
            while (r, c) in grid:
                c += 1
            height, width = int(cell.get("rowspan", 1)), int(cell.get("colspan", 1))
            grid |= {(r + dr, c + dc): cell for dr in range(height) for dc in range(width)}
            c += width
    top = len(table.select("thead tr"))
    for c in sorted({c for _, c in grid}):
        body = [grid[r, c] for r in range(top, len(rows)) if (r, c) in grid]
        if any(cell.name == "td" for cell in body):
            heads = [grid[r, c].get_text(" ", strip=True) for r in range(top) if (r, c) in grid]
            yield [head for head in heads if head], [cell.get_text(strip=True) for cell in body]


def measured(table: Tag) -> list[list[str]]:
    """Return the heads of each column in which a third of what is there are numbers, or more."""
    there = [(heads, [v for v in values if v not in ABSENT]) for heads, values in columns(table)]
    numbers = [sum(bool(NUMBER.match(value)) for value in values) for _, values in there]
    return [
        heads for (heads, values), n in zip(there, numbers, strict=True) if 3 * n >= len(values) > 0
    ]


def caption(page: str, table: Tag) -> str:
    """Return the units of a table's columns, and how many rows it has if they do not all show."""
    found: dict[str, dict[str, None]] = {}
    for heads in measured(table):
        name, of = unit(page, heads) or ("", "none")
        found.setdefault(of, {})[name] = None
    named = {of: "; ".join(names) for of, names in found.items() if of != "none"}
    parts = [of if len(found) == 1 else f"{of}: {names}" for of, names in named.items()]
    count = len(table.select("tbody tr"))
    parts += [f"{count} rows{SCROLLS}"] if count > ROWS else []
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def captioned(html: str, page: str) -> str:
    """Return the HTML of an output with a caption in each table that has something to say."""
    tables = iter(BeautifulSoup(html, "html.parser").select("table.dataframe"))

    def add(found: re.Match[str]) -> str:
        text = caption(page, next(tables))
        return found[0] + (f"\n  <caption><span>{escape(text)}</span></caption>" if text else "")

    return TABLE.sub(add, html)


def add_captions(notebook: nbformat.NotebookNode, page: str) -> None:
    """Give the tables of a staged notebook their captions."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "<table" in data.get("text/html", ""):
                data["text/html"] = captioned(data["text/html"], page)
