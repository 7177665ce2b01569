"""Figures of the chapter on necessary payments."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL

Curves = dict[str, tuple[ArrayLike, ArrayLike]]


def plot_rooms(panels: dict[str, Curves], labels: list[str]) -> Figure:
    """Room against a parameter, log-log, a panel a title; the dashed line is the identity.

    Parameters
    ----------
    panels : dict
        Title to curves, each a name with (x, y).
    labels : list of str
        Horizontal label of each panel.
    """
    figure, axes_row = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 3.8), squeeze=False, sharey=False
    )
    for axes, (title, curves), label in zip(axes_row[0], panels.items(), labels, strict=True):
        for k, (name, (x, y)) in enumerate(curves.items()):
            axes.loglog(
                x, y, color=GROUP_COLORS[k], linestyle=GROUP_DASHES[k], marker=GROUP_MARKERS[k],
                markersize=4, label=name,
            )  # fmt: skip
        x = np.asarray(x)
        axes.loglog(x, x, color=NEUTRAL, linewidth=1, linestyle=(0, (1, 2)))
        axes.set(title=title, xlabel=label)
        axes.legend(fontsize="x-small")
    axes_row[0][0].set_ylabel("room")
    return figure


def plot_interval(own: ArrayLike, exact: ArrayLike, top: ArrayLike) -> Figure:
    """Every payment rule that is DSIC, IR and >= 0 lies in the band, for one group's reports."""
    figure, axes = plt.subplots(figsize=(7.0, 3.4))
    axes.fill_between(
        np.asarray(own), np.asarray(exact), np.asarray(top), color=GROUP_COLORS[4], alpha=0.35,
        label="DSIC, IR and >= 0",
    )  # fmt: skip
    axes.plot(own, exact, color=GROUP_COLORS[0], label="affine maximizer payment")
    axes.plot(own, top, color=GROUP_COLORS[5], linestyle="--", label="plus the room")
    axes.axhline(0.0, color=NEUTRAL, linewidth=1)
    axes.set(
        xlabel=r"own report: from constant (0) to the wanted outcome alone (1)", ylabel="payment"
    )
    axes.legend(fontsize="small")
    return figure
