"""Figure of the section "Does the trainer maximise SW-Max?"."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.plotting import NEUTRAL

# A family shares colour and line; markers tell its members apart
STYLES: dict[str, dict[str, Any]] = {
    "rloo": {"color": "#0072B2", "linestyle": "-", "markerfacecolor": "white"},
    "grpo": {"color": "#D55E00", "linestyle": "--"},
    "regression": {"color": "#009E73", "linestyle": "-."},
}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h", "p", "<", ">")


def plot_trainers(outcomes: pd.DataFrame) -> Figure:
    """Draw gap, divergence and effective lambda of every rule against lambda, all on log axes.

    Parameters
    ----------
    outcomes : DataFrame
        As `trainers.recorded` gives it; the longer trainings are left out. Points are seeds,
        lines their geometric means.
    """
    outcomes = outcomes[outcomes["steps"] == outcomes["steps"].min()]
    figure, grid = plt.subplots(1, 3, figsize=(11.5, 4.6))
    panels = {
        "gap": "J* − J, reward units",
        "kl_to_initial": "KL(π, π₀), nats",
        "effective_lam": "effective λ",
    }
    for axes, (column, label) in zip(grid, panels.items(), strict=True):
        for marker, rule in zip(MARKERS, outcomes["rule"].unique(), strict=False):
            style = STYLES[rule.replace(",", " ").split()[0].lower()]
            _draw(axes, outcomes[outcomes["rule"] == rule], column, rule, marker, style)
        axes.set(xscale="log", yscale="log", xlabel="λ", title=label)
        places = sorted(outcomes["lam"].unique())
        axes.xaxis.set_ticks(places, [f"{lam:g}" for lam in places])
        axes.xaxis.set_ticks([], minor=True)
    by_lam = outcomes.groupby("lam", as_index=False).mean(numeric_only=True)
    grey = {"color": NEUTRAL, "linewidth": 4, "alpha": 0.35, "zorder": 0}
    grid[0].plot(by_lam["lam"], by_lam["optimum"] - by_lam["initial"], **grey,
                 label="grey: no training (left), the optimum (others)")  # fmt: skip
    grid[1].plot(by_lam["lam"], by_lam["kl_of_optimum"], **grey)
    grid[2].plot(by_lam["lam"], by_lam["lam"], **grey)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _draw(
    axes: Axes, rows: pd.DataFrame, column: str, rule: str, marker: str, style: dict[str, Any]
) -> None:
    positive = rows[rows[column] > 0]
    middle = np.exp(np.log(positive.set_index("lam")[column]).groupby("lam").mean())
    axes.plot(middle.index, middle, marker=marker, markersize=6, linewidth=1.3, label=rule, **style)
    axes.plot(positive["lam"], positive[column], ".", color=style["color"], markersize=3)
