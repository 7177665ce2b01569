"""Figures of the chapter on payment equivalence."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from mechanism.core.errors import Floats
from mechanism.plotting import NEUTRAL, group_style


def plot_bracket(steps: Floats, low: Floats, high: Floats, paid: float) -> Figure:
    """Draw the bracket of the payment difference against the steps, and its width, log-log."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    color = group_style(0)["color"]
    left.fill_between(steps, low, high, color=color, alpha=0.25, label="what V leaves open")
    left.axhline(paid, color=NEUTRAL, linestyle="--", label="affine maximizer payment")
    left.set(xscale="log", xlabel="steps n a leg", ylabel="payment difference")
    left.legend()
    right.loglog(steps, high - low, marker="o", color=color, label="two-way cost")
    right.loglog(steps, (high - low)[0] * steps[0] / steps, ":", color=NEUTRAL, label="slope -1")
    right.set(xlabel="steps n a leg", ylabel="two-way cost")
    right.legend()
    return figure


def plot_moduli(change: Floats, curves: dict[str, Floats], reached: Floats) -> Figure:
    """Draw bounds on the change of the model against D / lam, and what a search reached."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for (name, curve), dashes in zip(curves.items(), ("-", "--", ":", "-."), strict=False):
        axes.plot(change, curve, dashes, color=NEUTRAL, label=name)
    axes.plot(change, reached, "o", color=group_style(0)["color"], label="reached")
    axes.set(xlabel=r"$D/\lambda$", ylabel=r"$\max_x|p'(x)-p(x)|$", ylim=(0, 1.05))
    axes.legend()
    return figure


def plot_freedom(share: Floats, widths: dict[str, Floats]) -> Figure:
    """Draw the two-way cost between sizes 1 and 2 against a parameter of the game."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    for k, (name, width) in enumerate(widths.items()):
        style: dict[str, Any] = group_style(k) | {"label": name}
        axes.plot(share, np.maximum(width, 0), **style, markevery=3)
    axes.set(xscale="log", xlabel=r"strength $\lambda$", ylabel="room for a fee on the size")
    axes.legend()
    return figure
