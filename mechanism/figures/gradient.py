"""Figures of the chapter on the slope of a report."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats
from mechanism.plotting import GROUP_COLORS, NEUTRAL

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def flat(points: ArrayLike) -> Floats:
    """Plane coordinates (..., 2) of points (..., 3) of the simplex.

    >>> flat([0.0, 1.0, 0.0]).tolist()
    [1.0, 0.0]
    """
    return np.asarray(points, dtype=np.float64) @ CORNERS


def _triangle(axes: Axes) -> None:
    outline = CORNERS[[0, 1, 2, 0]]
    axes.plot(*outline.T, color=NEUTRAL, linewidth=1.2)
    for k, (place, shift) in enumerate(zip(CORNERS, [(-12, -12), (4, -12), (-6, 6)], strict=True)):
        axes.annotate(f"$x_{k + 1}$", place, xytext=shift, textcoords="offset points")
    axes.set_aspect("equal")
    axes.axis("off")


def plot_field(truths: ArrayLike, slopes: dict[str, ArrayLike]) -> Figure:
    """Draw, at each truth (k, 3) of the simplex, where the report should move; a panel a game.

    `slopes` holds (k, 3) arrays; they are projected onto the simplex, and long arrows are cut.
    """
    figure, row = plt.subplots(1, len(slopes), figsize=(5.2 * len(slopes), 4.6), squeeze=False)
    for axes, (name, slope) in zip(row[0], slopes.items(), strict=True):
        steps = np.asarray(slope) - np.asarray(slope).mean(axis=-1, keepdims=True)
        length = np.abs(steps).max(axis=-1)
        steps = steps / np.maximum(length, 1e-12)[:, None]
        place, arrow = flat(truths), flat(steps)
        drawn = axes.quiver(
            *place.T, *arrow.T, np.log10(np.maximum(length, 1e-12)), cmap="viridis_r", pivot="tail",
            angles="xy", scale=18, width=0.006,
        )  # fmt: skip
        _triangle(axes)
        axes.set_title(name, fontsize="medium")
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="log10 of the slope")
    return figure


def plot_landscape(
    reports: ArrayLike, gains: dict[str, ArrayLike], truths: dict[str, ArrayLike]
) -> Figure:
    """Draw the gain of every report (k, 3), with the truth and the best report; a panel a game."""
    figure, row = plt.subplots(1, len(gains), figsize=(5.2 * len(gains), 4.6), squeeze=False)
    place = flat(reports)
    for axes, (name, gain) in zip(row[0], gains.items(), strict=True):
        values = np.asarray(gain)
        bound = float(np.abs(values).max())
        drawn = axes.tricontourf(
            *place.T, values, levels=np.linspace(-bound, bound, 21), cmap="RdBu"
        )
        axes.tricontour(*place.T, values, levels=[0.0], colors="black", linewidths=1)
        best = place[values.argmax()]
        axes.plot(*flat(truths[name]), "o", color="black", markersize=9, label="truth", zorder=5)
        axes.plot(
            *best, "*", color=GROUP_COLORS[1], markeredgecolor="black", markersize=16,
            label="best report", zorder=5,
        )  # fmt: skip
        _triangle(axes)
        axes.set_title(name, fontsize="medium")
        axes.legend(fontsize="small", loc="upper left")
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="gain of group 1")
    return figure
