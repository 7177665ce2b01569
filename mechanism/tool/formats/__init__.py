"""Readers, one small module a format; the columns say which applies."""

from collections.abc import Sequence
from importlib import import_module

from mechanism.core.errors import InvalidInputError
from mechanism.tool.formats.base import Format
from mechanism.tool.reading.normal import Normal, Wish, listed
from mechanism.tool.reading.sources import Source

# the order in which they are tried: the most particular columns first
NAMES = (
    "ric", "ultrafeedback", "lm_eval", "rewardbench", "trl", "verl", "alpaca_eval", "candidates",
    "support",
)  # fmt: skip


def formats() -> dict[str, Format]:
    """All readers by name."""
    return {name: import_module(f"{__name__}.{name}").FORMAT for name in NAMES}


def choose(sources: Sequence[Source], name: str | None, wish: Wish) -> Format:
    """The reader that is asked for, or the first whose columns all files have.

    Raises
    ------
    InvalidInputError
        An unknown name, columns that no reader knows, or files of several formats.
    """
    known = formats()
    if name is not None:
        if name not in known:
            rule = f"must be one of {', '.join(known)}"
            raise InvalidInputError("--format", name, rule, "see `mechanism formats`")
        return known[name]
    found = [next((f for f in known.values() if f.matches(s)), None) for s in sources]
    if wish.candidate is not None and all(f is None for f in found):
        return known["candidates"]
    for source, format in zip(sources, found, strict=True):
        if format is None:
            rule = f"no reader knows these columns: {listed(source.columns)}"
            fix = (
                "name the column that holds the models with --candidate COLUMN, or the reader with"
                " --format (`mechanism formats` lists them)"
            )
            raise InvalidInputError("FILES", source.path, rule, fix)
        if found[0] is not None and format.name != found[0].name:
            rule = f"looks like {format.name}, but {sources[0].path} like {found[0].name}"
            raise InvalidInputError("FILES", source.path, rule, "price one format at a time")
    assert found[0] is not None
    return found[0]


def read(sources: Sequence[Source], name: str | None, wish: Wish) -> Normal:
    """Say which column of which file is what, in the words of the format's reader."""
    return choose(sources, name, wish).read(sources, wish)
