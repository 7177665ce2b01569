"""Figures of the chapter on the SW-Max rule."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.core.errors import Floats
from mechanism.plotting import NEUTRAL

_GREYS = ("0.0", "0.45", "0.7")
_DASHES = ("-", "--", "-.")
# Divergences are no groups: they take colours that no group has, and dashes of their own.
_PATHS = plt.get_cmap("cividis")
_LINES = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (3, 1, 1, 1)),
    (0, (1, 1)),
    (0, (8, 3)),
    (0, (2, 4)),
)


def plot_strength(strengths: Floats, paths: dict[str, Floats]) -> Figure:
    """Draw each outcome's probability against lam, a panel a divergence; paths are (k, m)."""
    rows = -(-len(paths) // 3)
    figure, grid = plt.subplots(
        rows, 3, figsize=(9.0, 2.1 * rows + 0.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, (name, path) in zip(grid.flat, paths.items(), strict=False):
        for j, probability in enumerate(path.T):
            axes.plot(
                strengths, probability, _DASHES[j % 3], color=_GREYS[j % 3],
                label=f"$x_{{{j + 1}}}$",
            )  # fmt: skip
        axes.set_title(name, fontsize="medium")
        axes.set(xscale="log", ylim=(-0.03, 1.03))
    for axes in grid[-1]:
        axes.set_xlabel(r"strength $\lambda$")
    for row in grid:
        row[0].set_ylabel("probability")
    grid[0, 0].legend(loc="upper right", fontsize="small")
    for axes in list(grid.flat)[len(paths) :]:
        axes.axis("off")
    return figure


def plot_simplex(reference: Floats, paths: dict[str, Floats]) -> Figure:
    """Draw paths (k, 3) of the optimum in the triangle of all models over three outcomes."""
    figure, axes = plt.subplots(figsize=(7.6, 5.2))
    corners = np.array([[0.5, np.sqrt(0.75)], [0.0, 0.0], [1.0, 0.0]])
    axes.plot(*corners[[0, 1, 2, 0]].T, color=NEUTRAL, linewidth=1)
    for j, (x, y) in enumerate(corners):
        axes.annotate(
            f"$x_{{{j + 1}}}$", (x, y), xytext=(0, 9 if j == 0 else -16),
            textcoords="offset points", ha="center",
        )  # fmt: skip
    for k, (name, path) in enumerate(paths.items()):
        color = _PATHS(0.9 * k / max(len(paths) - 1, 1))
        stops = np.unique(path, axis=0)
        if len(stops) <= path.shape[-1]:  # a path that jumps has no line between its stops
            axes.plot(*(stops @ corners).T, "D", color=color, markersize=9, label=name, zorder=1)
        else:
            axes.plot(*(path @ corners).T, linestyle=_LINES[k], color=color, lw=2, label=name)
    start = reference @ corners
    axes.plot(*start, "o", color="black", markersize=7)
    axes.annotate("$q$", start, xytext=(8, -4), textcoords="offset points")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(loc="center left", bbox_to_anchor=(0.78, 0.7), fontsize="small", handlelength=4)
    return figure


def plot_duals(multipliers: Floats, bounds: dict[str, tuple[Floats, float]]) -> Figure:
    """Draw the dual bound against mu and the optimal ASW, for each divergence."""
    figure, grid = plt.subplots(1, len(bounds), figsize=(9.0, 2.9), sharey=True, squeeze=False)
    for axes, (name, (bound, value)) in zip(grid[0], bounds.items(), strict=True):
        _plot_dual(axes, multipliers, bound, value)
        axes.set_title(name, fontsize="medium")
    grid[0, 0].set_ylabel("reward units")
    grid[0, -1].legend(loc="upper right", fontsize="small")
    return figure


def _plot_dual(axes: Axes, multipliers: Floats, bound: Floats, value: float) -> None:
    finite = np.where(np.isfinite(bound), bound, np.nan)
    axes.plot(multipliers, finite, color="0.2", label="dual bound")
    axes.axhline(value, color="0.2", linestyle="--", linewidth=1, label="optimal $ASW$")
    axes.set(xlabel=r"multiplier $\mu$", ylim=(value - 0.4, value + 3.0))
