"""Figures of the chapter on false names and collusion."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, group_style


def plot_names(names: ArrayLike, paid: dict[str, ArrayLike]) -> Figure:
    """Total payment against the number of equal names, both axes logarithmic."""
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    for k, (title, values) in enumerate(paid.items()):
        axes.plot(
            np.asarray(names), np.asarray(values), color=GROUP_COLORS[k],
            linestyle=GROUP_DASHES[k], marker=GROUP_MARKERS[k], markersize=4, label=title,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="names", ylabel="total payment")
    axes.legend(fontsize="small")
    return figure


def plot_joint_sizes(factors: ArrayLike, gains: dict[tuple[int, str], ArrayLike]) -> Figure:
    """Gains of two groups as they multiply their sizes, together and each alone.

    `gains` has a curve for each group (from 0) and who overstates, "both overstate" or "alone".
    """
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    for (i, who), values in gains.items():
        style = group_style(i) | {"label": f"group {i + 1}, {who}", "markevery": 6, "markersize": 4}
        if who == "alone":
            style |= {"linestyle": ":", "markerfacecolor": "white"}
        axes.plot(np.asarray(factors), np.asarray(values), **style)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel="reported size over true size", ylabel="gain in utility")
    axes.legend(fontsize="small")
    return figure
