"""Figures of the chapter on cycle monotonicity."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from mechanism.core.errors import Floats
from mechanism.plotting import GROUP_COLORS, NEUTRAL, group_style

CORNERS = np.array([[0.5, np.sqrt(0.75)], [0.0, 0.0], [1.0, 0.0]])


def plot_cycle(reports: Floats, models: Floats, length: float) -> Figure:
    """Draw a cycle's reports (k, 3), scaled to sum 1, and their models in the triangle."""
    figure, axes = plt.subplots(figsize=(5.8, 4.6))
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color=NEUTRAL, linewidth=1)
    for j, (x, y) in enumerate(CORNERS):
        below = 6 if j == 0 else -14
        axes.annotate(
            f"$x_{{{j + 1}}}$", (x, y), xytext=(0, below), textcoords="offset points", ha="center"
        )
    for rows, k, name in ((reports, 0, "reports"), (models, 1, "models")):
        at = rows / rows.sum(axis=1, keepdims=True) @ CORNERS
        style: dict[str, Any] = group_style(k) | {"label": name}
        axes.plot(*np.vstack([at, at[:1]]).T, **style)
        for j, point in enumerate(at[:8] if len(at) <= 8 else []):
            axes.annotate(str(j + 1), point, xytext=(6, 4), textcoords="offset points")
    axes.set_title(f"length {length:.4f}", fontsize="medium")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(loc="upper left")
    return figure


def plot_loop(steps: Floats, totals: Floats, limit: float) -> Figure:
    """Draw the sum of l round a loop against the number of types on it."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    axes.plot(steps, totals, marker="o", color=GROUP_COLORS[0], label="sum of $l$ round the loop")
    axes.axhline(limit, color=NEUTRAL, linestyle="--", label="limit")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="types on the loop", ylabel="reward units")
    axes.legend()
    return figure
