"""Figures of the chapter on the reward models."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.llm.rewards.statistics import PREFIX, Correlation, histogram, within
from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL


def plot_distributions(tables: dict[str, pd.DataFrame], pairs: dict[str, Sequence[str]]) -> Figure:
    """Draw the share of answers by score: a panel a game, the two groups' rewards and the control.

    Parameters
    ----------
    tables : dict
        Panel title to a sample table.
    pairs : dict
        Panel title to the names of its rewards: group 1's, group 2's, then controls.
    """
    figure, grid = plt.subplots(1, len(tables), figsize=(9.0, 3.4), squeeze=False)
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        for k, name in enumerate(pairs[title]):
            edges, shares = histogram(table, name)
            color = GROUP_COLORS[k] if k < 2 else NEUTRAL
            axes.stairs(shares, edges, color=color, linestyle=GROUP_DASHES[k], linewidth=1.8,
                        label=name)  # fmt: skip
        axes.set(title=title, xlabel="reward", xlim=(0, 1))
        axes.legend(fontsize="small")
    grid[0, 0].set_ylabel("share of answers")
    return figure


def plot_conflict(
    tables: dict[str, pd.DataFrame], found: dict[str, Correlation], limit: int = 1600
) -> Figure:
    """Draw both rewards of each game, less the mean of the prompt, and their correlation.

    At most `limit` answers are drawn, evenly spaced in the table; the line is the regression of
    the second reward on the first, whose slope has the sign of the correlation.
    """
    figure, grid = plt.subplots(1, len(tables), figsize=(9.0, 3.9), squeeze=False)
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        one = found[title]
        left = within(table, (one.first, one.second))
        shown = left.iloc[:: max(1, -(-len(left) // limit))]
        axes.plot(shown[one.first], shown[one.second], ".", color=GROUP_COLORS[0], markersize=4,
                  alpha=0.35)  # fmt: skip
        slope = one.value * left[one.second].std() / left[one.first].std()
        ends = np.array([left[one.first].min(), left[one.first].max()])
        axes.plot(ends, slope * ends, color="black", linewidth=1.5)
        axes.set_title(f"{title}: {one.value:+.2f} ± {one.standard_error:.2f}", fontsize="medium")
        axes.set(xlabel=f"{one.first}, less prompt mean", ylabel=f"{one.second}, less prompt mean")
    return figure


def plot_tricks(
    tricks: pd.DataFrame, samples: dict[str, pd.DataFrame], pairs: dict[str, tuple[str, str]]
) -> Figure:
    """Draw what tricks earn under both rewards of a game, over real answers in grey.

    Parameters
    ----------
    tricks : DataFrame
        Columns ``game``, ``kind``, ``honest`` and the rewards.
    samples : dict
        Game to a sample table.
    pairs : dict
        Game to the names of group 1's and group 2's reward.
    """
    figure, grid = plt.subplots(len(pairs), 1, figsize=(8.4, 5.2 * len(pairs)), squeeze=False)
    for axes, (game, pair) in zip(grid[:, 0], pairs.items(), strict=True):
        x, y = (PREFIX + name for name in pair)
        axes.plot(samples[game][x], samples[game][y], ".", color="0.78", markersize=4, zorder=1)
        rows = tricks[tricks.game == game].reset_index(drop=True)
        for honest, color, marker in ((True, GROUP_COLORS[2], "^"), (False, GROUP_COLORS[5], "o")):
            part = rows[rows.honest == honest]
            axes.plot(part[x], part[y], marker, color=color, markersize=7, markeredgecolor="black",
                      label="honest" if honest else "trick")  # fmt: skip
        _number(axes, rows[x].to_numpy(), rows[y].to_numpy(), rows["kind"].tolist())
        axes.set(xlabel=pair[0], ylabel=pair[1], xlim=(-0.06, 1.1), ylim=(-0.06, 1.1))
        axes.set_title(game.replace("_", " and "))
    return figure


def _number(axes: Axes, x: np.ndarray, y: np.ndarray, kinds: list[str]) -> None:
    """Number the points and say beside the panel which number is what."""
    for k, place in enumerate(zip(x, y, strict=True), start=1):
        turn = (7, 4) if k % 2 else (-12, -10)
        axes.annotate(str(k), place, turn, textcoords="offset points", fontsize="small")
    for k, kind in enumerate(kinds, start=1):
        axes.plot([], [], " ", label=f"{k} {kind}")
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1.0), handlelength=1)


def plot_correlations(found: dict[str, Sequence[Correlation]]) -> Figure:
    """Draw correlations within prompts with their 95 % intervals; a marker a set of samples."""
    labels = list(dict.fromkeys(f"{c.first}, {c.second}" for some in found.values() for c in some))
    figure, axes = plt.subplots(figsize=(7.4, 0.55 * len(labels) + 1.4))
    for k, (name, some) in enumerate(found.items()):
        place = [labels.index(f"{c.first}, {c.second}") + 0.16 * (k - 0.5) for c in some]
        value = np.array([c.value for c in some])
        reach = np.array([value - [c.low for c in some], [c.high for c in some] - value])
        axes.errorbar(value, place, xerr=np.maximum(reach, 0), fmt=GROUP_MARKERS[k], capsize=3,
                      color=GROUP_COLORS[k], label=name)  # fmt: skip
    axes.axvline(0.0, color=NEUTRAL, linewidth=1)
    axes.set(xlabel="correlation within prompts", yticks=range(len(labels)))
    axes.set_yticklabels(labels)
    axes.invert_yaxis()
    axes.legend(fontsize="small")
    return figure
