"""What the mechanism needs to know of a convex generator f, shared by all divergences."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError, as_floats, positive_number, require
from mechanism.core.validation import broadcast_batch, check_distribution

NEAR = 1e-6  # relative distance from the initial model within which series replace f
STRENGTHS = (1e-300, 1e300)  # of lam: outside of it products with rewards leave float64


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
    steep : bool
        Whether f(0) is infinite, so that no optimum may leave an outcome out.
    slope_limit : float
        Supremum of :math:`\varphi'`.
    curvatures : tuple of float, or None
        Second to fourth derivative of :math:`\varphi` at 1, where they exist and are known.
    """

    lam: float
    strictly_convex: ClassVar[bool] = True
    interior: ClassVar[bool] = True
    steep: ClassVar[bool] = False
    slope_limit: ClassVar[float] = np.inf
    curvatures: ClassVar[tuple[float, float, float] | None] = None

    def __post_init__(self) -> None:
        fix = "pass the strength of the divergence, e.g. lam=0.2"
        lam = positive_number("lam", self.lam, fix)
        if not STRENGTHS[0] <= lam <= STRENGTHS[1]:
            rule = f"must be in {STRENGTHS[0]:g}..{STRENGTHS[1]:g}"
            raise InvalidInputError("lam", lam, rule, "use another unit of reward")
        object.__setattr__(self, "lam", lam)

    def f(self, x: ArrayLike) -> Floats:
        """Generator f(x), elementwise for x >= 0."""
        ratio = _ratios(x)
        with np.errstate(all="ignore"):
            value = self.lam * self._f(ratio)
            if np.all(np.isfinite(value)):
                return value
            return np.where(np.isfinite(value), value, self._large(ratio, np.ones_like(ratio)))

    def df(self, x: ArrayLike) -> Floats:
        """Slope f'(x), elementwise; minus infinity at 0 where f is steep there."""
        ratio = _ratios(x)
        with np.errstate(all="ignore"):
            return self.lam * self._df(ratio)

    def d2f(self, x: ArrayLike) -> Floats:
        """Curvature f''(x), elementwise."""
        ratio = _ratios(np.minimum(as_floats("x", x), np.finfo(float).max))
        with np.errstate(all="ignore"):
            return self.lam * self._d2f(ratio)

    def df_inverse(self, y: ArrayLike) -> Floats:
        """The ratio x >= 0 with f'(x) = y; 0 below f'(0), infinity at or above the slope limit."""
        slopes = as_floats("y", y)
        require(~np.isnan(slopes), "y", slopes, "must be a number", "drop this entry")
        with np.errstate(all="ignore"):
            slope = slopes / self.lam
            return np.where(slope < self.slope_limit, self._df_inverse(slope), np.inf)

    def value(self, p: ArrayLike, q: ArrayLike) -> Floats:
        """Return D_f(p || q) >= 0 over the last axis; leading axes broadcast. Infinite where it is.

        Absolute error about 1e-15 lam, or 1e-14 of the value where that is more (times |alpha| for
        `Alpha`); relative error about 1e-14 where p and q differ by no more
        than a share of 1e-6 anywhere.

        Raises
        ------
        InvalidInputError
            p or q is no distribution: negative, or a sum that float32's rounding does not explain.
        """
        first = as_floats("p", p)
        second = check_distribution("q", q, first.shape[-1] if first.ndim else 1)
        first = check_distribution("p", first, second.shape[-1])
        broadcast_batch(first.shape[:-1], second.shape[:-1])
        return self.value_of(first, second)

    def value_of(self, p: Floats, q: Floats) -> Floats:
        """`value` of arrays that are known to be distributions."""
        with np.errstate(all="ignore"):
            terms = _with_limits(self._perspective(p, q), p, q, self.slope_limit)
            total = np.maximum(self.lam * terms.sum(axis=-1), 0.0)
            infinite = np.isinf(total)
            if np.any(infinite):
                large = _with_limits(self._large(p, q), p, q, self.lam * self.slope_limit)
                total = np.where(infinite, large.sum(axis=-1), total)
            if self.curvatures is not None:
                close = np.all(np.abs(p - q) <= self.near * q, axis=-1)
                if np.any(close):
                    total = np.where(close, self.lam * self.series(p, q).sum(axis=-1), total)
        return np.asarray(total)[()]

    @property
    def flat(self) -> float:
        """Gaps (max S - S)/lam up to which p/q - 1 is found by `series`, or is 0 throughout."""
        return self.near

    @property
    def near(self) -> float:
        """Distance of p/q from 1 within which `series` is exact to 1e-14 of its value."""
        if self.curvatures is None:
            return 0.0
        c2, c3, _ = self.curvatures
        return NEAR / (1.0 + abs(c3 / c2))

    def series(self, p: Floats, q: Floats) -> Floats:
        """q [phi(p/q) - phi'(1) (p/q - 1)] by its series at p = q: terms >= 0, none cancels."""
        c2, c3, c4 = self.curvatures or (0.0, 0.0, 0.0)
        r = (p - q) / np.where(q > 0, q, 1.0)
        return np.asarray((p - q) * r * (c2 / 2 + r * (c3 / 6 + r * c4 / 24)))

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

    def _large(self, p: Floats, q: Floats) -> Floats:
        """lam q phi(p/q) where q phi(p/q) may be beyond float64."""
        return self.lam * self._perspective(p, q)

    @abstractmethod
    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        """sup over x >= 0 of x y - phi(x); `deficit` is slope_limit - y, exact where y is not."""


def _ratios(x: ArrayLike) -> Floats:
    ratio = as_floats("x", x) + 0.0  # no negative zero, at which 1/x is minus infinity
    inside = (ratio >= 0) & np.isfinite(ratio)
    require(inside, "x", ratio, "must be finite and >= 0", "pass ratios p/q of probabilities")
    return ratio


def _with_limits(terms: Floats, p: Floats, q: Floats, slope_limit: float) -> Floats:
    """Put the limit of q phi(p/q) where q is 0."""
    if np.all(q):
        return terms
    return np.where(q > 0, terms, np.where(p > 0, p * slope_limit, 0.0))
