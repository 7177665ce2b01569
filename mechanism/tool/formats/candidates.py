"""Candidate table: a row a candidate, or a row a candidate and prompt (and sample).

Columns: `candidate` (or those that `--candidate` names, joined), a column a reward,
optionally `divergence` in nats; with `prompt` the means
get intervals; with `sample` the samples of a prompt are averaged. Where `log_prob` and
`log_prob_initial` are given instead of a divergence, it is the mean of their difference.
"""

from collections.abc import Sequence

from mechanism.core.errors import InvalidInputError
from mechanism.tool.formats.base import Format, has, left_out, pick
from mechanism.tool.reading.engine import literal
from mechanism.tool.reading.normal import (
    DIVERGENCE,
    LOG_PROB,
    LOG_PROB_INITIAL,
    Normal,
    Part,
    Wish,
    listed,
)
from mechanism.tool.reading.sources import Source

KEYS = ("candidate", "prompt", "sample", DIVERGENCE, LOG_PROB, LOG_PROB_INITIAL)


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """Each column under its own name."""
    columns = _named(sources, wish.candidate)
    reserved = {*KEYS, *columns}
    parts, notes = [], []
    for source in sources:
        for column in columns:
            if column not in source.columns:
                rule = f"{source.path} has no such column"
                fix = f"choose from {listed([name or '(unnamed)' for name in source.columns])}"
                raise InvalidInputError("--candidate", column or "''", rule, fix)
        numbers = pick(source, wish, reserved)
        if has(source, DIVERGENCE):
            numbers[DIVERGENCE] = (source.sql(DIVERGENCE), source.is_number(DIVERGENCE))
        elif has(source, LOG_PROB, LOG_PROB_INITIAL):
            for name in (LOG_PROB, LOG_PROB_INITIAL):
                numbers[name] = (source.sql(name), source.is_number(name))
            notes.append("divergence: the mean of log_prob - log_prob_initial")
        key = {name: source.sql(name) if has(source, name) else None for name in KEYS[1:3]}
        parts.append(
            Part(
                source,
                source.relation,
                _joined(source, columns),
                key["prompt"],
                key["sample"],
                numbers,
            )
        )
    if len({(part.prompt is None, part.sample is None, *part.numbers) for part in parts}) > 1:
        rule = "the files differ in whether they have prompts, samples or a divergence"
        raise InvalidInputError("FILES", listed([str(s.path) for s in sources]), rule,
                                "give all files the same columns")  # fmt: skip
    notes = list(dict.fromkeys(notes))
    return Normal(
        "candidates", "candidates", tuple(parts),
        notes=(*left_out(sources, wish, reserved), *notes),
    )  # fmt: skip


def _named(sources: Sequence[Source], candidate: str | None) -> list[str]:
    """Columns that make up the name: one, or several with commas between."""
    if candidate is None:
        return ["candidate"]
    if all(candidate in source.columns for source in sources):
        return [candidate]
    return [name.strip() for name in candidate.split(",")]


def _joined(source: Source, columns: Sequence[str]) -> str:
    """SQL of the candidate's name; an empty part makes an empty name."""
    if len(columns) == 1:
        return source.sql(columns[0])
    return " || ' ' || ".join(f"CAST({source.sql(name)} AS VARCHAR)" for name in columns)


def one_per_file(
    sources: Sequence[Source], names: Sequence[str], wish: Wish, prompt: str, reserved: set[str]
) -> tuple[Part, ...]:
    """Parts of files that hold one candidate each, which the file names."""
    return tuple(
        Part(
            source, source.relation, literal(name), source.sql(prompt), None,
            pick(source, wish, reserved),
        )
        for source, name in zip(sources, names, strict=True)
    )  # fmt: skip


FORMAT = Format(
    name="candidates",
    summary="a row a candidate, optionally a row a candidate and prompt; rewards in columns",
    example="candidate,harmless,humor,divergence\nsoup 0.3,0.71,0.22,1.8\nsoup 0.7,0.58,0.61,2.4",
    command="mechanism price table.csv --sizes harmless=3,humor=7 --lam 0.1",
    matches=lambda source: has(source, "candidate"),
    read=read,
)
