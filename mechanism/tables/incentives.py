r"""How approximate is DSIC: measured eps and delta in 2 w eps + delta, beside the gains found.

The provider hears estimates of the group's rewards and trains a model that is delta short of the
optimum of what it hears. Whatever noise is in the others' rewards or in the KL estimates does not
follow the report, so it only replaces :math:`ASW_{-i}`, and the best response is known exactly:
against truth, which releases p, the largest gain over all reports is

.. math:: \max_{p'} [w_i v_i(p') + \widehat{ASW}_{-i}(p')] - [w_i v_i(p) + \widehat{ASW}_{-i}(p)]
          \le 2 w_i \varepsilon + \delta .

Noise that is the same for all models changes no choice, so eps may be half the *spread* of the
noise over models, which is far less than its size where prompts differ.
Source: Theorem 4.12, arXiv:2405.16276v4; delta and the exact best response are our own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.payments import leave_one_out_scores
from mechanism.theorems.approximate_dsic import paper_bound


def candidate_gains(
    values: ArrayLike, heard: ArrayLike, costs: ArrayLike, sizes: ArrayLike,
    assessed: ArrayLike | None = None,
) -> Floats:  # fmt: skip
    """Largest gain of each group over all reports, shape (..., n): any candidate can be forced.

    Parameters
    ----------
    values : array_like, shape (..., n, k)
        True mean rewards of the candidates, by which the group picks its report.
    heard : array_like, shape (..., n, k)
        What the provider estimates of them, by which it chooses after truthful reports.
    costs : array_like, shape (..., k)
        lam KL as the provider estimates it, reward units.
    sizes : array_like, shape (n,)
    assessed : array_like, shape (..., n, k), optional
        Rewards by which the gain is counted, where other than `values`.

    Examples
    --------
    >>> candidate_gains([[1.0, 0.9]], [[0.8, 0.9]], [0.0, 0.0], [2.0]).round(12)
    array([0.2])
    """
    true, said, w = as_floats("values", values), as_floats("heard", heard), np.asarray(sizes)
    counted = true if assessed is None else as_floats("assessed", assessed)
    others = leave_one_out_scores(w, said) - as_floats("costs", costs)[..., None, :]
    total = np.vecmat(w, said) - as_floats("costs", costs)
    truth = np.broadcast_to(total.argmax(axis=-1)[..., None], others.shape[:-1])
    best = (w[:, None] * true + others).argmax(axis=-1)
    worth = w[:, None] * counted + others
    after, before = (
        np.take_along_axis(worth, k[..., None], axis=-1)[..., 0] for k in (best, truth)
    )
    return np.asarray(after - before)


@dataclass(frozen=True, eq=False)
class ResampledGains:
    """Gains when the provider sees a third of the prompts; arrays (repeats, n), reward units.

    Attributes
    ----------
    known : ndarray
        Gain of a group that knows the other two thirds and is judged by them: too large, since
        their noise is taken for truth. Never above `bound`.
    honest : ndarray
        Picked on the second third, judged on the third: no bias, and below 0 at times.
    epsilon : ndarray
        Half the spread of what the provider's estimates are off from the other two thirds.
    bound : ndarray
        2 w eps with that epsilon (delta is 0: the best candidate is found).
    """

    known: Floats
    honest: Floats
    epsilon: Floats
    bound: Floats


def resampled_gains(
    values: ArrayLike, kl: ArrayLike, sizes: ArrayLike, lam: float, repeats: int = 200,
    seed: int = 0,
) -> ResampledGains:  # fmt: skip
    """Let the provider choose on a random third of the prompts, the group deviate knowing others.

    Parameters
    ----------
    values : array_like, shape (n, k, P)
        Mean rewards by prompt, in the mechanism's units.
    kl : array_like, shape (k, P)
        Nats.
    sizes : array_like, shape (n,)
    lam : float
    repeats : int
        Random splits; they overlap, so their spread is no standard error.
    seed : int
    """
    rows, w, rng = _values(values), as_floats("sizes", sizes), np.random.default_rng(seed)
    count = rows.shape[-1]
    third = count // 3
    if third < 1:
        raise InvalidInputError(
            "values", f"{count} prompts", "three parts", "use 3 prompts or more"
        )
    order = np.argsort(rng.random((repeats, count)), axis=-1)
    part = np.minimum(order // third, 2)
    shares = [(part == k) / (part == k).sum(axis=-1, keepdims=True) for k in range(3)]
    rest = (part > 0) / (part > 0).sum(axis=-1, keepdims=True)
    heard, second, last, known = (
        np.einsum("nkp,rp->rnk", rows, share) for share in (*shares, rest)
    )
    costs = lam * np.einsum("kp,rp->rk", as_floats("kl", kl), shares[0])
    epsilon = np.ptp(heard - known, axis=-1) / 2
    return ResampledGains(
        candidate_gains(known, heard, costs, w),
        candidate_gains(second, heard, costs, w, assessed=last),
        epsilon,
        np.asarray(paper_bound(w, epsilon)),
    )


def _values(values: ArrayLike) -> Floats:
    rows = as_floats("values", values)
    if rows.ndim != 3 or rows.shape[-1] < 2:
        rule = "must be (n groups, k candidates, P prompts), P >= 2"
        raise InvalidInputError("values", f"shape {rows.shape}", rule, "evaluate more prompts")
    return rows
