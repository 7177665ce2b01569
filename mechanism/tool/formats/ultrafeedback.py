"""Rows of UltraFeedback: four responses to an instruction, each rated in four aspects.

`completions` is a list of objects with `annotations.{aspect}.Rating`; ratings are texts, some of
them "N/A". Groups are aspects; the outcomes of a prompt are its responses.
Source: openbmb/UltraFeedback, data card.
"""

from collections.abc import Sequence

from mechanism.core.errors import InvalidInputError
from mechanism.tool.formats.base import Format, has
from mechanism.tool.reading.engine import literal
from mechanism.tool.reading.normal import Normal, Part, Wish, listed
from mechanism.tool.reading.sources import Source

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """A part a file; every completion of a row is an outcome of its prompt."""
    for name in wish.groups:
        if name not in ASPECTS:
            rule = "is no aspect that UltraFeedback rates"
            raise InvalidInputError("--sizes", name, rule, f"choose from {', '.join(ASPECTS)}")
    parts = []
    for source in sources:
        document = "json" if source.kind == "json" else f"to_json({source.sql('completions')})"
        path = "/completions" if source.kind == "json" else ""
        array = f"json_extract({document}, {literal(path)})" if path else document
        completions = f"json_extract(CAST({array} AS JSON), '$[*]')"
        relation = (
            f"(SELECT n, prompt, unnest({completions}) AS one, unnest(range(len({completions})))"
            f" AS sample FROM (SELECT *, row_number() OVER () AS n, {source.sql('instruction')}"
            f" AS prompt FROM {source.relation}))"
        )
        numbers = {
            name: (f"json_extract_string(one, '/annotations/{name}/Rating')", False)
            for name in wish.groups
        }
        # an instruction may come twice in the data: the row tells them apart
        key = "CAST(n AS VARCHAR) || chr(30) || prompt"
        parts.append(Part(source, relation, None, key, "sample", numbers, noun="response"))
    unused = [name for name in ASPECTS if name not in wish.groups]
    notes = (f"aspects left out, since --sizes does not name them: {listed(unused)}",)
    return Normal("support", "ultrafeedback", tuple(parts), notes=notes if unused else ())


FORMAT = Format(
    name="ultrafeedback",
    summary="rows of UltraFeedback: outcomes are a prompt's responses, groups are rated aspects",
    example=(
        '{"instruction": "Hello?", "models": ["a"],\n'
        ' "completions": [{"annotations": {"helpfulness": {"Rating": "4"}}}]}'
    ),
    command="mechanism price rows.jsonl --sizes helpfulness=3,honesty=7 --lam 0.5 --missing drop",
    matches=lambda source: has(source, "instruction", "completions"),
    read=read,
)
