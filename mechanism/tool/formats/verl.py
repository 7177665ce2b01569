"""Rollouts that verl dumps: `{step}.jsonl`, one JSON object a line.

Keys: `input`, `output`, `score`, `step`, `gts` in newer versions, and whatever the reward function
returned besides. Groups are those numeric extras. `score` is what the trainer maximised, an
aggregate of all of them, and no group's own reward.
Source: verl, `trainer/ppo/ray_trainer.py`, `_dump_generations`.
"""

from collections.abc import Sequence

from mechanism.tool.formats.base import Format, has
from mechanism.tool.formats.trl import rollouts
from mechanism.tool.reading.normal import Normal, Wish
from mechanism.tool.reading.sources import Source

KEYS = ("input", "output", "gts", "score", "step")
REFUSED = {
    "score": "it aggregates what the trainer maximised: no reward of a group",
    "step": "it counts training steps: no reward",
}


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """Groups are the numeric extras."""
    return rollouts("verl", sources, wish, "input", "output", KEYS, REFUSED)


FORMAT = Format(
    name="verl",
    summary="rollouts dumped by verl, JSON lines: groups are the numeric extras",
    example=(
        '{"input": "Hello?", "output": "Hi.", "score": 0.5, "step": 10,\n'
        ' "harmless": 0.9, "humor": 0.1}'
    ),
    command="mechanism price rollouts/ --sizes harmless=3,humor=7 --lam 0.5",
    matches=lambda source: source.kind == "json" and has(source, "input", "output", "score"),
    read=read,
)
