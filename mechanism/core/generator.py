"""What the mechanism needs to know of a convex generator f, shared by all divergences."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, as_floats, positive_number


@dataclass(frozen=True)
class Divergence(ABC):
    r"""A convex generator :math:`f = \lambda\varphi` and what the mechanism needs to know of it.

    Subclasses give the unit generator :math:`\varphi` (methods with a leading underscore);
    the public methods multiply by `lam`.

    Attributes
    ----------
    lam : float
        Strength, > 0, in reward units.
    strictly_convex : bool
        Whether f is strictly convex, so that the optimum is unique.
    interior : bool
        Whether the optimum is positive everywhere for all rewards (f'(0+) is minus infinity).
    slope_limit : float
        Supremum of :math:`\varphi'`.
    """

    lam: float
    strictly_convex: ClassVar[bool] = True
    interior: ClassVar[bool] = True
    slope_limit: ClassVar[float] = np.inf

    def __post_init__(self) -> None:
        fix = "pass the strength of the divergence, e.g. lam=0.2"
        object.__setattr__(self, "lam", positive_number("lam", self.lam, fix))

    def f(self, x: ArrayLike) -> Floats:
        """Generator f(x), elementwise for x >= 0."""
        with np.errstate(all="ignore"):
            return self.lam * self._f(as_floats("x", x))

    def df(self, x: ArrayLike) -> Floats:
        """Slope f'(x), elementwise; minus infinity at 0 where f is steep there."""
        with np.errstate(all="ignore"):
            return self.lam * self._df(as_floats("x", x))

    def d2f(self, x: ArrayLike) -> Floats:
        """Curvature f''(x), elementwise."""
        with np.errstate(all="ignore"):
            return self.lam * self._d2f(as_floats("x", x))

    def df_inverse(self, y: ArrayLike) -> Floats:
        """The ratio x >= 0 with f'(x) = y; 0 below f'(0), infinity at or above the slope limit."""
        slope = as_floats("y", y) / self.lam
        with np.errstate(all="ignore"):
            return np.where(slope < self.slope_limit, self._df_inverse(slope), np.inf)

    def value(self, p: ArrayLike, q: ArrayLike) -> Floats:
        """Return D_f(p || q) over the last axis; leading axes broadcast. Infinite where it is."""
        with np.errstate(all="ignore"):
            terms = self._perspective(as_floats("p", p), as_floats("q", q))
            return np.asarray(self.lam * terms.sum(axis=-1))[()]

    def modulus(self, upper: float = np.inf) -> float:
        """Strong-convexity modulus of f on ratios in (0, upper], by the least of f'' there.

        Every named generator has f'' either monotone or with its least value at an end.
        """
        ends = np.array([np.finfo(float).tiny, min(upper, np.finfo(float).max)])
        return float(np.nanmin(np.maximum(self.d2f(ends), 0.0)))

    @property
    def strongly_convex(self) -> bool:
        """Whether f'' is bounded away from 0 on all of (0, infinity)."""
        return self.modulus() > 1e-12 * self.lam

    @abstractmethod
    def _f(self, x: Floats) -> Floats: ...

    @abstractmethod
    def _df(self, x: Floats) -> Floats: ...

    @abstractmethod
    def _d2f(self, x: Floats) -> Floats: ...

    @abstractmethod
    def _df_inverse(self, y: Floats) -> Floats: ...

    @abstractmethod
    def _perspective(self, p: Floats, q: Floats) -> Floats:
        """q phi(p/q), elementwise and without overflow of the ratio."""

    @abstractmethod
    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        """sup over x >= 0 of x y - phi(x); `deficit` is slope_limit - y, exact where y is not."""
