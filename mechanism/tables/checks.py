r"""What must hold on every curve: the area identity, and that no report beats the truth.

**Area.** With affine maximizer payments and :math:`V(\alpha) = w_i v_i` of the model that the
report :math:`\alpha w_i` leads to,

.. math:: u_i(1) = \int_0^1 V(t)\,dt, \qquad
          \mathrm{pay}_i(\alpha) = \alpha V(\alpha) - \int_0^\alpha V(t)\,dt,

because :math:`\max_p\,[\alpha w_i v_i(p) + ASW_{-i}(p)]` is convex in alpha with slope V, and
at alpha = 0 the group pays nothing. No term is added: at size 0 the utility is 0.

**Best responses.** On candidates a report matters only through the candidate that it brings about,
so that the best of all reports is found by enumeration.
Source: `mechanism.theorems.affine_maximizer`; Equation (1), arXiv:2405.16276v4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad_vec

from mechanism.core.errors import Floats
from mechanism.tables.candidates import Candidates
from mechanism.tables.curves import Curves
from mechanism.tables.reports import Source, Stakes, play, play_candidates, point_stakes
from mechanism.tables.support import Support
from mechanism.theorems.affine_maximizer import size_breakpoints

ROUNDING = 1e-12  # of the greatest score and lam


@dataclass(frozen=True)
class AreaIdentity:
    """A recorded alpha curve beside the areas under its valuation.

    Attributes
    ----------
    sizes : tuple of float
        True sizes, before scaling.
    utility, area : float
        Utility of the truth as recorded; area under the valuation from alpha = 0 to 1.
    payment_gap : float
        Largest difference between a recorded payment and alpha V - area up to alpha.
    tolerance : float
        1e-12 of the greatest score, plus the quadrature's own error estimate (0 on candidates,
        where the curve is a step function and is summed between its breakpoints).
    steps : int
        Jumps of the valuation on the grid's range; 0 on samples, where it is smooth.
    """

    sizes: tuple[float, ...]
    utility: float
    area: float
    payment_gap: float
    tolerance: float
    steps: int

    @property
    def gap(self) -> float:
        """Larger of |utility - area| and the payments' gap."""
        return max(abs(self.utility - self.area), self.payment_gap)

    @property
    def holds(self) -> bool:
        """Whether the gap is within the tolerance."""
        return self.gap <= self.tolerance


def area_identities(source: Source, recorded: Curves) -> tuple[AreaIdentity, ...]:
    """Compare every alpha curve's utility and payments with areas under its valuation.

    The payments and the valuation at the grid come from `recorded`, the areas from the mechanism's
    choices between the grid's points, computed anew.
    """
    return tuple(_identity(source, recorded, sizes) for sizes in recorded.sizes)


def _identity(source: Source, recorded: Curves, sizes: tuple[float, ...]) -> AreaIdentity:
    curve = recorded.curve(sizes, "alpha")
    alphas = curve["parameter"].to_numpy()
    own = point_stakes(source, sizes, recorded.lam, recorded.group)
    edges = np.union1d([0.0], alphas)
    if isinstance(source, Support):
        areas, error = _smooth_areas(source, own, edges, recorded.lam)
        steps = 0
    else:
        points = _breakpoints(source, sizes, recorded.lam, recorded.group, edges[-1])
        areas, error, steps = _step_areas(own, edges, points), 0.0, len(points)
    upto = areas[np.searchsorted(edges, alphas)]
    expected = alphas * curve["valuation"].to_numpy() - upto
    top = np.abs(own.rest).max() + max(1.0, edges[-1]) * np.abs(own.own).max() + recorded.lam
    truth = alphas == 1.0
    return AreaIdentity(
        sizes,
        float(curve.loc[truth, "utility"].iloc[0]),
        float(upto[truth][0]),
        float(np.abs(curve["payment"].to_numpy() - expected).max()),
        float(error + ROUNDING * top),
        steps,
    )


def _breakpoints(
    source: Candidates, sizes: Sequence[float], lam: float, group: int, top: float
) -> Floats:
    """Alphas in (0, top) at which another candidate is chosen: the upper envelope of k lines."""
    game = source.game(sizes, lam)
    return top * size_breakpoints(game.with_report(group, size=top * game.sizes[group]), group)


def _step_areas(own: Stakes, edges: Floats, points: Floats) -> Floats:
    """Area from 0 to each edge, exact: one candidate between neighbouring breakpoints."""
    cuts = np.union1d(edges, points)
    heights = play_candidates(own, own.alpha((cuts[1:] + cuts[:-1]) / 2)).valuation
    areas = np.concatenate([[0.0], np.cumsum(heights * np.diff(cuts))])
    return np.asarray(areas[np.searchsorted(cuts, edges)])


def _smooth_areas(source: Support, own: Stakes, edges: Floats, lam: float) -> tuple[Floats, float]:
    """Area from 0 to each edge by adaptive Gauss-Kronrod on all cells at once, and its error."""
    width = np.diff(edges)

    def heights(share: float) -> Floats:
        reported = own.alpha(edges[:-1] + share * width)
        return np.asarray(width * play(source, own, reported, lam).valuation.mean(axis=0))

    cells, error = quad_vec(heights, 0.0, 1.0, epsabs=1e-13, epsrel=1e-13, norm="max")
    return np.concatenate([[0.0], np.cumsum(cells)]), float(error) * len(width)
