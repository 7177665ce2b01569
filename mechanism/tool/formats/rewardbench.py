"""Scores of RewardBench: JSON, one file a reward model.

Either records with `scores_chosen` and `scores_rejected` (or `chosen` and `rejected`, or a list
`scores`), one a line or pretty-printed one after another; or one document whose keys hold lists.
The outcomes of a prompt are its answers, chosen first; the group is the file. Scales differ from
model to model, which min-max normalisation takes away.
Source: allenai/reward-bench, `scripts/run_rm.py`, `scripts/run_v2.py` and `eval-set-scores`.
"""

from collections.abc import Sequence
from pathlib import Path

from mechanism.core.errors import InvalidInputError
from mechanism.tool.formats.base import Format, unique_names
from mechanism.tool.reading.normal import Normal, Part, Wish, listed
from mechanism.tool.reading.sources import Source

LISTS = (("scores_chosen", "scores_rejected"), ("chosen", "rejected"), ("scores",))


def _columns(source: Source) -> tuple[str, ...] | None:
    if source.kind != "json":
        return None
    return next((names for names in LISTS if set(names) <= set(source.columns)), None)


def matches(source: Source) -> bool:
    """Whether a JSON file has scores of answers."""
    return _columns(source) is not None and "instruction" not in source.columns


def relation(source: Source, columns: Sequence[str]) -> str:
    """SQL of rows (prompt, sample, score): every score of every record, lists unfolded.

    A document whose lists are as long as the data set is turned into records first. A record
    without `id` is named by its place.
    """
    paths = [f"json_extract(json, '/{name}')" for name in columns]
    identity = "json_extract(json, '/id')" if "id" in source.columns else "NULL"
    whole = f"(SELECT count(*) FROM {source.relation}) = 1 AND json_type({paths[0]}) = 'ARRAY'"
    cells = ", ".join(f"{path} AS s{k}" for k, path in enumerate(paths))
    item = ", ".join(f"json_extract({path}, '$[' || i || ']')" for path in paths)
    many = (
        f"SELECT i + 1 AS n, json_extract({identity}, '$[' || i || ']') AS id, {item} FROM"
        f" (SELECT json, unnest(range(json_array_length({paths[0]})::BIGINT)) AS i"
        f" FROM {source.relation} WHERE {whole})"
    )
    each = (
        f"SELECT row_number() OVER () AS n, {identity} AS id, {cells} FROM {source.relation}"
        f" WHERE NOT ({whole})"
    )
    flat = " UNION ALL ".join(
        f"SELECT n, id, {k} AS side, s{k} AS s FROM records" for k in range(len(paths))
    )
    return (
        f"(WITH records AS ({each} UNION ALL {many}), flat AS ({flat}) SELECT"
        " coalesce(CAST(id AS VARCHAR), CAST(n AS VARCHAR)) AS prompt,"
        " row_number() OVER (PARTITION BY n ORDER BY side, place) AS sample,"
        " json_extract_string(one, '$') AS score FROM (SELECT n, id, side,"
        " unnest(CASE WHEN json_type(s) = 'ARRAY' THEN json_extract(s, '$[*]') ELSE [s] END)"
        " AS one,"
        " generate_subscripts(CASE WHEN json_type(s) = 'ARRAY' THEN json_extract(s, '$[*]')"
        " ELSE [s] END, 1) AS place FROM flat) ORDER BY n, side, place)"
    )


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """A group a file, named by the file."""
    names = unique_names([Path(source.path).stem for source in sources], sources)
    files = dict(zip(names, sources, strict=True))
    parts = []
    for name in wish.groups:
        if name not in files:
            rule = "no file bears this name"
            raise InvalidInputError("--sizes", name, rule, f"choose from {listed(names)}")
        columns = _columns(files[name])
        if columns is None:
            rule = f"must have {' or '.join(' and '.join(pair) for pair in LISTS)}"
            raise InvalidInputError(
                "FILES", files[name].path, rule, "name RewardBench's score files"
            )
        numbers = {name: ("score", False)}
        table = relation(files[name], columns)
        parts.append(Part(files[name], table, None, "prompt", "sample", numbers, noun="score"))
    unused = [name for name in names if name not in wish.groups]
    notes = (f"files left out, since --sizes does not name them: {listed(unused)}",)
    return Normal("support", "rewardbench", tuple(parts), notes=notes if unused else ())


FORMAT = Format(
    name="rewardbench",
    summary="scores of RewardBench, JSON, one file a reward model: outcomes are a prompt's answers",
    example='{"id": 1, "scores_chosen": [2.1], "scores_rejected": [-0.3]}',
    command="mechanism price helpful.json harmless.json --sizes helpful=3,harmless=7 --lam 0.5",
    matches=matches,
    read=read,
)
