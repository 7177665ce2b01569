"""Every figure of the book shares one style: one colour, marker and dash a group, on every page.

The colours are Okabe and Ito's (2008), safe for the colour-blind; their lightness differs, and
markers and dashes differ too, so that figures read in grey.
"""

import json
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.places import data

STYLE = data("seaborn_style.json")
GROUP_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
GROUP_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GROUP_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
NEUTRAL = "#444444"


def seaborn_style() -> dict[str, Any]:
    """Return what seaborn sets for its style of a notebook with white grids.

    Its colour map is left out: matplotlib knows that one only where seaborn is imported.
    """
    import seaborn as sns  # brings scipy.stats, half a second: `STYLE` spares it to every kernel

    font = {"font.family": "DejaVu Sans"}
    style = sns.plotting_context("notebook") | sns.axes_style("whitegrid", rc=font)
    return {name: value for name, value in style.items() if name != "image.cmap"}


def use_style() -> None:
    """Set the book's style; call it in the first cell of a chapter."""
    plt.rcParams.update(json.loads(STYLE.read_text(encoding="utf-8")))
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.figsize": (7.0, 4.0),
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=GROUP_COLORS),
            "svg.hashsalt": "mechanism",
        }
    )


def group_style(i: int) -> dict[str, Any]:
    """Line style of group i (from 0): the same on every page.

    >>> group_style(0)["color"]
    '#0072B2'
    """
    k = i % len(GROUP_COLORS)
    return {
        "color": GROUP_COLORS[k],
        "marker": GROUP_MARKERS[k],
        "linestyle": GROUP_DASHES[k],
        "label": f"group {i + 1}",
    }


def plot_policies(
    axes: Axes, policies: dict[str, ArrayLike], outcomes: list[str] | None = None
) -> Axes:
    """Draw grouped bars of several models over the same outcomes, told apart by grey and hatch."""
    hatches, greys = ("", "//", "..", "xx"), np.linspace(0.25, 0.85, max(len(policies), 2))
    width = 0.8 / len(policies)
    for k, (name, policy) in enumerate(policies.items()):
        heights = np.asarray(policy)
        place = np.arange(len(heights)) + (k - (len(policies) - 1) / 2) * width
        axes.bar(
            place, heights, width, label=name, color=str(greys[k]), hatch=hatches[k % 4],
            edgecolor="black", linewidth=0.6,
        )  # fmt: skip
    labels = outcomes or [f"$x_{{{j + 1}}}$" for j in range(len(heights))]
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylabel="probability", ylim=(0, None))
    axes.legend()
    return axes


def plot_strategies(
    parameter: ArrayLike, curves: dict[str, list[ArrayLike]], columns: list[str], label: str
) -> Figure:
    """Draw the layout of the paper's Figure 2: a row a quantity, a column a vector of sizes.

    Parameters
    ----------
    parameter : array_like, shape (k,)
        The strategy's parameter, alpha or beta; 1 is the truth.
    curves : dict
        Row title (e.g. "valuation") to one curve (k,) for each column.
    columns : list of str
        Column titles, e.g. "sizes (3, 7)".
    label : str
        Name of the parameter.
    """
    figure, grid = plt.subplots(
        len(curves), len(columns), sharex=True, squeeze=False,
        figsize=(2.7 * len(columns) + 0.8, 2.0 * len(curves) + 0.4),
    )  # fmt: skip
    for row, (title, values) in zip(grid, curves.items(), strict=True):
        for axes, value in zip(row, values, strict=True):
            axes.plot(parameter, value, color=GROUP_COLORS[0], marker=".", markersize=4)
            axes.axvline(1.0, color=NEUTRAL, linestyle=":", linewidth=1)
        row[0].set_ylabel(title)
    for axes, title in zip(grid[0], columns, strict=True):
        axes.set_title(title, fontsize="medium")
    for axes in grid[-1]:
        axes.set_xlabel(label)
    return figure


if __name__ == "__main__":
    STYLE.write_text(json.dumps(seaborn_style(), indent=1) + "\n", encoding="utf-8")
