"""Figures of the chapter on Tables 2 to 6."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.experiments.cells import Cell
from mechanism.experiments.published.reproduction import CELLS, REWARDS
from mechanism.experiments.soups import (
    METHODS,
    SIZES,
    best_report,
    play_alpha,
    play_beta,
    soups_game,
)
from mechanism.plotting import GROUP_COLORS, NEUTRAL, plot_strategies

OFFSETS = {"c1": (8, 3), "c2": (8, 3), "c3": (8, -3), "c4": (-9, 9), "c5": (7, 2), "c6": (4, 8)}


def plot_candidates(candidates: pd.DataFrame, soups: pd.DataFrame) -> Figure:
    """Draw recovered rewards with their intervals over the rewards of real models."""
    figure, grid = plt.subplots(1, 2, figsize=(9.0, 4.2))
    for axes, name in zip(grid, REWARDS[1:], strict=True):
        for method, marker, grey in (("RS", "o", "0.55"), ("MOD", "^", "0.75")):
            rows = soups[soups.method == method]
            axes.plot(rows.helpful, rows[name], marker, color=grey, markersize=4,
                      label=f"{method} models")  # fmt: skip
        axes.errorbar(
            candidates.helpful, candidates[name], fmt="D", color="black", markersize=5,
            ecolor="black", elinewidth=1.5, capsize=4, label="recovered, with interval",
            xerr=_reach(candidates, "helpful"), yerr=_reach(candidates, name),
        )  # fmt: skip
        for row in candidates.itertuples():
            place = row.helpful, getattr(row, name)
            axes.annotate(row.candidate, place, OFFSETS[row.candidate], textcoords="offset points")
        axes.set(xlabel="helpful", ylabel=name, xlim=(-0.08, 1.1), ylim=(-0.08, 1.12))
    grid[1].legend(fontsize="small", loc="upper right")
    return figure


def _reach(candidates: pd.DataFrame, name: str) -> np.ndarray:
    middle = candidates[name]
    reach = [middle - candidates[f"{name}_low"], candidates[f"{name}_high"] - middle]
    return np.maximum(np.array(reach), 0.0)


def plot_tables(cells: Sequence[Cell], predicted: pd.DataFrame) -> Figure:
    """Draw every table of the appendix: published cells, ours, and the forecast in grey."""
    figure, grid = plt.subplots(3, 5, figsize=(11.5, 6.0), sharex=True)
    frame = pd.DataFrame(cells)
    frame["value"] = frame.row.str.split("=").str[1].astype(float)
    for k, table in enumerate(f"table{t}" for t in range(2, 7)):
        for axes, name in zip(grid[:, k], CELLS, strict=True):
            known = frame[(frame.table == table) & (frame.column == name)]
            _draw_prediction(axes, predicted[predicted.table == table], name)
            axes.plot(known.value, known.paper, "o", color=NEUTRAL, markersize=7,
                      markerfacecolor="none", label="paper")  # fmt: skip
            axes.plot(known.value, known.ours, ".-", color=GROUP_COLORS[0], label="ours")
            axes.axvline(1.0, color=NEUTRAL, linestyle=":", linewidth=1)
        note = "\n(forecast in grey)" if table in set(predicted.table) else ""
        grid[0, k].set_title(f"Table {table[-1]}{note}", fontsize="medium")
        grid[2, k].set_xlabel("beta" if table in ("table4", "table5") else "alpha")
    for axes, name in zip(grid[:, 0], CELLS, strict=True):
        axes.set_ylabel(name.replace("_", " "))
    grid[0, 0].legend(fontsize="small")
    return figure


def _draw_prediction(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    middle = rows[name].to_numpy()
    reach = np.array([middle - rows[f"{name}_low"], rows[f"{name}_high"] - middle])
    axes.errorbar(rows.value, middle, yerr=np.maximum(reach, 0), fmt="s", markersize=9,
                  color="0.75", capsize=5, zorder=1)  # fmt: skip


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
