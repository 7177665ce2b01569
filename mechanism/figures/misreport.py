"""Figures of the chapter on misreporting without payments."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.core.divergences import Divergence
from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, NEUTRAL, group_style


def plot_gain_curves(shares: ArrayLike, curves: dict[str, ArrayLike]) -> Figure:
    """Draw the gain of group 1 against epsilon as a share of the largest, a line a divergence."""
    figure, axes = plt.subplots()
    for k, (name, gain) in enumerate(curves.items()):
        axes.plot(
            shares, gain, color=GROUP_COLORS[k % 7], linestyle=GROUP_DASHES[k % 7], label=name
        )
    axes.axhline(0.0, color=NEUTRAL, linewidth=1)
    axes.set(xlabel=r"$\varepsilon$ / largest $\varepsilon$", ylabel="gain of group 1")
    axes.legend(fontsize="small", ncols=2)
    return figure


def plot_responses(divergences: dict[str, Divergence]) -> Figure:
    """Draw slope and response of four generators: a kink above is a flat step below."""
    figure, grid = plt.subplots(2, len(divergences), figsize=(10.5, 4.8), sharey="row")
    ratio, slope = np.linspace(0.05, 3.5, 2001), np.linspace(-1.6, 1.6, 2001)
    for column, (name, divergence) in zip(grid.T, divergences.items(), strict=True):
        column[0].plot(ratio, divergence.df(ratio), ".", markersize=1, color=GROUP_COLORS[0])
        response = np.minimum(divergence.df_inverse(slope), 6.0)
        column[1].plot(slope, response, ".", markersize=1, color=GROUP_COLORS[5])
        column[0].set(title=name, xlabel="$p/q$", ylim=(-2.2, 2.2))
        column[1].set(xlabel=r"$S - \mu$", ylim=(-0.1, 3.5))
        column[0].title.set_fontsize("small")
    grid[0, 0].set_ylabel("slope $f'$")
    grid[1, 0].set_ylabel("response $p/q$")
    return figure


def plot_escalation(
    shares: ArrayLike, utilities: dict[str, ArrayLike], welfare: dict[str, ArrayLike]
) -> Figure:
    """Draw what two groups and the welfare come to when both exaggerate; a column a game.

    `utilities` holds (k, 2) arrays of changes from truth, `welfare` (k,) arrays of the same.
    """
    figure, row = plt.subplots(1, len(utilities), figsize=(10.5, 3.4), squeeze=False)
    for axes, (name, change) in zip(row[0], utilities.items(), strict=True):
        for i, line in enumerate(np.asarray(change).T):
            axes.plot(shares, line, markevery=(i, 4), **group_style(i))  # type: ignore[arg-type]
        axes.plot(shares, welfare[name], color=NEUTRAL, linewidth=2.5, alpha=0.7, label="welfare")
        axes.axhline(0.0, color="black", linewidth=0.8)
        if np.ptp(change) < 1e-12:  # nothing but rounding: show it as the zero that it is
            axes.set_ylim(-0.01, 0.01)
        axes.set(title=name, xlabel=r"$\varepsilon$ / largest, both groups")
        axes.title.set_fontsize("medium")
    row[0, 0].set_ylabel("change from truth")
    row[0, 0].legend(fontsize="small")
    return figure
