r"""Smooth functions of sample means, with the standard error and the bias that each carries.

A payment is a difference of such functions of the *same* samples. Influences are subtracted sample
by sample, so that what is common to both terms cancels in the standard error as it does in the
estimate. All arrays are (..., n, K): n quantities from K samples.
Source: the delta method and the jackknife, Efron and Tibshirani (1993), chapters 11 and 21.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import logsumexp

from mechanism.core.errors import Floats, InvalidInputError


@dataclass(frozen=True, eq=False)
class Part:
    """Estimates of n quantities from K samples.

    Attributes
    ----------
    value : ndarray, shape (..., n)
    influence : ndarray, shape (..., n, K)
        First-order effect of each sample, of mean 0.
    bias : ndarray, shape (..., n)
        Second-order bias by the delta method.
    left_out : ndarray, shape (..., n, K)
        The estimates without sample k.
    """

    value: Floats
    influence: Floats
    bias: Floats
    left_out: Floats

    def __sub__(self, other: Self) -> "Part":
        """Difference of two estimates from the same samples."""
        return Part(
            self.value - other.value,
            self.influence - other.influence,
            self.bias - other.bias,
            self.left_out - other.left_out,
        )

    @property
    def standard_error(self) -> Floats:
        """Over the draw of samples, shape (..., n)."""
        count = self.influence.shape[-1]
        return np.asarray(self.influence.std(axis=-1, ddof=1) / np.sqrt(count))

    def jackknife_bias(self) -> Floats:
        """(K - 1) (mean of the estimates without one sample - estimate), shape (..., n)."""
        count = self.influence.shape[-1]
        return np.asarray((count - 1) * (self.left_out.mean(axis=-1) - self.value))


def log_mean_part(logs: Floats, lam: float) -> Part:
    r""":math:`\lambda \log` of the mean of exp(logs), logs (..., n, K).

    Bias :math:`-\lambda \mathrm{Var}(u) / 2K`, u the weights scaled to mean 1: always downwards.

    >>> log_mean_part(np.array([[0.0, 0.0, 0.0]]), 1.0).value
    array([0.])
    """
    count = logs.shape[-1]
    value = logsumexp(logs, axis=-1) - np.log(count)
    u = np.exp(logs - value[..., None])
    left = _log_without_one(logs) - np.log(count - 1)
    return Part(lam * value, lam * (u - 1.0), -lam * u.var(axis=-1, ddof=1) / (2 * count),
                lam * left)  # fmt: skip


def optimum_part(logs: Floats, own: Floats, lam: float) -> Part:
    r"""What the others get at the optimum: :math:`\lambda \log E e^{logs} - E_w own`.

    Parameters
    ----------
    logs : ndarray, shape (..., K)
        S/lam (less the log ratio to the proposal).
    own : ndarray, shape (..., n, K)
        w_i rm_i of the samples; its mean is self-normalised with weights exp(logs).
    lam : float
    """
    count = logs.shape[-1]
    free = log_mean_part(logs[..., None, :], lam)
    u = np.exp(logs - logsumexp(logs, axis=-1, keepdims=True) + np.log(count))[..., None, :]
    mean = (u * own).mean(axis=-1)
    influence = u * (own - mean[..., None])
    ratio_bias = -(u * influence).sum(axis=-1) / (count * (count - 1))
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))[..., None, :]
    left = _without_one(weights * own) / _without_one(weights)
    return free - Part(mean, influence, ratio_bias, left)


def mean_part(rows: Floats) -> Part:
    """Plain means of rows (..., n, K): no bias.

    >>> mean_part(np.array([[1.0, 3.0]])).standard_error
    array([1.])
    """
    value = rows.mean(axis=-1)
    return Part(value, rows - value[..., None], np.zeros_like(value),
                _without_one(rows) / (rows.shape[-1] - 1))  # fmt: skip


def fixed_part(value: Floats, count: int) -> Part:
    """Known numbers (..., n): no noise.

    >>> fixed_part(np.ones(2), 3).left_out.shape
    (2, 3)
    """
    rows = np.broadcast_to(value[..., None], (*value.shape, count))
    return Part(value, np.zeros_like(rows), np.zeros_like(value), rows)


def _without_one(rows: Floats) -> Floats:
    """Sums over all samples but one, (..., K): from both ends, since subtraction would cancel."""
    edge = np.zeros((*rows.shape[:-1], 1))
    before = np.concatenate([edge, rows.cumsum(axis=-1)[..., :-1]], axis=-1)
    after = np.concatenate([rows[..., ::-1].cumsum(axis=-1)[..., -2::-1], edge], axis=-1)
    return np.asarray(before + after)


def _log_without_one(logs: Floats) -> Floats:
    """Log of the sum of exp over all samples but one."""
    best = logs.max(axis=-1, keepdims=True)
    sums = _without_one(np.exp(logs - best))
    if not sums.min() > 0:
        fix = "raise lam or draw more samples"
        rule = "one sample outweighs all others by more than e^700"
        raise InvalidInputError("log weights", f"spread {np.ptp(logs):.3g}", rule, fix)
    return np.asarray(np.log(sums) + best)
