"""Figures of the page on performance."""

from mechanism.figures.performance.floors import plot_floors
from mechanism.figures.performance.scaling import plot_scaling

__all__ = ["plot_floors", "plot_scaling"]
