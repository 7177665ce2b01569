"""Figures of the chapter on affine maximizer payments."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from mechanism.plotting import NEUTRAL, plot_strategies


def plot_landscapes(
    reports: ArrayLike, gains: dict[str, ArrayLike], truth: ArrayLike, best: dict[str, ArrayLike]
) -> Figure:
    """Draw gains over reports on the 3-outcome simplex, a panel a mechanism.

    Parameters
    ----------
    reports : array_like, shape (k, 3)
        Reported rewards under the summation normalisation.
    gains : dict
        Panel title to gains over the truth (k,), reward units.
    truth : array_like, shape (3,)
        The true reward model, marked by a star.
    best : dict
        Panel title to the best report that a search found (3,), marked by a ring.
    """
    figure, grid = plt.subplots(1, len(gains), figsize=(8.0, 3.6), squeeze=False)
    across, up = _plane(reports)
    for axes, (title, heights) in zip(grid[0], gains.items(), strict=True):
        drawn = axes.tricontourf(across, up, np.asarray(heights), levels=14, cmap="cividis")
        axes.tricontour(across, up, np.asarray(heights), levels=[0.0], colors="white")
        figure.colorbar(drawn, ax=axes, label="gain over the truth", shrink=0.8)
        axes.plot(*_plane(truth), "*", color="white", markeredgecolor="black", markersize=15)
        axes.plot(
            *_plane(best[title]), "o", markerfacecolor="none", markeredgecolor="red",
            markersize=17, markeredgewidth=2, clip_on=False,
        )  # fmt: skip
        corners = (
            [0, 0, "$x_1$", "right"],
            [1, 0, "$x_2$", "left"],
            [0.5, 0.87, "$x_3$", "center"],
        )
        for x, y, name, side in corners:
            axes.text(x, y, f" {name} ", ha=side, va="bottom" if y else "center")
        axes.set(title=title, aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.06, 0.98))
        axes.axis("off")
    return figure


def plot_areas(
    shares: ArrayLike, curves: dict[str, list[ArrayLike]], columns: Sequence[str]
) -> Figure:
    """Draw Figure 2's layout against alpha, with utility and payment at the truth as areas.

    `curves` has the rows of `plot_strategies`; the first is the valuation w_1 v_1. Under it, up to
    alpha = 1, lies the truthful utility; above it, up to its height at 1, the payment.
    """
    figure = plot_strategies(shares, curves, list(columns), r"reported size / true size, $\alpha$")
    alpha = np.asarray(shares)
    valuations = next(iter(curves.values()))
    for axes, curve in zip(figure.axes, valuations, strict=False):
        below = alpha <= 1
        x, height = alpha[below], np.asarray(curve)[below]
        axes.fill_between(x, 0, height, color="#0072B2", alpha=0.35, label="utility at 1")
        axes.fill_between(
            x, height, height[-1], facecolor="none", edgecolor=NEUTRAL, hatch="///", linewidth=0,
            label="payment at 1",
        )  # fmt: skip
        axes.set_ylim(0, None)
    figure.axes[0].legend(fontsize="small", loc="lower right")
    return figure


def _plane(points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Place of points (..., 3) of the simplex in an equilateral triangle."""
    rows = np.asarray(points, dtype=np.float64)
    return rows[..., 1] + rows[..., 2] / 2, rows[..., 2] * np.sqrt(3) / 2
