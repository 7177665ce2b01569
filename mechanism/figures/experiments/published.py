"""The candidates of Tables 2 to 6 among real models."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mechanism.experiments.published.reproduction import REWARDS

OFFSETS = {"c1": (8, 3), "c2": (8, 3), "c3": (8, -3), "c4": (-9, 9), "c5": (7, 2), "c6": (4, 8)}


def plot_candidates(candidates: pd.DataFrame, soups: pd.DataFrame) -> Figure:
    """Draw recovered rewards with their intervals over the rewards of real models."""
    figure, grid = plt.subplots(1, 2, figsize=(9.0, 4.2))
    for axes, name in zip(grid, REWARDS[1:], strict=True):
        for method, marker, grey in (("RS", "o", "0.55"), ("MOD", "^", "0.75")):
            rows = soups[soups.method == method]
            axes.plot(rows.helpful, rows[name], marker, color=grey, markersize=4,
                      label=f"{method} models")  # fmt: skip
        axes.errorbar(
            candidates.helpful, candidates[name], fmt="D", color="black", markersize=5,
            ecolor="black", elinewidth=1.5, capsize=4, label="recovered, with interval",
            xerr=_reach(candidates, "helpful"), yerr=_reach(candidates, name),
        )  # fmt: skip
        for row in candidates.itertuples():
            place = row.helpful, getattr(row, name)
            axes.annotate(row.candidate, place, OFFSETS[row.candidate], textcoords="offset points")
        axes.set(xlabel="helpful", ylabel=name, xlim=(-0.08, 1.1), ylim=(-0.08, 1.12))
    grid[1].legend(fontsize="small", loc="upper right")
    return figure


def _reach(candidates: pd.DataFrame, name: str) -> np.ndarray:
    middle = candidates[name]
    reach = [middle - candidates[f"{name}_low"], candidates[f"{name}_high"] - middle]
    return np.maximum(np.array(reach), 0.0)
