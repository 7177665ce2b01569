"""Support table: a row a sample of the initial model, with a column a reward.

Columns: `prompt`, `sample`, rewards. With `log_prob` (of the model that drew the sample) and
`log_prob_initial` the samples are reweighted to the initial model.
"""

from collections.abc import Sequence

from mechanism.tool.formats.base import Format, has, left_out, pick
from mechanism.tool.reading.normal import LOG_PROB, LOG_PROB_INITIAL, Normal, Part, Wish
from mechanism.tool.reading.sources import Source

KEYS = ("prompt", "sample", LOG_PROB, LOG_PROB_INITIAL)


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """Each column under its own name."""
    parts = []
    for source in sources:
        numbers = pick(source, wish, KEYS)
        if has(source, LOG_PROB, LOG_PROB_INITIAL):
            for name in (LOG_PROB, LOG_PROB_INITIAL):
                numbers[name] = (source.sql(name), source.is_number(name))
        parts.append(
            Part(source, source.relation, None, source.sql("prompt"), source.sql("sample"), numbers)
        )
    return Normal("support", "support", tuple(parts), notes=left_out(sources, wish, KEYS))


FORMAT = Format(
    name="support",
    summary="a row a sample of the initial model; the exact mechanism on the samples",
    example="prompt,sample,harmless,humor\np1,0,0.9,0.1\np1,1,0.2,0.8\np2,0,0.7,0.3\np2,1,0.4,0.4",
    command="mechanism price samples.csv --sizes harmless=3,humor=7 --lam 0.5",
    matches=lambda source: has(source, "prompt", "sample") and not has(source, "candidate"),
    read=read,
)
