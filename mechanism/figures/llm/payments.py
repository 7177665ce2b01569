"""Figures on payments without retraining, approximate incentives, and soups against the optimum."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mechanism.payments.estimates import PaymentEstimate
from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL, group_style
from mechanism.tables.frontier import Bracket

SHOWN = (
    "log-partition",
    "log-partition, jackknife",
    "log-partition, pivot only",
    "released model",
    "thermodynamic",
    "independent samples",
)


def plot_bias(study: pd.DataFrame, methods: Sequence[str] = SHOWN) -> Figure:
    """Bias with two standard errors, and root mean squared error, against samples a prompt.

    Parameters
    ----------
    study : DataFrame
        Of `payments.study.study`; a column of panels a group, in shares of the exact payment.
    methods : sequence of str
        Lines to draw; the heuristics, which need no samples, are broken lines in grey.
    """
    groups = sorted(study.group.unique())
    figure, grid = plt.subplots(
        2, len(groups), figsize=(3.9 * len(groups) + 1.0, 5.6), squeeze=False, sharex=True
    )
    for column, group in zip(grid.T, groups, strict=True):
        rows = study[study.group == group]
        exact = float(rows.exact.iloc[0])
        for k, name in enumerate(methods):
            _draw_method(column, rows[rows.method == name].query("samples > 0"), k, exact, name)
        for row in rows[rows.method.str.startswith("heuristic")].itertuples():
            dash = "--" if row.method.endswith("1") else ":"
            gap = abs(row.bias) / exact
            column[1].axhline(gap, color=NEUTRAL, linewidth=1, linestyle=dash, label=row.method)
        column[0].axhline(0.0, color=NEUTRAL, linewidth=1)
        column[0].set_title(f"group {group}, exact payment {exact:.3f}", fontsize="medium")
        column[1].set(yscale="log", xlabel="completions a prompt")
        _count_axis(column[1], sorted(set(study.samples) - {0}))
    grid[0, 0].set_ylabel("bias / exact payment")
    grid[1, 0].set_ylabel("rmse / exact payment")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _draw_method(
    panels: Sequence[Axes], rows: pd.DataFrame, k: int, exact: float, name: str
) -> None:
    if rows.empty:
        return
    style: dict[str, Any] = {
        "color": GROUP_COLORS[k],
        "linestyle": GROUP_DASHES[k],
        "marker": GROUP_MARKERS[k],
    }
    bias, reach = rows.bias / exact, 2 * rows.bias_error / exact
    panels[0].plot(rows.samples, bias, markersize=4, **style)
    panels[0].fill_between(rows.samples, bias - reach, bias + reach, color=style["color"],
                           alpha=0.2, linewidth=0)  # fmt: skip
    panels[1].plot(rows.samples, rows.rmse / exact, markersize=4, label=name, **style)


def _count_axis(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()


def plot_payments(estimates: Sequence[PaymentEstimate]) -> Figure:
    """Payments by method with two standard errors, a colour a group; exact ones as lines.

    Thick: over completions of the same prompts. Thin: over prompts.
    """
    groups = len(estimates[0].payment)
    figure, axes = plt.subplots(figsize=(7.6, 0.42 * len(estimates) + 1.2))
    for i in range(groups):
        style = group_style(i)
        place = np.arange(len(estimates)) + 0.22 * (i - (groups - 1) / 2)
        value = np.array([one.payment[i] for one in estimates])
        for field, width in (("prompt_error", 0.8), ("standard_error", 2.4)):
            reach = 2 * np.array([getattr(one, field)[i] for one in estimates])
            axes.errorbar(value, place, xerr=np.nan_to_num(reach), fmt="none",
                          ecolor=style["color"], elinewidth=width)  # fmt: skip
        axes.plot(value, place, style["marker"], color=style["color"], label=style["label"],
                  markersize=5)  # fmt: skip
        exact = estimates[0].exact
        if exact is not None:
            axes.axvline(float(exact[i]), color=style["color"], linestyle=style["linestyle"],
                         linewidth=1)  # fmt: skip
    axes.axvline(0.0, color=NEUTRAL, linewidth=1)
    axes.set_yticks(range(len(estimates)), [one.method for one in estimates], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("payment")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def plot_gain_and_bound(study: pd.DataFrame) -> Figure:
    """Gains under noise beside their bounds, a panel a share of the training that is run."""
    shares = sorted(study.share.unique(), reverse=True)
    figure, grid = plt.subplots(
        1, len(shares), figsize=(3.0 * len(shares) + 1.6, 3.4), sharey=True, squeeze=False
    )
    worst = study[study.noise == "worst"]
    for axes, share in zip(grid[0], shares, strict=True):
        rows = worst[worst.share == share].sort_values("epsilon")
        drawn = study[(study.noise == "random") & (study.share == share)].sort_values("epsilon")
        axes.plot(
            rows.epsilon, rows.bound, color=NEUTRAL, linewidth=2, label=r"$2w\varepsilon+\delta$"
        )
        if rows.sharp.notna().any():
            axes.plot(
                rows.epsilon, rows.sharp, color=NEUTRAL, linestyle=":", label="sharp bound, KL"
            )
        lines = {
            "any report, worst noise": rows[["epsilon", "gain"]],
            "any report, random noise": drawn[["epsilon", "gain"]],
            "alpha and beta, worst noise": rows[["epsilon", "strategy"]],
        }
        for k, (name, line) in enumerate(lines.items()):
            shown = line[line.iloc[:, 1] > 0]
            axes.plot(shown.iloc[:, 0], shown.iloc[:, 1], color=GROUP_COLORS[k], label=name,
                      marker=GROUP_MARKERS[k], linestyle=GROUP_DASHES[k], markersize=4)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel=r"$\varepsilon$")
        axes.set_title(f"trained {share:.0%} of the way", fontsize="medium")
    grid[0, 0].set_ylabel("gain over truth")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def plot_exact_frontier(
    frontier: pd.DataFrame, values: ArrayLike, names: tuple[str, str] = ("reward 1", "reward 2")
) -> Figure:
    """Models of the set in the plane of the rewards beside the optima; and the welfare lost.

    Parameters
    ----------
    frontier : DataFrame
        Of `frontier.exact_frontier`.
    values : array_like, shape (2, k)
        Mean rewards of the models of the set.
    names : tuple of str
    """
    figure, (plane, lost) = plt.subplots(1, 2, figsize=(9.4, 3.8))
    points = np.asarray(values)
    plane.plot(points[0], points[1], "s", color=GROUP_COLORS[1], markersize=5, label="soups")
    plane.plot(frontier.v1, frontier.v2, "o-", color=GROUP_COLORS[0], markersize=4,
               label="exact optima")  # fmt: skip
    plane.plot(frontier.r1, frontier.r2, "s", markerfacecolor="none", color="black", markersize=9,
               label="chosen soups")  # fmt: skip
    plane.set(xlabel=names[0], ylabel=names[1])
    plane.legend(fontsize="small")
    for k, (column, label) in enumerate(
        {"optimum": "exact optimum", "restricted": "best soup", "initial": "initial model"}.items()
    ):
        lost.plot(frontier.share, frontier[column], color=GROUP_COLORS[k], label=label,
                  linestyle=GROUP_DASHES[k], marker=GROUP_MARKERS[k], markersize=4)  # fmt: skip
    lost.fill_between(frontier.share, frontier.restricted, frontier.optimum, color="0.85")
    lost.set(xlabel="group 1's share of all members", ylabel="affine social welfare")
    lost.legend(fontsize="small")
    return figure


def plot_bracket(brackets: Mapping[int, Bracket], exact: float | None = None) -> Figure:
    """Optimal welfare from below and above against samples a prompt, with two errors over prompts.

    Parameters
    ----------
    brackets : mapping
        Samples a prompt to the bracket from that many (leading axes are averaged).
    exact : float, optional
        Known on enumerable games.
    """
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    counts = sorted(brackets)
    for k, name in enumerate(("lower", "corrected", "upper")):
        rows = [np.atleast_2d(getattr(brackets[count], name)) for count in counts]
        mean = np.array([row.mean() for row in rows])
        axes.plot(counts, mean, color=GROUP_COLORS[k], linestyle=GROUP_DASHES[k], label=name,
                  marker=GROUP_MARKERS[k], markersize=4)  # fmt: skip
        if all(row.shape[-1] > 1 for row in rows):
            reach = np.array([2 * r.mean(axis=0).std(ddof=1) / np.sqrt(r.shape[-1]) for r in rows])
            axes.fill_between(counts, mean - reach, mean + reach, color=GROUP_COLORS[k], alpha=0.15)
    if exact is not None:
        axes.axhline(exact, color="black", linewidth=1, label="exact")
    axes.set(xlabel="completions a prompt", ylabel="optimal welfare")
    _count_axis(axes, counts)
    axes.legend(fontsize="small")
    return figure
