"""What one solve takes beside the least that any could take."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mechanism.experiments.performance import floors
from mechanism.plotting import GROUP_COLORS, NEUTRAL


def plot_floors(table: pd.DataFrame) -> Figure:
    """Draw last step, solve and target of each divergence at m = 10^6, in units of softmax."""
    found = floors(table)
    large = table[(table.part == "solve") & (table.m == 10**6)]
    figure, axes = plt.subplots(figsize=(7.4, 3.8))
    places = range(len(large))
    spread = [large.ratio - large.low, large.high - large.ratio]
    axes.barh(places, large.ratio, xerr=spread, color=GROUP_COLORS[0], ecolor=NEUTRAL, height=0.6,
              label="one solve")  # fmt: skip
    axes.barh(places, found.floor, color=GROUP_COLORS[1], height=0.3,
              label="its last step alone")  # fmt: skip
    axes.plot(found.target, places, "k|", markersize=16, markeredgewidth=2, label="target, at most")
    axes.set_yticks(places, found.index)
    axes.invert_yaxis()
    axes.set(xlabel="times torch.softmax on the same vector")
    axes.legend()
    return figure
