"""How solves grow with the number of outcomes, beside other solvers and softmax."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS

OTHERS = {"cvxpy": "cvxpy (Clarabel)", "SLSQP": "scipy SLSQP", "trust-constr": "scipy trust-constr"}
SHOWN = ("KL", "chi-squared", "reverse KL", "Jensen-Shannon", "alpha = 0.3")


def plot_scaling(table: pd.DataFrame) -> Figure:
    """Draw seconds of one solve against m: ours, a grey band of other solvers, and softmax."""
    figure, axes = plt.subplots(figsize=(8.6, 4.4))
    for k, name in enumerate(SHOWN):
        lines = table[(table.part == "solve") & (table.subject == name)]
        axes.loglog(lines.m, lines.seconds, color=GROUP_COLORS[k], marker=GROUP_MARKERS[k],
                    linestyle=GROUP_DASHES[k], markersize=5, label=name)  # fmt: skip
    floor = table[table.part == "softmax"]
    axes.loglog(floor.m, floor.seconds, color="black", linewidth=2, label="torch.softmax")
    for (part, label), dash in zip(OTHERS.items(), ("-", "--", ":"), strict=True):
        lines = table[(table.part == part) & (table.subject == "KL")]
        axes.loglog(lines.m, lines.seconds, dash, color="0.55", linewidth=2.4, label=f"{label}, KL")
    axes.set(xlabel="outcomes m", ylabel="seconds of one solve")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
