"""Figure of trained misreports: what every report brings, without payments and with them."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL
from mechanism.tables.misreports import QUANTITIES

COLORS = (GROUP_COLORS[0], NEUTRAL, GROUP_COLORS[0])  # group 1's value and utility; what it pays
FACES = ("white", NEUTRAL, GROUP_COLORS[0])


def plot_reports(table: pd.DataFrame, exact: pd.DataFrame | None = None) -> Figure:
    """Draw value, payment and utility of group 1 against its report, with two standard errors.

    Parameters
    ----------
    table : DataFrame
        Of `misreports.trained_reports`; a panel each for alpha and beta.
    exact : DataFrame, optional
        Of `misreports.exact_reports`, where the optimum is known: lines without marks.
    """
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 3.8), sharey=True, width_ratios=(3, 2))
    for axes, kind in zip(panels, ("alpha", "beta"), strict=True):
        rows = table[table["kind"] == kind]
        for k, name in enumerate(QUANTITIES):
            label = "value: utility without payments" if name == "valuation" else name
            if exact is not None:
                line = exact[exact["kind"] == kind]
                axes.plot(line["value"], line[name], color=COLORS[k], alpha=0.6,
                          linestyle=GROUP_DASHES[k])  # fmt: skip
            axes.errorbar(
                rows["value"], rows[name], yerr=2 * rows[f"{name}_se"], color=COLORS[k],
                marker=GROUP_MARKERS[k], markersize=5, markerfacecolor=FACES[k], label=label,
                linestyle="none" if exact is not None else GROUP_DASHES[k],
            )  # fmt: skip
        axes.axvline(1.0, color=NEUTRAL, linewidth=1)
        axes.set_xlabel(rf"reported $\{kind}$ (1: the truth)")
    panels[0].set_ylabel("group 1, reward units")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure
