"""Tables 2 to 6 and the forecast of two of them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanism.experiments.cells import Cell
from mechanism.experiments.published.reproduction import CELLS
from mechanism.plotting import GROUP_COLORS, NEUTRAL


def plot_tables(cells: Sequence[Cell], predicted: pd.DataFrame) -> Figure:
    """Draw every table of the appendix: published cells, ours, and the forecast in grey."""
    figure, grid = plt.subplots(3, 5, figsize=(11.5, 6.0), sharex=True)
    frame = pd.DataFrame(cells)
    frame["value"] = frame.row.str.split("=").str[1].astype(float)
    for k, table in enumerate(f"table{t}" for t in range(2, 7)):
        for axes, name in zip(grid[:, k], CELLS, strict=True):
            known = frame[(frame.table == table) & (frame.column == name)]
            _draw_prediction(axes, predicted[predicted.table == table], name)
            axes.plot(known.value, known.paper, "o", color=NEUTRAL, markersize=7,
                      markerfacecolor="none", label="paper")  # fmt: skip
            axes.plot(known.value, known.ours, ".-", color=GROUP_COLORS[0], label="ours")
            axes.axvline(1.0, color=NEUTRAL, linestyle=":", linewidth=1)
        note = "\n(forecast in grey)" if table in set(predicted.table) else ""
        grid[0, k].set_title(f"Table {table[-1]}{note}", fontsize="medium")
        grid[2, k].set_xlabel("beta" if table in ("table4", "table5") else "alpha")
    for axes, name in zip(grid[:, 0], CELLS, strict=True):
        axes.set_ylabel(name.replace("_", " "))
    grid[0, 0].legend(fontsize="small")
    return figure


def _draw_prediction(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    middle = rows[name].to_numpy()
    reach = np.array([middle - rows[f"{name}_low"], rows[f"{name}_high"] - middle])
    axes.errorbar(rows.value, middle, yerr=np.maximum(reach, 0), fmt="s", markersize=9,
                  color="0.75", capsize=5, zorder=1)  # fmt: skip
