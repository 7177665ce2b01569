"""Figures of the chapter on Table 1."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats
from mechanism.experiments.synthetic.reproduction import EPSILONS, TARGET, published
from mechanism.plotting import NEUTRAL, group_style

QUANTITIES = ("change of valuation × 100", "loss of utility × 10,000")


def plot_table(estimates: Mapping[str, Floats]) -> Figure:
    """Draw the published means and those of several settings, (2, 7) each, against epsilon."""
    figure, grid = plt.subplots(1, 2, figsize=(8.6, 3.8))
    styles = (("--", "0.55"), ("-", "0.0"))
    for k, (axes, title) in enumerate(zip(grid, QUANTITIES, strict=True)):
        for (name, means), (dash, grey) in zip(estimates.items(), styles, strict=False):
            axes.loglog(EPSILONS, abs(means[k]), dash, color=grey, linewidth=1.3, label=name)
        axes.loglog(EPSILONS, abs(published()[k]), "o", color="#0072B2", label="published",
                    markersize=7, markerfacecolor="none", markeredgewidth=1.6)  # fmt: skip
        axes.set(xlabel="ε", title=title)
    grid[0].legend()
    return figure


def plot_search(lams: ArrayLike, worst: Mapping[int, ArrayLike]) -> Figure:
    """Draw the worst relative error of the 14 cells against lam, a line a number of groups."""
    figure, axes = plt.subplots(figsize=(7.0, 4.0))
    for groups, errors in worst.items():
        style = group_style(groups - 2) | {"label": f"{groups} groups"}
        axes.loglog(lams, 100 * np.asarray(errors), markersize=5, **style)
    axes.axhline(100 * TARGET, color=NEUTRAL, linestyle=":", linewidth=1)
    axes.annotate("target", (np.max(lams), 100 * TARGET), (0, 4), textcoords="offset points",
                  ha="right", color=NEUTRAL)  # fmt: skip
    axes.set(xlabel="λ", ylabel="worst relative error, %")
    places = {axes.xaxis: (0.03, 0.1, 0.2, 0.5, 1), axes.yaxis: (1, 2, 5, 10, 20, 50)}
    for axis, ticks in places.items():
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    axes.legend()
    return figure


def plot_slopes(epsilons: Floats, ratios: Mapping[str, Floats]) -> Figure:
    """Draw simulated over predicted small-epsilon changes, (2, epsilons); 1 is the theory."""
    figure, axes = plt.subplots(figsize=(7.0, 3.4))
    names = ("valuation, linear term", "utility, quadratic term")
    for (rule, pair), grey in zip(ratios.items(), ("0.55", "0.0"), strict=True):
        for name, ratio, mark in zip(names, pair, ("o-", "s--"), strict=True):
            axes.semilogx(epsilons, ratio, mark, color=grey, label=f"{name}: {rule}", markersize=5)
    axes.set(xlabel="ε", ylabel="simulated / predicted", ylim=(0.7, 1.05))
    axes.legend(fontsize="small")
    return figure
