"""Figures of the chapter on language models: Figure 2 in the paper's layout, and the front."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.plotting import group_style, plot_strategies
from mechanism.tables.candidates import INITIAL, RANDOM, SOUP, Candidates
from mechanism.tables.curves import Curves, Strategy, size_label

ROWS = ("valuation", "payment", "utility")
GREEK = {"alpha": "α", "beta": "β"}


def figure_2(curves: Curves, strategy: Strategy = "alpha", others: Sequence[Curves] = ()) -> Figure:
    """Draw the paper's Figure 2 for one game: valuation, payment and utility, a column a size pair.

    Parameters
    ----------
    curves : Curves
        Drawn in the group's colour; bands are its bootstrap intervals, the ring is the truth.
    strategy : {"alpha", "beta"}
        Which reports vary.
    others : sequence of Curves, optional
        Further seeds of the same game, as thin grey lines without bands.
    """
    parts = [curves.curve(sizes, strategy) for sizes in curves.sizes]
    parameter = parts[0]["parameter"].to_numpy()
    titles = [f"sizes {size_label(sizes)}" for sizes in curves.sizes]
    number = curves.group + 1
    labels = (f"valuation $w_{number} v_{number}$", "payment", "utility")
    drawn = {
        label: [part[row].to_numpy() for part in parts]
        for label, row in zip(labels, ROWS, strict=True)
    }
    figure = plot_strategies(parameter, drawn, titles, f"${GREEK[strategy]}$ (1 is the truth)")
    grid = np.array(figure.axes).reshape(len(ROWS), len(parts))
    for axes_row, row in zip(grid, ROWS, strict=True):
        for axes, part, sizes in zip(axes_row, parts, curves.sizes, strict=True):
            _decorate(axes, part, row, curves.group)
            for other in others:
                seed = other.curve(sizes, strategy)
                axes.plot(seed["parameter"], seed[row], color="0.55", linewidth=0.9, zorder=1)
    figure.align_ylabels(grid[:, 0])
    return figure


def _decorate(axes: Axes, part: pd.DataFrame, row: str, group: int) -> None:
    """Add band and truth to a panel, and give the curve its group's colour."""
    color = group_style(group)["color"]
    axes.lines[0].set_color(color)
    axes.fill_between(
        part["parameter"], part[f"{row}_low"], part[f"{row}_high"], color=color, alpha=0.22,
        linewidth=0,
    )  # fmt: skip
    truth = part[part["parameter"] == 1.0]
    axes.plot(truth["parameter"], truth[row], "o", markersize=8, markerfacecolor="none",
              markeredgecolor="black", zorder=3)  # fmt: skip


def front(candidates: Candidates) -> Figure:
    """Draw all candidates in the plane of the two rewards; bars are standard errors over prompts.

    Parameters
    ----------
    candidates : Candidates
        Soups ("soup 0.30": weight on the first reward), "initial", and the control; the fill of a
        soup is darker the more weight group 1's model has, and the two trained models are ringed
        in their groups' colours.
    """
    first, second = candidates.reward_names
    frame = candidates.frame().set_index("candidate")
    figure, axes = plt.subplots(figsize=(6.4, 5.2))
    soups = frame[frame.index.str.startswith(SOUP)]
    _draw_soups(axes, soups, first, second)
    for name, marker, label in ((INITIAL, "*", "initial model"),
                                (RANDOM, "X", f"trained for the {RANDOM} reward")):  # fmt: skip
        if name in frame.index:
            row = frame.loc[name]
            x, y = row[first], row[second]
            axes.errorbar(x, y, xerr=row[f"{first}_se"], yerr=row[f"{second}_se"], fmt="none",
                          ecolor="black", capsize=3, zorder=4)  # fmt: skip
            axes.plot(x, y, marker, color="black", markersize=11, markerfacecolor="white",
                      label=label, zorder=5)  # fmt: skip
    axes.set(xlabel=f"mean {first} reward", ylabel=f"mean {second} reward")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _draw_soups(axes: Axes, soups: pd.DataFrame, first: str, second: str) -> None:
    """Draw the soups by rising weight on the first reward, the endpoints in the groups' colours."""
    if soups.empty:
        return
    weight = soups.index.str.removeprefix(SOUP).astype(float)
    soups = soups.iloc[np.argsort(weight)]
    x, y = soups[first].to_numpy(), soups[second].to_numpy()
    axes.errorbar(x, y, xerr=soups[f"{first}_se"], yerr=soups[f"{second}_se"], fmt="-",
                  color="0.45", linewidth=1, elinewidth=0.8, zorder=2)  # fmt: skip
    fill = [str(grey) for grey in 0.9 - 0.8 * np.sort(weight)]
    axes.scatter(x, y, c=fill, s=42, edgecolors="black", linewidths=0.8, zorder=3,
                 label=f"soups (darker: more {first})")  # fmt: skip
    for place, group, name in ((-1, 0, first), (0, 1, second)):
        style = group_style(group)
        axes.scatter(x[place], y[place], s=170, marker=style["marker"], facecolors="none",
                     edgecolors=style["color"], linewidths=2.2, zorder=4,
                     label=f"trained for {name} (group {group + 1})")  # fmt: skip
