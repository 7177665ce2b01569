"""Generators that tell strict convexity from differentiability: what Theorem 4.2 asks of f."""

import numpy as np
from scipy.special import xlogy

from mechanism.core.custom_divergence import FDivergence
from mechanism.core.errors import Floats


def kl_plus_tv(lam: float) -> FDivergence:
    """Strictly convex with a kink at 1: x log x - x + 1 + |x - 1|, steep at 0.

    >>> kl_plus_tv(1.0).df_inverse([-0.9, 0.9])
    array([1., 1.])
    """
    return FDivergence(
        lambda x: xlogy(x, x) - x + 1 + np.abs(x - 1),
        df=lambda x: np.log(x) + np.sign(x - 1),
        df_inverse=lambda y: np.exp(np.sign(y) * np.maximum(np.abs(y) - 1, 0)),
        lam=lam, interior=True, strictly_convex=True,
    )  # fmt: skip


def kl_with_kink(lam: float, at: float, jump: float) -> FDivergence:
    """Strictly convex with one kink, of size `jump`, at a ratio `at` > 1."""

    def inverse(y: Floats) -> Floats:
        above = np.maximum(y - np.log(at), 0.0)
        return np.exp(np.minimum(y, np.log(at)) + np.maximum(above - jump, 0.0))

    return FDivergence(
        lambda x: xlogy(x, x) - x + 1 + jump * np.maximum(x - at, 0),
        df=lambda x: np.log(x) + jump * (x > at),
        df_inverse=inverse, lam=lam, interior=True, strictly_convex=True,
    )  # fmt: skip


def flat_kl(lam: float) -> FDivergence:
    """Differentiable, not strictly convex: KL whose slope stays 0 for ratios in [1, 2].

    >>> flat_kl(1.0).f([1.0, 1.5, 2.0])
    array([0., 0., 0.])
    """

    def f(x: Floats) -> Floats:
        above = xlogy(x, x / 2) - x + 2
        return np.where(x < 1, xlogy(x, x) - x + 1, np.where(x > 2, above, 0.0))

    return FDivergence(
        f,
        df=lambda x: np.log(np.minimum(x, 1)) + np.log(np.maximum(x / 2, 1)),
        df_inverse=lambda y: np.where(y < 0, np.exp(np.minimum(y, 0)), 2 * np.exp(y)),
        lam=lam, interior=True, strictly_convex=False,
    )  # fmt: skip
