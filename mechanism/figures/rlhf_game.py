"""Figures of the chapter on the game."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.core.errors import Floats
from mechanism.plotting import NEUTRAL, group_style, plot_policies
from mechanism.theorems.rlhf_game import ReportEffect


def plot_report(effect: ReportEffect) -> Figure:
    """Draw Figure 1 of the paper: what is reported, what is trained, what it is worth.

    One game with three outcomes; the first panel shows the reported reward dotted.
    """
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10.5, 3.4), width_ratios=(1.0, 1.25, 1.15)
    )
    game, i = effect.game, effect.group
    places = np.arange(game.outcomes)
    for j, reward in enumerate(game.rewards):
        left.plot(places, reward, **group_style(j))
    said = {**group_style(i), "linestyle": ":", "markerfacecolor": "white"}
    said["label"] = f"group {i + 1} reports"
    left.plot(places, effect.reported.rewards[i], **said)
    left.set_xticks(places, [f"$x_{{{j + 1}}}$" for j in places])
    left.set(title="rewards", ylabel="reward of one agent", ylim=(-0.05, 1.45))
    left.legend(loc="upper center", fontsize="x-small", ncol=2)
    plot_policies(
        middle,
        {"initial": game.reference, "truthful": effect.truthful, "misled": effect.misled},
    )
    middle.set(title="trained model", ylim=(0, 0.95))
    middle.legend(loc="upper right", fontsize="x-small", ncol=3, columnspacing=0.8)
    _plot_values(right, effect)
    return figure


def _plot_values(axes: Axes, effect: ReportEffect) -> None:
    sizes = effect.game.sizes
    before = [*(sizes * effect.valuations_before), effect.welfare_before]
    after = [*(sizes * effect.valuations_after), effect.welfare_after]
    places, width = np.arange(len(before)), 0.38
    for shift, heights, hatch, grey, name in (
        (-0.5, before, "//", "0.55", "truthful"),
        (0.5, after, "..", "0.85", "misled"),
    ):
        bars = axes.bar(
            places + shift * width, heights, width, color=grey, hatch=hatch, label=name,
            edgecolor="black", linewidth=0.6,
        )  # fmt: skip
        axes.bar_label(bars, fmt="%.2f", fontsize="x-small", color=NEUTRAL)
    labels = [f"group {j + 1}\n$w_{j + 1} v_{j + 1}$" for j in range(len(sizes))]
    axes.set_xticks(places, [*labels, "affine social\nwelfare"], fontsize="small")
    axes.set(title="true value", ylabel="reward units", ylim=(0, 1.25 * max(before + after)))
    axes.legend(loc="upper center", fontsize="x-small", ncol=2)


def plot_shares(forces: Floats, shares: dict[str, Floats]) -> Figure:
    """Draw the share of Lemma D.1's bound that is used as another group pushes the model.

    `shares` maps a normalisation to the share at each force.
    """
    figure, axes = plt.subplots(figsize=(6.2, 3.2))
    for (name, share), line, grey in zip(shares.items(), ("-", "--"), ("0.15", "0.5"), strict=True):
        axes.plot(forces, share, line, color=grey, label=name)
    axes.axhline(1.0, color=NEUTRAL, linestyle=":", linewidth=1)
    axes.set(
        xscale="log", ylim=(0, 1.08), xlabel=r"size of the pushing group, over $\lambda$",
        ylabel="share of the bound used",
    )  # fmt: skip
    axes.legend(title="normalisation", loc="lower right")
    return figure
