"""Figures of the chapter on noisy inputs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL


def plot_sharp(t: ArrayLike, curves: dict[str, ArrayLike], whole: str) -> Figure:
    """Greatest loss as a share of the paper's bound against t = 2 w eps / lam.

    Parameters
    ----------
    t : array_like, shape (k,)
    curves : dict
        Name to shares (k,).
    whole : str
        Name of the line at 1.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.0))
    axes.axhline(1.0, color=NEUTRAL, linewidth=2, label=whole)
    for k, (name, share) in enumerate(curves.items()):
        axes.plot(
            t, share, color=GROUP_COLORS[k], linestyle=GROUP_DASHES[k], marker=GROUP_MARKERS[k],
            markersize=4, markevery=8, label=name,
        )  # fmt: skip
    axes.set(
        xscale="log", xlabel=r"$t = 2 w_i\varepsilon/\lambda$",
        ylabel=r"greatest loss / ($2 w_i\varepsilon$)", ylim=(0, 1.05),
    )  # fmt: skip
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def plot_reached(names: list[str], shares: dict[str, ArrayLike]) -> Figure:
    """Bars of the share of 2 w eps that kinds of noise reach, a group of bars a divergence."""
    figure, axes = plt.subplots(figsize=(8.0, 3.6))
    hatches, greys = ("", "//", "xx"), np.linspace(0.85, 0.25, len(shares))
    for k, (kind, heights) in enumerate(shares.items()):
        place = np.arange(len(names)) + (k - (len(shares) - 1) / 2) * 0.26
        axes.bar(
            place, np.asarray(heights), 0.25, label=kind, color=str(greys[k]), hatch=hatches[k % 3],
            edgecolor="black", linewidth=0.6,
        )  # fmt: skip
    axes.set_xticks(range(len(names)), [n.replace(" ", "\n", 1) for n in names], fontsize="small")
    axes.set(ylabel=r"loss / ($2 w_i\varepsilon$)", ylim=(0, 1.05))
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def plot_ir(epsilon: ArrayLike, curves: dict[str, ArrayLike]) -> Figure:
    """Truthful utility of the worst games against eps, beside the lower bounds."""
    figure, axes = plt.subplots(figsize=(7.0, 3.4))
    noise = np.asarray(epsilon)
    for k, (name, utility) in enumerate(curves.items()):
        axes.plot(
            noise, utility, color=GROUP_COLORS[k], marker=GROUP_MARKERS[k], linestyle="none",
            markersize=5, label=name,
        )  # fmt: skip
        axes.plot(noise, -(k + 1) * noise, color=NEUTRAL, linestyle=GROUP_DASHES[k], linewidth=1)
    axes.axhline(0.0, color=NEUTRAL, linewidth=1)
    axes.set(xlabel=r"$\varepsilon$", ylabel="truthful utility, $w_1 = 1$")
    axes.legend(fontsize="small")
    return figure
