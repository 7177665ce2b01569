"""Models that are trained for reports, not mixed from others: their names and their objectives.

A sample table names a model by what it was trained for. For true sizes (w_1, w_2): SW-Max itself,
the model of one group alone, which the other's payment needs, and the models of group 1's
misreports: a size of alpha w_1, or the reward beta rm_1 + (1 - beta) rm_2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mechanism.tables.candidates import RANDOM, SIZE_SCALE, SIZES

SW_MAX = "SW-Max"
TRUE = SIZES[1]  # the size vector whose misreports are trained: both groups alike
ALPHAS = (2.0, 3.0, 0.5, 0.25, 0.75)  # in the order in which they are trained
BETAS = (0.5, 1.5)
Kind = Literal["alpha", "beta"]
Weights = tuple[float, float, float]  # of both rewards and of the control's


@dataclass(frozen=True)
class Report:
    """A report of group 1 at true sizes, and the model that is trained for it.

    Attributes
    ----------
    sizes : tuple of float
        The true ones.
    kind : {"alpha", "beta"}
        What is misreported: the size or the reward.
    value : float
        Its parameter; 1 is the truth, alpha = 0 leaves the group out.
    """

    sizes: tuple[float, float]
    kind: Kind
    value: float

    @property
    def weights(self) -> Weights:
        """Weights of the rewards in the training.

        >>> Report((5.0, 5.0), "alpha", 2.0).weights, Report((5.0, 5.0), "beta", 0.5).weights
        ((1.0, 0.5, 0.0), (0.25, 0.75, 0.0))
        """
        first, second = (SIZE_SCALE * size for size in self.sizes)
        if self.kind == "alpha":
            return self.value * first, second, 0.0
        return self.value * first, second + (1 - self.value) * first, 0.0

    @property
    def model(self) -> str:
        """Name of the trained model.

        >>> Report((5.0, 5.0), "alpha", 2.0).model, Report((5.0, 5.0), "alpha", 0.0).model
        ('alpha 2 at 5, 5', 'group 2 alone, 5')
        """
        if self.value == 1:
            return sw_max_model(self.sizes)
        if self.kind == "alpha" and self.value == 0:
            return without(self.sizes, 0)
        return f"{self.kind} {self.value:g} at {label(self.sizes)}"


def label(sizes: Sequence[float]) -> str:
    """Return how names write a size vector.

    >>> label((3.0, 7.0))
    '3, 7'
    """
    return ", ".join(f"{size:g}" for size in sizes)


def sw_max_model(sizes: Sequence[float]) -> str:
    """Return the name of the model that is trained for the weighted sum of all groups."""
    return f"{SW_MAX} {label(sizes)}"


def without(sizes: Sequence[float], group: int) -> str:
    """Return the name of the model that is trained without one of two groups, from 0.

    >>> without((3.0, 7.0), 0)
    'group 2 alone, 7'
    """
    other = 1 - group
    return f"group {other + 1} alone, {sizes[other]:g}"


def reports(sizes: tuple[float, float] = TRUE) -> tuple[Report, ...]:
    """Return every report of group 1 that has a model, alpha and beta rising, truths included."""
    alphas, betas = sorted((0.0, 1.0, *ALPHAS)), sorted((1.0, *BETAS))
    listed = [Report(sizes, "alpha", value) for value in alphas]
    return (*listed, *(Report(sizes, "beta", value) for value in betas))


def objectives() -> dict[str, Weights]:
    """Return the weights of every model beside those of single rewards, by name.

    The control; SW-Max at the three size vectors; each group alone at its sizes; and group 1's
    misreports at `TRUE`.
    """
    named: dict[str, Weights] = {RANDOM: (0.0, 0.0, 1.0)}
    for sizes in SIZES:
        first, second = (SIZE_SCALE * size for size in sizes)
        named[sw_max_model(sizes)] = (first, second, 0.0)
        named[without(sizes, 1)] = (first, 0.0, 0.0)
        named[without(sizes, 0)] = (0.0, second, 0.0)
    listed = [Report(TRUE, "alpha", value) for value in ALPHAS]
    listed += [Report(TRUE, "beta", value) for value in BETAS]
    return named | {report.model: report.weights for report in listed}


def unmixed(control: bool, reports: bool) -> tuple[str, ...]:
    """Return the names of a run's models that are in no soup: the control, and those for reports.

    >>> unmixed(control=True, reports=False)
    ('random',)
    """
    return tuple(name for name in objectives() if (control if name == RANDOM else reports))
