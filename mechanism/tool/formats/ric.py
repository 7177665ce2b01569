"""Soups of the RiC code: one CSV a preference vector, which the file name holds.

Columns: an unnamed index, `prompt`, `response`, `obtained_score1`, ..., `obtained_scorek`; the
name is `eval_data_pref0.3_0.7.csv`. A candidate a file. No divergence is in it.
Source: ppo/eval_rewarded_soups.py of the repository YangRui2015/RiC.
"""

from collections.abc import Sequence

from mechanism.tool.formats.base import Format, has, left_out, unique_names
from mechanism.tool.formats.candidates import one_per_file
from mechanism.tool.reading.normal import Normal, Wish
from mechanism.tool.reading.sources import Source

KEYS = {"", "prompt", "response"}


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """A candidate a file; a prompt that comes several times is averaged."""
    names = unique_names(
        [source.path.stem.removeprefix("eval_data_") for source in sources], sources
    )
    parts = one_per_file(sources, names, wish, "prompt", KEYS)
    notes = left_out(sources, wish, KEYS)
    return Normal("candidates", "ric", parts, repeats=True, notes=notes)


FORMAT = Format(
    name="ric",
    summary="soups of the RiC code, one CSV a preference vector: a candidate a file",
    example=",prompt,response,obtained_score1,obtained_score2\n0,Hello?,Hi.,0.91,-0.40",
    command="mechanism price eval_data_pref*.csv --sizes obtained_score1=3,obtained_score2=7",
    matches=lambda source: has(source, "prompt", "obtained_score1"),
    read=read,
)
