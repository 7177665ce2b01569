"""Leaderboards of alpaca_eval: a CSV whose unnamed first column holds the models.

Columns: `win_rate`, `length_controlled_winrate`, standard errors, counts, `mode`, `avg_length`.
Rates are percentages. Groups are win rates; costs and counts are refused as rewards.
Source: tatsu-lab/alpaca_eval, `src/alpaca_eval/leaderboards`, `*_leaderboard.csv`.
"""

from collections.abc import Sequence

from mechanism.tool.formats.base import Format, has, left_out, pick
from mechanism.tool.reading.normal import Normal, Part, Wish
from mechanism.tool.reading.sources import Source

ERRORS = ("standard_error", "lc_standard_error")
COUNTS = ("n_wins", "n_wins_base", "n_draws", "n_total")
REFUSED = {
    **dict.fromkeys(ERRORS, "it is the error of a win rate: no reward"),
    **dict.fromkeys(COUNTS, "it is a count: no reward"),
    "mode": "it is a text: no reward",
    "avg_length": "it is a cost, and the largest would win (--negate avg_length turns its sign)",
}


def read(sources: Sequence[Source], wish: Wish) -> Normal:
    """A candidate a row."""
    reserved = ("", "name", "candidate", *REFUSED)
    parts = []
    for source in sources:
        column = wish.candidate or ("name" if has(source, "name") else source.columns[0])
        numbers = pick(source, wish, reserved, REFUSED)
        parts.append(Part(source, source.relation, source.sql(column), None, None, numbers))
    notes = (*left_out(sources, wish, ("", "name")), "win rates are percentages")
    return Normal("candidates", "alpaca_eval", tuple(parts), notes=notes)


FORMAT = Format(
    name="alpaca_eval",
    summary="leaderboard of alpaca_eval, CSV: a candidate a row, groups are win rates",
    example=(
        ",win_rate,standard_error,mode,avg_length,length_controlled_winrate\n"
        "model a,50.1,1.5,community,1800,48.2"
    ),
    command="mechanism price leaderboard.csv --sizes win_rate=1,length_controlled_winrate=1",
    matches=lambda source: has(source, "win_rate") and has(source, "avg_length"),
    read=read,
)
