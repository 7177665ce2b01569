"""The strategies of the paper on released models."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mechanism.experiments.soups import (
    METHODS,
    SIZES,
    best_report,
    play_alpha,
    play_beta,
    soups_game,
)
from mechanism.plotting import plot_strategies


def plot_soups(
    parameter: str, shown: str = "RS", sizes: Sequence[tuple[int, ...]] = SIZES
) -> Figure:
    """Draw Figure 2's layout on real models: one method in group 1's colour, others in grey.

    The broken lines are the best of all reports for the coloured method: in the row of the
    valuation without payments, in the row of the utility with them.
    """
    strategy = play_alpha if parameter == "alpha" else play_beta
    rows = ("valuation", "payment", "utility")
    played = {m: [strategy(soups_game(m, w)) for w in SIZES] for m in METHODS}
    curves = {row: [getattr(one, row) for one in played[shown]] for row in rows}
    titles = ["sizes ({}, {}, {})".format(*w) for w in SIZES]
    figure = plot_strategies(played[shown][0].parameter, curves, titles, parameter)
    grid = np.array(figure.axes).reshape(len(rows), len(SIZES))
    dashes = ("-", "--", "-.", ":")
    for dash, method in zip(dashes, [m for m in METHODS if m != shown], strict=True):
        for axes_row, row in zip(grid, rows, strict=True):
            for axes, one in zip(axes_row, played[method], strict=True):
                axes.plot(one.parameter, getattr(one, row), color="0.55", linestyle=dash,
                          linewidth=1, label=method, zorder=1)  # fmt: skip
    for axes_row, best in zip(grid[::2], ("free_gain", "paid_gain"), strict=True):
        for axes, one, w in zip(axes_row, played[shown], SIZES, strict=True):
            truth = getattr(one, rows[0] if best == "free_gain" else rows[2])[one.parameter == 1.0]
            level = float(truth[0]) + getattr(best_report(soups_game(shown, w), 0), best)
            axes.axhline(level, color="black", linestyle=(0, (6, 4)), linewidth=1,
                         label=f"best of all reports, {shown}")  # fmt: skip
    grid[0, 0].lines[0].set_label(shown)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize="small")
    return figure
