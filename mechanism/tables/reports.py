r"""What a group's reports bring it: a whole grid of reports, and a batch of games, at once.

With the others' reports fixed, a report :math:`R` (size times reward, over outcomes) matters
only through the model it leads to, the best for :math:`R + rest`. Reports are arrays here, not
games, so that alpha = 0, the limit in which the group is left out and pays nothing, is no special
case and a thousand bootstrap replicates cost one pass.
Source: Section 5 (the two strategies) and Equation (1), arXiv:2405.16276v4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, ShapeError, positive_number
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.sw_max import optimal_policies
from mechanism.tables.candidates import SIZE_SCALE, Candidates
from mechanism.tables.support import Support

Source: TypeAlias = Candidates | Support


@dataclass(frozen=True, eq=False)
class Stakes:
    """A game as one group sees it: what its report changes and what it does not.

    Outcomes are candidates or samples on the last axis; leading axes are a batch.

    Attributes
    ----------
    own : ndarray, shape (..., m)
        w_i rm_i, with the true size.
    partner : ndarray, shape (..., m)
        w_i rm_j of the next group j, with which beta mixes.
    rest : ndarray, shape (..., m)
        sum over j != i of w_j rm_j, less the divergence of a candidate.
    """

    own: Floats
    partner: Floats
    rest: Floats

    def alpha(self, grid: Floats) -> Floats:
        """Report w_i -> alpha w_i: alpha w_i rm_i, shape (..., G, m); 0 leaves the group out."""
        return np.asarray(grid[:, None] * self.own[..., None, :])

    def beta(self, grid: Floats) -> Floats:
        """Report rm_i -> beta rm_i + (1 - beta) rm_j, times w_i, shape (..., G, m).

        Beyond beta = 1 the reported reward may leave [0, 1], which the mechanism allows.
        """
        share = grid[:, None]
        return np.asarray(share * self.own[..., None, :] + (1 - share) * self.partner[..., None, :])


def stakes(values: Floats, sizes: Floats, i: int) -> Stakes:
    """Split values (..., n, m) and sizes (n,) into what group i reports and the rest.

    >>> stakes(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([3.0, 7.0]), 0).rest
    array([0., 7.])
    """
    groups = values.shape[-2]
    if sizes.shape != (groups,):
        rule = f"must hold one size for each of {groups} rewards"
        raise ShapeError("sizes", f"array of shape {sizes.shape}", rule, "match the rewards")
    partner = sizes[i] * values[..., (i + 1) % groups, :]
    rest = leave_one_out_scores(sizes, values)[..., i, :]
    return Stakes(sizes[i] * values[..., i, :], partner, rest)


@dataclass(frozen=True, eq=False)
class Played:
    """What a group gets along a grid of reports, shape (..., G); `choice` says which model.

    `valuation` is w_i v_i of the true reward and size; `choice` holds candidate indices, or the
    effective sample size of a reweighted sample.
    """

    valuation: Floats
    payment: Floats
    choice: Floats

    @property
    def utility(self) -> Floats:
        """Valuation less payment."""
        return self.valuation - self.payment


def play_candidates(own: Stakes, reported: Floats) -> Played:
    """Run SW-Max and affine maximizer payments on candidates, for reports (..., G, k).

    The chosen candidate is the first of the best; the payment is max_j ASW_-i(j) - ASW_-i(chosen).
    """
    chosen = (reported + own.rest[..., None, :]).argmax(axis=-1)
    valuation = np.take_along_axis(own.own, chosen, axis=-1)
    payment = own.rest.max(axis=-1, keepdims=True) - np.take_along_axis(own.rest, chosen, axis=-1)
    return Played(valuation, payment, chosen)


def play_samples(own: Stakes, reported: Floats, lam: float) -> Played:
    """Run SW-Max and affine maximizer payments on samples, for reports (..., G, m).

    The reference is uniform on the samples, the divergence KL(lam). Payments are those of
    `affine_maximizer_payments`; the pivot term is computed once for the grid.
    """
    m = own.own.shape[-1]
    reference, divergence = np.full(m, 1 / m), KL(lam)
    policy, value = optimal_policies(reported + own.rest[..., None, :], reference, divergence)
    pivot = optimal_policies(own.rest, reference, divergence)[1]
    payment = pivot[..., None] - (value - np.vecdot(reported, policy))
    valuation = np.vecdot(own.own[..., None, :], policy)
    return Played(valuation, payment, 1 / np.vecdot(policy, policy))


def point_stakes(source: Source, sizes: Sequence[float], lam: float, group: int) -> Stakes:
    """What `group` can and cannot change: candidates (k,), or samples (P, S)."""
    scaled = SIZE_SCALE * np.asarray(sizes, dtype=float)
    own = stakes(source.values, scaled, group)
    if isinstance(source, Support):
        return own
    return replace(own, rest=own.rest - lam * source.kl.mean(axis=-1))


def play(source: Source, own: Stakes, reported: Floats, lam: float) -> Played:
    """Play reports on candidates (G,), or on samples (P, G), one game a prompt."""
    if isinstance(source, Support):
        return play_samples(own, reported, positive_number("lam", lam, "e.g. 0.1"))
    return play_candidates(own, reported)


def replicated(
    source: Candidates, sizes: Sequence[float], lam: float, group: int, weights: Floats
) -> Stakes:
    """Stakes (R, k): means, min-max normalisation and KL anew, from shares of prompts (R, P)."""
    means = np.moveaxis(source.rewards @ weights.T, -1, 0)  # (R, n, k)
    # all candidates alike on the drawn prompts: the group is indifferent in this replicate
    values = source.normalized(means)
    own = stakes(values, SIZE_SCALE * np.asarray(sizes, dtype=float), group)
    return replace(own, rest=own.rest - lam * (weights @ source.kl.T))
