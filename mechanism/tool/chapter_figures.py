"""Figures of the chapter on the reader's own models."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS, GROUP_MARKERS


def plot_sizes(sweep: Any) -> Figure:
    """Chosen model and total payment over sizes: columns helpful, harmless, humor, model, paid."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8))
    for k, (model, rows) in enumerate(sweep.groupby("model", sort=True)):
        left.scatter(
            rows["helpful"], rows["harmless"], s=40, label=model,
            color=GROUP_COLORS[k % len(GROUP_COLORS)], marker=GROUP_MARKERS[k // 3 % 7],
        )  # fmt: skip
    left.legend(fontsize=6, loc="upper right", title="method and weights", title_fontsize=6)
    place = sweep["helpful"], sweep["harmless"]
    shown = right.scatter(*place, c=sweep["paid"], cmap="viridis", s=60)
    figure.colorbar(shown, ax=right, label="payments together")
    for axes in (left, right):
        axes.set(xlabel="size of helpful", ylabel="size of harmless", xlim=(0.5, 9), ylim=(0.5, 9))
    return figure


def plot_intervals(runs: Any) -> Figure:
    """Payments with their intervals, a row a vector of sizes and group."""
    figure, axes = plt.subplots(figsize=(7.0, 3.2))
    place = np.arange(len(runs))
    below = np.maximum(runs["payment"] - runs["low"], 0.0)
    above = np.maximum(runs["high"] - runs["payment"], 0.0)
    for k, name in enumerate(runs["group"].unique()):
        own = (runs["group"] == name).to_numpy()
        axes.errorbar(
            runs["payment"][own], place[own], xerr=[below[own], above[own]], linestyle="none",
            capsize=3, color=GROUP_COLORS[k], marker=GROUP_MARKERS[k], label=name,
        )  # fmt: skip
    axes.set_yticks(place, runs["sizes"])
    axes.set(xlabel="payment, with its 95 % interval", ylabel="sizes")
    axes.invert_yaxis()
    axes.legend(fontsize="small")
    return figure
