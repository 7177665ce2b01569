"""Completions that TRL's trainers log: `completions/completions_00010.parquet`.

Columns: `step`, `prompt`, `completion`, a column a reward function, extras that the reward
functions log, `advantage`; `images` where there are some. A reward is NaN where its function gave
None. The completions of one step and prompt are samples of one model: a support table whose
"initial model" is the policy that drew them. `--candidate step` makes each step a candidate.
Source: TRL 1.16, `trainer/rloo_trainer.py` and `grpo_trainer.py`, `log_completions`.
"""

from collections.abc import Sequence

from mechanism.tool.formats.base import Format, has, left_out, pick
from mechanism.tool.reading.normal import Form, Normal, Part, Wish
from mechanism.tool.reading.sources import Source

KEYS = ("step", "prompt", "completion", "advantage", "images")
REFUSED = {
    "advantage": "it is computed from all rewards of a batch: no reward of a group",
    "step": "it counts training steps: no reward",
}


def rollouts(
    name: str, sources: Sequence[Source], wish: Wish, prompt: str, answer: str,
    keys: Sequence[str], refused: dict[str, str],
) -> Normal:  # fmt: skip
    """Rollouts of a trainer: a support table, or a candidate a step."""
    parts = []
    by_candidate = wish.candidate is not None
    for source in sources:
        numbers = pick(source, wish, keys, refused)
        text = f"CAST({source.sql(prompt)} AS VARCHAR)"
        if by_candidate:
            candidate: str | None = source.sql(wish.candidate or "step")
            key, sample = text, None
        else:
            candidate, key = None, f"CAST({source.sql('step')} AS VARCHAR) || chr(30) || {text}"
            sample = "row_number() OVER ()"  # equal completions are two samples all the same
        parts.append(Part(source, source.relation, candidate, key, sample, numbers))
    notes = list(left_out(sources, wish, keys))
    if not by_candidate:
        notes.append(
            f"outcomes are the values of {answer!r} drawn for a step and prompt; the initial model"
            " is the policy that drew them (--candidate step makes each step a candidate instead)"
        )
    form: Form = "candidates" if by_candidate else "support"
    return Normal(form, name, tuple(parts), repeats=by_candidate, notes=tuple(notes))


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """Groups are reward columns; extras look like rewards, so `--sizes` must name what is one."""
    return rollouts("trl", sources, wish, "prompt", "completion", KEYS, REFUSED)


FORMAT = Format(
    name="trl",
    summary="completions logged by TRL's trainers, Parquet: groups are reward functions",
    example=(
        "step | prompt | completion | harmless | humor | advantage\n"
        "10 | Hello? | Hi. | 0.9 | 0.1 | 0.3"
    ),
    command="mechanism price completions/ --sizes harmless=3,humor=7 --lam 0.5",
    matches=lambda source: has(source, "step", "prompt", "completion", "advantage"),
    read=read,
)
