r"""f-divergences :math:`D_f(p\|q) = \sum_x q(x) f(p(x)/q(x))` that keep the tuned model near q.

Every class carries its strength `lam` inside f, so that :math:`f = \lambda\varphi`, with f convex
on :math:`[0, \infty)` and f(1) = 0. Units: rewards and `lam` share the reward unit.
Source: Section 2 and Definition 4.1, arXiv:2405.16276v4; the families beyond KL, chi-squared and
total variation are the usual ones of information theory.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr, xlogy

from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.generator import NEAR, Divergence

LARGEST_ALPHA = 1e6

__all__ = [
    "KL",
    "Alpha",
    "ChiSquared",
    "Divergence",
    "JensenShannon",
    "ReverseKL",
    "SquaredHellinger",
    "TotalVariation",
]


class KL(Divergence):
    r"""Kullback-Leibler divergence to the initial model: :math:`f(x) = \lambda x\log x`.

    >>> KL(0.5).value([0.5, 0.5], [0.25, 0.75]).round(4)
    np.float64(0.0719)
    """

    curvatures = (1.0, -1.0, 2.0)

    def _f(self, x: Floats) -> Floats:
        return np.asarray(xlogy(x, x))

    def _df(self, x: Floats) -> Floats:
        return np.log(x) + 1.0

    def _d2f(self, x: Floats) -> Floats:
        return 1.0 / x

    def _df_inverse(self, y: Floats) -> Floats:
        return np.exp(y - 1.0)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        return np.asarray(xlogy(p, p) - xlogy(p, q))

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        return np.exp(y - 1.0)


class ChiSquared(Divergence):
    r"""Pearson chi-squared: :math:`f(x) = \lambda (x-1)^2`; the optimum may touch the boundary.

    >>> ChiSquared(1.0).df_inverse([-3.0, 0.0, 2.0])
    array([0., 1., 2.])
    """

    interior = False
    curvatures = (2.0, 0.0, 0.0)

    def _f(self, x: Floats) -> Floats:
        return (x - 1.0) ** 2

    def _df(self, x: Floats) -> Floats:
        return 2.0 * (x - 1.0)

    def _d2f(self, x: Floats) -> Floats:
        return np.full_like(x, 2.0)

    def _df_inverse(self, y: Floats) -> Floats:
        return np.maximum(1.0 + y / 2.0, 0.0)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        return (p - q) ** 2 / q

    def _large(self, p: Floats, q: Floats) -> Floats:
        return ((p - q) * (np.sqrt(self.lam) / np.sqrt(q))) ** 2

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        clipped = np.maximum(y, -2.0)
        return clipped + clipped**2 / 4.0


class TotalVariation(Divergence):
    r"""Total variation: :math:`f(x) = \lambda |x-1|`, so :math:`D = \lambda\sum_x |p-q|`.

    Not strictly convex: f' is a step. By convention df(1) = 0 and df_inverse is 1 on [-lam, lam).

    >>> TotalVariation(2.0).value([1.0, 0.0], [0.5, 0.5])
    np.float64(2.0)
    """

    strictly_convex = False
    interior = False
    slope_limit = 1.0
    flat = NEAR  # the initial model is optimal up to gaps of 2

    def _f(self, x: Floats) -> Floats:
        return np.abs(x - 1.0)

    def _df(self, x: Floats) -> Floats:
        return np.sign(x - 1.0)

    def _d2f(self, x: Floats) -> Floats:
        return np.zeros_like(x)

    def _df_inverse(self, y: Floats) -> Floats:
        return np.where(y < -1, 0.0, 1.0)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        return np.abs(p - q)

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        return np.where(deficit < 0, np.inf, np.maximum(y, -1.0))


class ReverseKL(Divergence):
    r"""Reverse KL: :math:`f(x) = -\lambda\log x`, so :math:`D = \lambda\,\mathrm{KL}(q\|p)`.

    >>> ReverseKL(1.0).df_inverse([-2.0, -0.5])
    array([0.5, 2. ])
    """

    steep = True
    slope_limit = 0.0
    curvatures = (1.0, -2.0, 6.0)

    def _f(self, x: Floats) -> Floats:
        return -np.log(x)

    def _df(self, x: Floats) -> Floats:
        return -1.0 / x

    def _d2f(self, x: Floats) -> Floats:
        return 1.0 / x**2

    def _df_inverse(self, y: Floats) -> Floats:
        return -1.0 / y

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        return np.asarray(xlogy(q, q) - xlogy(q, p))

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        return -1.0 - np.log(deficit)


class SquaredHellinger(Divergence):
    r"""Squared Hellinger distance: :math:`f(x) = \lambda (\sqrt x - 1)^2`.

    >>> SquaredHellinger(1.0).value([1.0, 0.0], [0.25, 0.75]).round(12)
    np.float64(1.0)
    """

    slope_limit = 1.0
    curvatures = (0.5, -0.75, 1.875)

    def _f(self, x: Floats) -> Floats:
        return (np.sqrt(x) - 1.0) ** 2

    def _df(self, x: Floats) -> Floats:
        return 1.0 - 1.0 / np.sqrt(x)

    def _d2f(self, x: Floats) -> Floats:
        return 0.5 * x**-1.5

    def _df_inverse(self, y: Floats) -> Floats:
        return (1.0 - y) ** -2.0

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        return (np.sqrt(p) - np.sqrt(q)) ** 2

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        return y / deficit


class JensenShannon(Divergence):
    r"""Jensen-Shannon: :math:`f(x) = \lambda[x\log x - (1+x)\log\frac{1+x}{2}]`.

    With m = (p + q)/2 this is lam [KL(p || m) + KL(q || m)].

    >>> JensenShannon(1.0).value([1.0, 0.0], [0.5, 0.5]).round(4)
    np.float64(0.4315)
    """

    slope_limit = float(np.log(2.0))
    curvatures = (0.5, -0.75, 1.75)

    def _f(self, x: Floats) -> Floats:
        return np.asarray(xlogy(x, x) - (1.0 + x) * np.log((1.0 + x) / 2.0))

    def _df(self, x: Floats) -> Floats:
        return np.log(2.0) - np.log1p(1.0 / x)

    def _d2f(self, x: Floats) -> Floats:
        return 1.0 / x / (1.0 + x)

    def _df_inverse(self, y: Floats) -> Floats:
        return 1.0 / np.expm1(np.log(2.0) - y)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        both = p + q  # not its half, which is 0 at the least subnormal number
        return np.asarray((rel_entr(2.0 * p, both) + rel_entr(2.0 * q, both)) / 2.0)

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        return -np.log(2.0) - np.log(-np.expm1(-deficit))


@dataclass(frozen=True, init=False)
class Alpha(Divergence):
    r"""The alpha family: :math:`f(x) = \lambda\frac{x^\alpha-\alpha x+\alpha-1}{\alpha(\alpha-1)}`.

    alpha = 1 gives KL, 0 reverse KL, ``Alpha(0.5, lam)`` is ``SquaredHellinger(2 * lam)``, and
    ``Alpha(2, lam)`` is ``ChiSquared(lam / 2)``. The optimum is interior for alpha <= 1.

    >>> Alpha(2.0, 1.0).value([0.75, 0.25], [0.5, 0.5])
    np.float64(0.125)
    >>> ChiSquared(0.5).value([0.75, 0.25], [0.5, 0.5])
    np.float64(0.125)
    """

    alpha: float

    def __init__(self, alpha: float, lam: float) -> None:
        fix = "use e.g. 0.5 (Hellinger), 1 (KL), 2 (chi-squared)"
        array = as_floats("alpha", alpha)
        if array.shape != () or not abs(array) <= LARGEST_ALPHA:
            rule = f"must be one number from {-LARGEST_ALPHA:g} to {LARGEST_ALPHA:g}"
            raise InvalidInputError("alpha", alpha, rule, fix)
        a = float(array) if abs(array) > 1e-20 else 0.0  # the same divergence to 1e-17
        object.__setattr__(self, "lam", lam)
        object.__setattr__(self, "alpha", a)
        object.__setattr__(self, "interior", a <= 1)
        object.__setattr__(self, "steep", a <= 0)
        object.__setattr__(self, "slope_limit", 1.0 / (1.0 - a) if a < 1 else np.inf)
        object.__setattr__(self, "curvatures", (1.0, a - 2.0, (a - 2.0) * (a - 3.0)))
        self.__post_init__()

    def _f(self, x: Floats) -> Floats:
        return self._perspective(x, np.ones_like(x))

    def _df(self, x: Floats) -> Floats:
        if self.alpha == 1:
            return np.log(x)
        return np.expm1((self.alpha - 1.0) * np.log(x)) / (self.alpha - 1.0)

    def _d2f(self, x: Floats) -> Floats:
        return np.asarray(x ** (self.alpha - 2.0))

    def _df_inverse(self, y: Floats) -> Floats:
        if self.alpha == 1:
            return np.exp(y)
        slope = self.alpha - 1.0
        return np.exp(np.log1p(np.maximum(slope * y, -1.0)) / slope)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        α = self.alpha
        log_ratio = np.log(p) - np.log(q)
        if abs(α - 1.0) < abs(α):  # subtract the limit alpha -> 1 before dividing by alpha - 1
            growth = log_ratio if α == 1 else np.expm1((α - 1.0) * log_ratio) / (α - 1.0)
            product = np.where(p > 0, p * growth, 0.0)
            return (product - (p - q)) / α
        growth = log_ratio if α == 0 else np.expm1(α * log_ratio) / α
        return (q * growth - (p - q)) / (α - 1.0)

    def _large(self, p: Floats, q: Floats) -> Floats:
        α = self.alpha
        if α in (0, 1):
            return super()._large(p, q)
        return _power_term(self.lam / abs(α * (α - 1.0)), p, q, α)

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        α = self.alpha
        if α == 1:
            return np.expm1(y)
        if α == 0:
            return -np.log(deficit)
        base = deficit * (1.0 - α) if α < 1 else np.maximum(1.0 + (α - 1.0) * y, 0.0)
        return np.expm1(α / (α - 1.0) * np.log(base)) / α


def _power_term(factor: float, p: Floats, q: Floats, power: float) -> Floats:
    """factor p^power q^(1 - power), by logarithms: the whole term where it is beyond float64."""
    logs = power * np.log(p) + (1.0 - power) * np.log(q) + np.log(factor)
    return np.where((p == 0) & ((power > 0) | (q == 0)), 0.0, np.exp(logs))
