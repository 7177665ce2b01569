"""Figures of the chapter on cheap payments."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL
from mechanism.theorems.efficient_payments import Comparison


def plot_against_exact(comparisons: dict[str, Comparison]) -> Figure:
    """Cheap payments against exact ones, a panel a heuristic; below the diagonal: too little."""
    figure, panels = plt.subplots(
        1, len(comparisons), figsize=(3.6 * len(comparisons) + 0.4, 3.4), squeeze=False
    )
    for k, (axes, (title, data)) in enumerate(zip(panels[0], comparisons.items(), strict=True)):
        exact, cheap = data.exact.ravel(), data.cheap.ravel()
        axes.plot(exact, cheap, GROUP_MARKERS[k], color=GROUP_COLORS[k], markersize=3, alpha=0.6)
        top = float(max(exact.max(), cheap.max()))
        axes.plot([0, top], [0, top], color=NEUTRAL, linewidth=1, linestyle="--")
        axes.axhline(0.0, color=NEUTRAL, linewidth=1)
        axes.set(title=title, xlabel="exact payment")
    panels[0][0].set_ylabel("cheap payment")
    return figure


def plot_exaggeration(strength: ArrayLike, utilities: dict[str, ArrayLike]) -> Figure:
    """Utility of group 1 as it mixes the truth (0) with an exaggerated report (1)."""
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    for k, (name, utility) in enumerate(utilities.items()):
        curve = np.asarray(utility)
        axes.plot(
            strength, curve, color=GROUP_COLORS[k], linestyle=GROUP_DASHES[k], label=name,
            marker=GROUP_MARKERS[k], markevery=8, markersize=4,
        )  # fmt: skip
    axes.set(xlabel="weight of the exaggerated report", ylabel="true utility of group 1")
    axes.legend(fontsize="small")
    return figure
