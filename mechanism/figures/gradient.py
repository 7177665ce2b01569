"""Figures of the chapter on the slope of a report."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
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


def feasible(points: ArrayLike, slopes: ArrayLike) -> Floats:
    """Slopes (k, 3) as directions that stay in the simplex: sum 0, none below 0 where a point is 0.

    >>> feasible([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], [[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    array([[ 0. ,  0. ,  0. ],
           [ 0.5, -0.5,  0. ]])
    """
    place, slope = np.asarray(points, dtype=np.float64), np.asarray(slopes, dtype=np.float64)
    free = np.ones(place.shape, dtype=bool)
    for _ in range(place.shape[-1]):
        count = np.maximum(free.sum(axis=-1, keepdims=True), 1)
        mean = np.where(free, slope, 0.0).sum(axis=-1, keepdims=True) / count
        step = np.where(free, slope - mean, 0.0)
        free &= (place > 0) | (step >= 0)
    return step


def _triangle(axes: Axes) -> None:
    outline = CORNERS[[0, 1, 2, 0]]
    axes.plot(*outline.T, color=NEUTRAL, linewidth=1.2)
    for k, (place, shift) in enumerate(zip(CORNERS, [(-12, -12), (4, -12), (-6, 6)], strict=True)):
        axes.annotate(f"$x_{k + 1}$", place, xytext=shift, textcoords="offset points")
    axes.set_aspect("equal")
    axes.axis("off")


def plot_field(truths: ArrayLike, slopes: dict[str, ArrayLike]) -> Figure:
    """Draw, at each truth (k, 3) of the simplex, where the report should move; a panel a game.

    `slopes` holds (k, 3) arrays; arrows are feasible directions of equal length, none where truth
    is stationary.
    """
    figure, row = plt.subplots(1, len(slopes), figsize=(5.2 * len(slopes), 4.6), squeeze=False)
    for axes, (name, slope) in zip(row[0], slopes.items(), strict=True):
        steps = feasible(truths, slope)
        length = np.abs(steps).max(axis=-1)
        moving = length > 1e-9
        axes.plot(*flat(truths)[~moving].T, "o", color=NEUTRAL, markersize=7, clip_on=False)
        steps, length = steps[moving], length[moving]
        steps = steps / np.maximum(length, 1e-12)[:, None]
        place, arrow = flat(np.asarray(truths)[moving]), flat(steps)
        drawn = axes.quiver(
            *place.T, *arrow.T, np.log10(np.maximum(length, 1e-12)), cmap="viridis_r", pivot="tail",
            angles="xy", scale=18, width=0.006,
        )  # fmt: skip
        _triangle(axes)
        axes.set_title(name, fontsize="medium", pad=20)
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="log10 of the slope")
    return figure


def plot_landscape(
    reports: ArrayLike, gains: dict[str, ArrayLike], truths: dict[str, ArrayLike]
) -> Figure:
    """Draw the gain of every report (k, 3), with the truth and the best report; a panel a game."""
    figure, row = plt.subplots(1, len(gains), figsize=(4.0 * len(gains), 3.9), squeeze=False)
    place = flat(reports)
    for axes, (name, gain) in zip(row[0], gains.items(), strict=True):
        values = np.asarray(gain)
        low, high = float(values.min()), max(float(values.max()), 1e-3)
        levels = np.concatenate([np.linspace(low, 0.0, 11), np.linspace(0.0, high, 8)[1:]])
        drawn = axes.tricontourf(
            *place.T, values, levels=levels, cmap="RdBu", norm=TwoSlopeNorm(0.0, low, high)
        )
        axes.tricontour(*place.T, values, levels=[0.0], colors="black", linewidths=1)
        best = place[values.argmax()]
        axes.plot(
            *flat(truths[name]),
            "o",
            color="black",
            markersize=9,
            label="truth",
            zorder=5,
            clip_on=False,
        )
        axes.plot(
            *best, "*", color=GROUP_COLORS[1], markeredgecolor="black", markersize=16,
            label="best report", zorder=5, clip_on=False,
        )  # fmt: skip
        _triangle(axes)
        axes.set_title(name, fontsize="medium", pad=20)
        axes.legend(fontsize="small", loc="upper left")
        figure.colorbar(
            drawn,
            ax=axes,
            shrink=0.7,
            label="gain of group 1",
            format="%.2f",
            ticks=[low, low / 2, 0.0, high],
        )
    return figure
