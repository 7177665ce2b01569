"""What every reader has, and what most readers need."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mechanism.core.errors import InvalidInputError
from mechanism.tool.reading.normal import Normal, Wish, listed
from mechanism.tool.reading.sources import Source


@dataclass(frozen=True)
class Format:
    """One reader.

    Attributes
    ----------
    name : str
        For `--format`.
    summary : str
        What the files are and what they become, in a line.
    example : str
        The first lines of such a file.
    command : str
        How to price it.
    matches : callable
        Whether a file has this format's columns.
    read : callable
        From opened files to a normal form.
    """

    name: str
    summary: str
    example: str
    command: str
    matches: Callable[[Source], bool]
    read: Callable[[Sequence[Source], Wish], Normal]


def has(source: Source, *columns: str) -> bool:
    """Whether a file has all the named columns."""
    return all(column in source.columns for column in columns)


def pick(
    source: Source, wish: Wish, reserved: Iterable[str], refused: dict[str, str] | None = None
) -> dict[str, tuple[str, bool]]:
    """SQL of the rewards that `--sizes` names, from a file that has a column for each.

    Raises
    ------
    InvalidInputError
        A group without a column, or one that is no reward in this format.
    """
    hidden = set(reserved) - set(wish.negate)
    kept = [name for name in source.columns if name and name not in hidden]
    for name in wish.groups:
        if refused and name in refused and name not in wish.negate:
            raise InvalidInputError("--sizes", name, refused[name], f"choose from {listed(kept)}")
        if name not in kept:
            rule = f"{source.path} has no reward of this name"
            fix = f"choose from {listed(kept)}" if kept else "name the reward columns in the header"
            raise InvalidInputError("--sizes", name, rule, fix)
    return {name: (source.sql(name), source.is_number(name)) for name in wish.groups}


def left_out(sources: Sequence[Source], wish: Wish, reserved: Iterable[str]) -> tuple[str, ...]:
    """A note on the columns that were not named in `--sizes`."""
    seen = dict.fromkeys(name for source in sources for name in source.columns if name)
    rest = [name for name in seen if name not in set(reserved) and name not in wish.groups]
    return (f"columns left out, since --sizes does not name them: {listed(rest)}",) if rest else ()


def unique_names(names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Names of files that differ: the stem, or as much of the path as tells them apart."""
    if len(set(names)) == len(names):
        return list(names)
    return [str(source.path.with_suffix("")) for source in sources]
