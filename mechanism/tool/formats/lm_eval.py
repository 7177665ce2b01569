"""Samples that lm-evaluation-harness logs: `MODEL/samples_{task}_{date}.jsonl`.

Keys: `doc_id`, `filter`, `metrics` (the names of the metrics), a key a metric, and texts. A task
with several filters repeats every document, once a filter. The candidate is the folder, which
bears the model's name; a group is a task (`gsm8k`, where it has one metric) or a metric of a task
(`gsm8k/exact_match`).
Source: lm_eval/evaluator.py and lm_eval/loggers/evaluation_tracker.py, version 0.4.
"""

import re
from collections.abc import Sequence

from mechanism.core.errors import InvalidInputError
from mechanism.tool.formats.base import Format, has
from mechanism.tool.reading.engine import literal
from mechanism.tool.reading.normal import Normal, Part, Wish, listed
from mechanism.tool.reading.sources import Source

TEXTS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip


def task_of(source: Source) -> str:
    """`samples_gsm8k_2026-01-01T00-00-00.000000.jsonl` is of task gsm8k."""
    stem = source.path.stem.removeprefix("samples_")
    return re.sub(r"_\d{4}-\d\d-\d\dT[\d.:-]+$", "", stem)


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """A part a file; prompts of a task are its documents."""
    parts, known = [], {}
    for source in sources:
        task = task_of(source)
        metrics = [name for name in source.columns if name not in TEXTS]
        names = {f"{task}/{metric}": metric for metric in metrics}
        if len(metrics) == 1:
            names[task] = metrics[0]
        known.update(names)
        numbers = {g: (source.sql(names[g]), False) for g in wish.groups if g in names}
        if not numbers:
            continue
        relation, key = source.relation, literal(task + "\x1e") + " || " + source.sql("doc_id")
        if wish.filter is not None and has(source, "filter"):
            own = source.sql("filter")
            single = f"(SELECT count(DISTINCT {own}) FROM {source.relation}) = 1"
            where = f"{own} = {literal(wish.filter)} OR {single}"
            relation = f"(SELECT json FROM {source.relation} WHERE {where})"
        parts.append(
            Part(source, relation, literal(source.path.parent.name or "."), key, None, numbers)
        )
    for name in wish.groups:
        if name not in known:
            rule = "no file has a task or metric of this name"
            raise InvalidInputError("--sizes", name, rule, f"choose from {listed(sorted(known))}")
    unused = sorted(set(known) - set(wish.groups))
    notes = (f"left out, since --sizes does not name them: {listed(unused)}",) if unused else ()
    fix = "a task with several filters repeats every document: name one, e.g. --filter strict-match"
    return Normal("candidates", "lm_eval", tuple(parts), notes=notes, duplicate_fix=fix)


FORMAT = Format(
    name="lm_eval",
    summary="samples of lm-evaluation-harness, JSON lines: model = folder, group = task or metric",
    example='{"doc_id": 0, "filter": "none", "metrics": ["acc"], "acc": 1.0}',
    command="mechanism price results/ --sizes arc_easy=2,gsm8k/exact_match=1 --filter strict-match",
    matches=lambda source: source.kind == "json" and has(source, "doc_id", "metrics"),
    read=read,
)
