"""Figure of the verdict: what every trained model won by its own objective."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS, GROUP_MARKERS, NEUTRAL

KINDS = ("reward", "SW-Max", "released soup", "control")


def plot_outcomes(table: pd.DataFrame) -> Figure:
    """Draw net gains with two standard errors beside what the optimum would win.

    Parameters
    ----------
    table : DataFrame
        One row a model, as `outcomes.over_seeds` gives it: a panel a game, a mark a kind.
    """
    games = list(table["game"].unique())
    sizes = [int((table["game"] == game).sum()) for game in games]
    figure, grid = plt.subplots(
        len(games), 1, figsize=(7.6, 0.34 * sum(sizes) + 1.6), sharex=True, squeeze=False,
        gridspec_kw={"height_ratios": sizes},
    )  # fmt: skip
    for axes, game in zip(grid[:, 0], games, strict=True):
        rows = table[table["game"] == game]
        place = np.arange(len(rows))
        axes.barh(place, rows["possible"], color="0.88", height=0.72, label="the optimum")
        for k, kind in enumerate(KINDS):
            one = (rows["kind"] == kind).to_numpy()
            if one.any():
                axes.errorbar(
                    rows["net"][one], place[one], xerr=2 * rows["net_se"][one], fmt="none",
                    ecolor=GROUP_COLORS[k],
                )  # fmt: skip
                axes.plot(rows["net"][one], place[one], GROUP_MARKERS[k], color=GROUP_COLORS[k],
                          markersize=6, label=kind)  # fmt: skip
        axes.axvline(0.0, color=NEUTRAL, linewidth=1)
        axes.set_yticks(place, rows["model"], fontsize="small")
        axes.invert_yaxis()
        axes.set_title(game.replace("_", " and "), fontsize="medium")
    grid[-1, 0].set_xlabel("objective above the initial model, reward units")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize="small")
    return figure
