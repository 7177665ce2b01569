"""Figures of the chapter on payments from one training."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL, group_style
from mechanism.theorems.one_training import CurvePayment


def plot_against_mu(mu: ArrayLike, panels: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Draw quantities against mu on a log axis: panel title to line name to values (k,).

    A line whose name begins with "bound" or "exact" is grey and broken.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(3.5 * len(panels) + 0.4, 3.4))
    for ax, (title, lines) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        for k, (name, values) in enumerate(lines.items()):
            grey = name.startswith(("bound", "exact"))
            look = {"color": NEUTRAL, "linestyle": "--"} if grey else {
                "color": GROUP_COLORS[k], "linestyle": GROUP_DASHES[k],
                "marker": GROUP_MARKERS[k], "markersize": 4,
            }  # fmt: skip
            ax.plot(np.asarray(mu), np.broadcast_to(np.asarray(values), np.shape(mu)), label=name,
                    **look)  # fmt: skip
        ax.set(xscale="log", xlabel="$\\mu$", title=title, ylim=(0, None))
        ax.legend(fontsize="small")
    return figure


def plot_curves(paid: Sequence[CurvePayment], values: Sequence[ArrayLike]) -> Figure:
    """Draw each group's own value against its share, and what is charged where that share is drawn.

    The shaded area is the limit of the truthful utility for mu to 0.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4))
    for i, (one, curve) in enumerate(zip(paid, values, strict=True)):
        style, height = group_style(i), np.asarray(curve)
        every = max(1, len(height) // 8)
        left.plot(one.shares, height, markevery=every, **style)
        left.fill_between(one.shares, 0, height, color=style["color"], alpha=0.15)
        right.plot(one.shares[:-1], one.payments[:-1], markevery=every, **style)
        right.plot(1.0, one.payments[-1], color=style["color"], marker="*", markersize=12)
    right.axhline(0.0, color=NEUTRAL, linewidth=1)
    left.set(xlabel="share $s$ of the own size", ylabel="own value $w\\,v$", ylim=(0, None))
    right.set(xlabel="share that was drawn", ylabel="payment (star: not shrunk)")
    left.legend(fontsize="small")
    return figure
