r"""Affine maximizer payments without n further trainings, estimated from samples.

For KL the optimal value is :math:`C(S) = \lambda \log E_q e^{S/\lambda}`, so that

.. math:: \mathrm{pay}_i = C(S_{-i}) - [C(S) - w_i v_i(p)]
          = \lambda \log E_p e^{-w_i rm_i/\lambda} + w_i E_p rm_i

at the optimum p. The pivot C(S_-i) does not look at group i's report: whatever its error, it leaves
DSIC alone. The plug-in estimate on samples of q is the exact payment of the game on the sampled
support, and thermodynamic integration by reweighting the same samples is that number again.
Rewards are (..., P prompts, n, K samples); payments are means over prompts, in reward units.
Source: Section 4.4, arXiv:2405.16276v4, for the question; these estimates are our own.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, InvalidInputError, as_floats, positive_number
from mechanism.core.payments import leave_one_out_scores
from mechanism.tables.partition import (
    Part,
    fixed_part,
    log_mean_part,
    mean_part,
    optimum_part,
)

Correction = Literal["none", "delta", "jackknife"]
CORRECTIONS: tuple[Correction, ...] = ("none", "delta", "jackknife")


@dataclass(frozen=True, eq=False)
class PaymentEstimate:
    """One estimate of all groups' payments and what it cost; leading axes (...) are a batch.

    Attributes
    ----------
    method : str
    per_prompt : ndarray, shape (..., P, n)
        Payments prompt by prompt, reward units; `payment` is their mean.
    standard_error : ndarray, shape (..., n)
        Of the mean over these prompts, over the draw of samples; 0 for exact evaluations, nan where
        it is not known. `prompt_error` is over the draw of prompts.
    correction : ndarray, shape (..., n)
        Estimated bias that has been taken off.
    effective_size : float
        Median over prompts of the least effective sample size of the weights used.
    trainings : float
        Trainings beyond that of the released model.
    samples : int
        Completions drawn for a prompt, those of the released model's own evaluation included.
    exact : ndarray, shape (n,), optional
        Known on enumerable games.
    """

    method: str
    per_prompt: Floats
    standard_error: Floats
    correction: Floats
    effective_size: float
    trainings: float
    samples: int
    exact: Floats | None = None

    @property
    def payment(self) -> Floats:
        """Mean over prompts, shape (..., n)."""
        return np.asarray(self.per_prompt.mean(axis=-2))

    @property
    def prompt_error(self) -> Floats:
        """Standard error over the draw of prompts, shape (..., n); nan for a single prompt."""
        prompts = self.per_prompt.shape[-2]
        if prompts < 2:
            return np.full_like(self.payment, np.nan)
        return np.asarray(self.per_prompt.std(axis=-2, ddof=1) / np.sqrt(prompts))

    @property
    def error(self) -> Floats:
        """Estimate less exact payment, shape (..., n): above 0 the group pays too much."""
        if self.exact is None:
            fix = "use against(exact) on an enumerable game"
            raise InvalidInputError("exact", None, "the exact payment is not known", fix)
        return np.asarray(self.payment - self.exact)

    def against(self, exact: ArrayLike) -> Self:
        """Return the same estimate beside the exact payments (n,)."""
        return replace(self, exact=as_floats("exact", exact))

    def seconds(self, per_training: float, per_sample: float, prompts: int | None = None) -> float:
        """Cost in seconds, from what one training and one completion take on the machine."""
        count = self.per_prompt.shape[-2] if prompts is None else prompts
        return self.trainings * per_training + self.samples * count * per_sample


def log_partition(
    rewards: ArrayLike, sizes: ArrayLike, lam: float, correction: Correction = "none",
    log_ratio: ArrayLike | None = None, released: ArrayLike | None = None,
) -> PaymentEstimate:  # fmt: skip
    r"""Payments from samples of the initial model: no training beyond the released model.

    Both terms come from the same samples, so that much of their noise cancels. Each logarithm is
    biased downwards (Jensen) by about lam/(2 ESS); they enter with opposite signs, and the
    self-normalised valuation is biased too. `delta` takes off the second-order bias of the whole,
    `jackknife` the leave-one-out estimate of it.

    Parameters
    ----------
    rewards : array_like, shape (..., P, n, K)
        Scores of K completions a prompt.
    sizes : array_like, shape (n,)
    lam : float
        Strength of KL.
    correction : {"none", "delta", "jackknife"}
    log_ratio : array_like, shape (..., P, K), optional
        log(proposal/q) of the completions, nats, where they come from another model than q.
    released : array_like, shape (..., P, n), optional
        ASW_-i of the released model, where it has been evaluated; then only the pivot is
        estimated, and DSIC does not depend on the samples.

    Examples
    --------
    >>> log_partition([[[1.0, 0.0], [0.0, 1.0]]], [1, 1], 1.0).payment.round(4)
    array([0.1201, 0.1201])
    """
    rows, w, lam, logs = log_weights(rewards, sizes, lam, log_ratio)
    pivot = log_mean_part(logs[..., 1:, :], lam)
    if released is None:
        part = pivot - optimum_part(logs[..., 0, :], w[:, None] * rows, lam)
        used = logs
    else:
        given = np.broadcast_to(as_floats("released", released), pivot.value.shape)
        part, used = pivot - fixed_part(given, rows.shape[-1]), logs[..., 1:, :]
    name = "log-partition" if released is None else "log-partition, pivot only"
    return _estimate(name, part, used, correction)


def from_released(
    rewards: ArrayLike, sizes: ArrayLike, lam: float, correction: Correction = "none",
    log_ratio: ArrayLike | None = None,
) -> PaymentEstimate:  # fmt: skip
    r"""Payments from samples of the released model p alone, for any p.

    With :math:`y_i = S_{-i} - \lambda \log(p/q)` the payment is
    :math:`\lambda \log E_p e^{y_i/\lambda} - E_p y_i`: never negative, in the sample either. Left
    out, log(p/q) is taken to be that of the optimum, S/lam up to a constant, and only group i's
    reward matters: :math:`\lambda \log E_p e^{-w_i (rm_i - v_i)/\lambda}`, about
    :math:`w_i^2 \mathrm{Var}_p(rm_i) / 2\lambda`.

    Parameters
    ----------
    rewards : array_like, shape (..., P, n, K)
        Scores of K completions of the released model.
    sizes, lam, correction
        As in `log_partition`.
    log_ratio : array_like, shape (..., P, K), optional
        log(p/q) of the completions, nats.

    Examples
    --------
    >>> from_released([[[0.5, 0.5], [0.0, 1.0]]], [1, 1], 1.0).payment.round(4)
    array([0.    , 0.1201])
    """
    if log_ratio is None:
        w, rows = as_floats("sizes", sizes), as_floats("rewards", rewards)
        log_ratio = np.asarray(np.vecmat(w, rows)) / positive_number("lam", lam, "e.g. 0.1")
    _, _, lam, logs = log_weights(rewards, sizes, lam, log_ratio)
    others = logs[..., 1:, :]
    part = log_mean_part(others, lam) - mean_part(lam * others)
    return _estimate("released model", part, others, correction)


def log_weights(
    rewards: ArrayLike, sizes: ArrayLike, lam: float, log_ratio: ArrayLike | None
) -> tuple[Floats, Floats, float, Floats]:
    """Rewards, sizes, lam and log importance weights (..., P, n + 1, K); row 0 is everyone's."""
    rows, w = as_floats("rewards", rewards), as_floats("sizes", sizes)
    strength = KL(lam).lam
    if rows.ndim < 3 or rows.shape[-2:-1] != w.shape or rows.shape[-1] < 2:
        rule = f"must be (..., P, n, K) with K >= 2 for sizes of shape {w.shape}"
        raise InvalidInputError("rewards", f"shape {rows.shape}", rule, "put prompts first")
    total = np.asarray(np.vecmat(w, rows))[..., None, :]
    logs = np.concatenate([total, leave_one_out_scores(w, rows)], axis=-2) / strength
    if log_ratio is not None:
        logs = logs - as_floats("log_ratio", log_ratio)[..., None, :]
    return rows, w, strength, logs


def _estimate(name: str, part: Part, logs: Floats, correction: Correction) -> PaymentEstimate:
    if correction not in CORRECTIONS:
        fix = f"use one of {CORRECTIONS}"
        raise InvalidInputError("correction", repr(correction), "not a known correction", fix)
    bias = np.zeros_like(part.value)
    if correction != "none":
        bias = part.bias if correction == "delta" else part.jackknife_bias()
        name = f"{name}, {correction}"
    error = np.sqrt((part.standard_error**2).sum(axis=-2)) / part.value.shape[-2]
    size = float(np.median((1.0 / (softmax(logs, axis=-1) ** 2).sum(axis=-1)).min(axis=-1)))
    per_prompt, off = part.value - bias, np.asarray(bias.mean(axis=-2))
    return PaymentEstimate(name, per_prompt, error, off, size, 0.0, logs.shape[-1])
