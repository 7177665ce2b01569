"""The two normal forms, and how rows of any format become one of them.

A reader only says which SQL column is what (`Part`). Everything else happens here once, in the
engine, for all formats: numbers are parsed, what is missing, infinite or text is counted and
located, and rows go into one typed table `rows(part, candidate, prompt, sample, v0, v1, ...)` in
which prompts are 64-bit hashes (two of a million prompts share one with probability 3e-8).
In that table NULL means missing and NaN means text in a number column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mechanism.tool.reading.engine import literal
from mechanism.tool.reading.sources import Source

Form = Literal["candidates", "support"]
DIVERGENCE, LOG_PROB, LOG_PROB_INITIAL = "divergence", "log_prob", "log_prob_initial"
EXTRAS = (DIVERGENCE, LOG_PROB, LOG_PROB_INITIAL)
MISSING = ("", "na", "n/a", "nan", "null", "none")
SHOWN = 8  # names in a message


@dataclass(frozen=True)
class Wish:
    """What the user asked for, as far as readers need it.

    Attributes
    ----------
    groups : tuple of str
        Rewards named by `--sizes`, in order.
    candidate : str or None
        Column that names the candidate, instead of what the format would take.
    missing : {"error", "drop"}
    markers : tuple of str
        Texts that mean "no reward", besides the usual ones.
    filter : str or None
        lm-eval's filter to take.
    negate : tuple of str
        Rewards that are costs: less is better, so the sign is turned.
    """

    groups: tuple[str, ...]
    candidate: str | None = None
    missing: Literal["error", "drop"] = "error"
    markers: tuple[str, ...] = ()
    filter: str | None = None
    negate: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """The rows of one file: which SQL expression is what.

    Attributes
    ----------
    source : Source
    relation : str
        SQL of the rows, one a normal-form row, in the file's order.
    candidate, prompt, sample : str or None
        SQL of the keys.
    numbers : dict of str to (str, bool)
        Reward or extra to its SQL, and whether the file stores it as a number.
    noun : str
        What a row of the relation is, in messages.
    """

    source: Source
    relation: str
    candidate: str | None
    prompt: str | None
    sample: str | None
    numbers: Mapping[str, tuple[str, bool]]
    noun: str = "row"


@dataclass(frozen=True)
class Normal:
    """A normal form that is still in its files.

    Attributes
    ----------
    form : {"candidates", "support"}
    format : str
        Name of the reader.
    parts : tuple of Part
    repeats : bool
        Several rows of one candidate and prompt are samples, to be averaged, not duplicates.
    notes : tuple of str
        What the reader left out or assumed.
    duplicate_fix : str
        What to do about a row that comes twice.
    """

    form: Form
    format: str
    parts: tuple[Part, ...]
    repeats: bool = False
    notes: tuple[str, ...] = ()
    duplicate_fix: str = "remove one of the two; several samples of a prompt need a column `sample`"


@dataclass
class Rows:
    """Rows in the engine: the names of the value columns, and what was said about them."""

    normal: Normal
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    has_prompt: bool
    has_sample: bool
    notes: list[str] = field(default_factory=list)

    @property
    def values(self) -> tuple[str, ...]:
        """Groups, then extras: value k is column vk."""
        return self.groups + self.extras


def listed(names: Sequence[str]) -> str:
    """Join names for a message, the first few."""
    shown = ", ".join(names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def parsed(sql: str, stored: bool, comma: bool, markers: Sequence[str] = ()) -> str:
    """SQL of a number: NULL where it is missing, NaN where it is text."""
    extra = [float(text) for text in markers if _is_number(text)]
    if stored:
        number = f"CAST({sql} AS DOUBLE)"
        gone = f"{number} IS NULL OR isnan({number})"
        gone += "".join(f" OR {number} = {value!r}" for value in extra)
        return f"CASE WHEN {gone} THEN NULL ELSE {number} END"
    text = f"trim(CAST({sql} AS VARCHAR))"
    plain = f"CASE WHEN contains({text}, '.') THEN NULL ELSE replace({text}, ',', '.') END"
    number = f"TRY_CAST({plain if comma else text} AS DOUBLE)"
    gone = ", ".join(literal(word) for word in (*MISSING, *(m.lower() for m in markers)))
    same = "".join(f" WHEN {number} = {value!r} THEN NULL" for value in extra)
    return (
        f"CASE WHEN {text} IS NULL OR lower({text}) IN ({gone}) THEN NULL{same}"
        f" WHEN lower({text}) = 'true' THEN 1.0 WHEN lower({text}) = 'false' THEN 0.0"
        f" WHEN contains({text}, '_') THEN 'nan'::DOUBLE ELSE coalesce({number}, 'nan'::DOUBLE) END"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
