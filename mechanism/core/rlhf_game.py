"""The game: groups with reward models and sizes, an initial model, a divergence.

`RLHFGame` has every distribution over m outcomes as a model; `CandidateGame` has k given ones.
Source: Section 2 and Definition 3.1, arXiv:2405.16276v4.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanism.core.errors import (
    Floats,
    InvalidInputError,
    ShapeError,
    as_floats,
    as_numbers,
    group_index,
    require,
)
from mechanism.core.generator import Divergence
from mechanism.core.normalization import Normalization, check_rewards
from mechanism.core.products import means, weighted_rows
from mechanism.core.validation import (
    LARGEST,
    broadcast_batch,
    check_distribution,
    check_last,
    check_matrix,
    check_reference,
    check_scores,
    check_sizes,
    freeze,
    replaced,
    resized,
)

Model: TypeAlias = Floats | NDArray[np.intp]  # a policy (..., m), or the index of a candidate


class _Groups(ABC):
    """What both games share: true values of n groups and what follows from a chosen model."""

    sizes: Floats

    @abstractmethod
    def valuations_of(self, model: Model) -> Floats:
        """`valuations` of a model that is known to be one."""

    @abstractmethod
    def cost_of(self, model: Model) -> Floats:
        """`divergence_cost` of a model that is known to be one."""

    @property
    def groups(self) -> int:
        """Number n of groups."""
        return self.sizes.shape[-1]

    @abstractmethod
    def checked(self, model: ArrayLike) -> Model:
        """The model as an array, or `InvalidInputError` where it is none."""

    def valuations(self, model: ArrayLike) -> Floats:
        """v_i of the model, per agent, shape (..., n) (Definition 3.1)."""
        return self.valuations_of(self.checked(model))

    def divergence_cost(self, model: ArrayLike) -> Floats:
        """D of the model from the initial model, reward units, shape (...)."""
        return self.cost_of(self.checked(model))

    def welfare(self, model: ArrayLike, without: int | None = None) -> Floats:
        """ASW(p) = sum_i w_i v_i(p) - D(p), or ASW_-i(p), which leaves out group `without`.

        Parameters
        ----------
        model : array_like
            A policy (..., m), or an index of a candidate (...).
        without : int, optional
            The group whose term is left out; the divergence stays.

        Raises
        ------
        InvalidInputError
            `model` is no distribution over the outcomes, or no candidate.
        """
        return self.welfare_of(self.checked(model), without)

    def welfare_of(self, model: Model, without: int | None = None) -> Floats:
        """`welfare` of a model that is known to be one."""
        weights = self.sizes
        if without is not None:
            weights = weights * (np.arange(self.groups) != group_index(without, self.groups))
        total = (weights * self.valuations_of(model)).sum(axis=-1)
        return np.asarray(total - self.cost_of(model))[()]

    def utilities(self, model: ArrayLike, payments: ArrayLike) -> Floats:
        """u_i = w_i v_i(p) - pay_i with this game's (true) rewards and sizes, shape (..., n).

        Payments have shape (..., n), or () where all groups pay the same.
        """
        charged = as_floats("payments", payments)
        if charged.ndim:
            check_last("payments", charged, self.groups, "groups")
        fits = np.abs(charged) <= LARGEST
        rule = f"must be finite, at most {LARGEST:g}"
        require(fits, "payments", charged, rule, "mend the payment rule")
        gained = self.sizes * self.valuations(model)
        broadcast_batch(gained.shape[:-1], charged.shape[:-1])
        return gained - charged


@final
@dataclass(frozen=True, eq=False)
class RLHFGame(_Groups):
    r"""Fine-tuning game over all distributions on m outcomes; leading axes are a batch.

    The provider maximises :math:`\sum_i w_i\,E_p[rm_i] - D_f(p\|q)` over distributions p.

    Parameters
    ----------
    rewards : array_like, shape (..., n, m)
        Reward model of each group, reward units.
    sizes : array_like, shape (..., n)
        Group sizes w_i > 0 (integers in the paper, reals allowed).
    reference : array_like, shape (..., m)
        Initial model q, positive, sums to 1.
    divergence : Divergence
        e.g. ``KL(0.2)``.
    normalization : {"summation", "maximum"}, optional
        Domain that the rewards are checked against; None admits any finite reals.

    Raises
    ------
    InvalidInputError
        Wrong shapes or values; the message names argument, index, value, rule and fix.

    Examples
    --------
    >>> from mechanism import KL, sw_max
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> sw_max(game)
    array([0.5, 0.5])
    """

    rewards: Floats
    sizes: Floats
    reference: Floats
    divergence: Divergence
    normalization: Normalization | None = None

    def __post_init__(self) -> None:
        freeze(self, "rewards", "sizes", "reference")
        if not isinstance(self.divergence, Divergence):
            fix = "pass an instance, e.g. KL(0.2)"
            raise InvalidInputError(
                "divergence", repr(self.divergence), "must be a Divergence", fix
            )
        check_matrix("rewards", self.rewards, "(..., n groups, m outcomes)")
        check_sizes(self.sizes, self.rewards)
        reference = check_reference(self.reference, self.rewards)
        object.__setattr__(self, "reference", reference)
        broadcast_batch(self.rewards.shape[:-2], self.sizes.shape[:-1], self.reference.shape[:-1])
        object.__setattr__(self, "rewards", check_rewards(self.rewards, self.normalization))
        check_scores("rewards", self.rewards, self.sizes, self.divergence.lam)

    @property
    def outcomes(self) -> int:
        """Number m of outcomes."""
        return self.rewards.shape[-1]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes after broadcasting."""
        parts = self.rewards.shape[:-2], self.sizes.shape[:-1], self.reference.shape[:-1]
        return np.broadcast_shapes(*parts)

    def scores(self) -> Floats:
        """S = sum_i w_i rm_i, shape (..., m), batched as rewards and sizes are."""
        return weighted_rows(self.sizes, self.rewards)

    def checked(self, model: ArrayLike) -> Floats:
        """The policy (..., m) as distributions, free of float32's rounding, or raise."""
        policy = as_floats("model", model)
        if policy.ndim == 0 or policy.shape[-1] != self.outcomes:
            rule = f"must be a policy over {self.outcomes} outcomes"
            raise ShapeError("model", f"array of shape {policy.shape}", rule, "pass (..., m)")
        broadcast_batch(policy.shape[:-1], self.batch_shape)
        return check_distribution("model", policy, self.outcomes)

    def valuations_of(self, model: Model) -> Floats:
        """E_p rm_i of policies (..., m)."""
        return means(self.rewards, np.asarray(model, dtype=np.float64))

    def cost_of(self, model: Model) -> Floats:
        """D_f(p || q) of policies (..., m)."""
        return self.divergence.value_of(np.asarray(model, dtype=np.float64), self.reference)

    def with_report(
        self, i: int, reward: ArrayLike | None = None, size: ArrayLike | None = None
    ) -> Self:
        """The game that is reported when group i says `reward` (..., m) and `size` (...).

        Leading axes of the reports broadcast against the game's batch, so that one game and K
        reports give a batch of K games.

        >>> from mechanism import KL
        >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
        >>> game.with_report(0, size=[1.0, 2.0, 3.0]).batch_shape
        (3,)
        """
        return replace(
            self,
            rewards=replaced(self.rewards, i, reward, "reward"),
            sizes=resized(self.sizes, i, size),
        )


@final
@dataclass(frozen=True, eq=False)
class CandidateGame(_Groups):
    """The same mechanism over k given models (Rewarded Soups, checkpoints; Tables 2-6).

    Parameters
    ----------
    values : array_like, shape (..., n, k)
        Mean reward of each candidate under each group's reward model: v_i of candidate k.
    sizes : array_like, shape (..., n)
        Group sizes w_i > 0.
    divergences : array_like, shape (..., k), optional
        D of each candidate from the initial model in reward units (lam included); None: all 0.

    Examples
    --------
    >>> from mechanism import affine_maximizer_payments, sw_max
    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> int(sw_max(game)), affine_maximizer_payments(game)
    (1, array([0.4, 0.4]))
    """

    values: Floats
    sizes: Floats
    divergences: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "values", "sizes")
        check_matrix("values", self.values, "(..., n groups, k candidates)")
        fix = "drop this candidate"
        require(np.isfinite(self.values), "values", self.values, "must be finite", fix)
        check_sizes(self.sizes, self.values)
        check_scores("values", self.values, self.sizes)
        parts = [self.values.shape[:-2], self.sizes.shape[:-1]]
        if self.divergences is not None:
            freeze(self, "divergences")
            costs = self.divergences
            check_last("divergences", costs, self.values.shape[-1], "candidates")
            rule = f"must be finite, at most {LARGEST:g}"
            require(np.abs(costs) <= LARGEST, "divergences", costs, rule, fix)
            parts.append(costs.shape[:-1])
        broadcast_batch(*parts)

    @property
    def candidates(self) -> int:
        """Number k of candidates."""
        return self.values.shape[-1]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes after broadcasting."""
        costs = () if self.divergences is None else self.divergences.shape[:-1]
        return np.broadcast_shapes(self.values.shape[:-2], self.sizes.shape[:-1], costs)

    def scores(self) -> Floats:
        """ASW of every candidate: sum_i w_i v_i - D, shape (..., k)."""
        total = weighted_rows(self.sizes, self.values)
        return total if self.divergences is None else total - self.divergences

    def valuations_of(self, model: Model) -> Floats:
        """v_i of the candidates with index `model` (...), shape (..., n)."""
        index = model[..., None, None].astype(np.intp)
        values = np.broadcast_to(self.values, (*index.shape[:-2], *self.values.shape[-2:]))
        return np.take_along_axis(values, index, axis=-1)[..., 0]

    def cost_of(self, model: Model) -> Floats:
        """D of the candidates with index `model`, shape (...)."""
        index = model.astype(np.intp)
        if self.divergences is None:
            return np.zeros(index.shape)[()]
        costs = np.broadcast_to(self.divergences, (*index.shape, self.candidates))
        return np.take_along_axis(costs, index[..., None], axis=-1)[..., 0]

    def with_report(
        self, i: int, reward: ArrayLike | None = None, size: ArrayLike | None = None
    ) -> Self:
        """The game that is reported when group i says values `reward` (..., k) and `size` (...).

        >>> CandidateGame([[1.0, 0.0], [0.0, 1.0]], [1, 1]).with_report(0, size=2).sizes
        array([2., 1.])
        """
        return replace(
            self,
            values=replaced(self.values, i, reward, "reward"),
            sizes=resized(self.sizes, i, size),
        )

    def checked(self, model: ArrayLike) -> NDArray[np.intp]:
        """Indices of candidates, broadcast to the game's batch, or raise."""
        index = as_numbers("model", model)
        if index.dtype.kind not in "iu":
            fix = "pass what sw_max(game) returns"
            raise InvalidInputError("model", repr(model)[:60], "must be candidate indices", fix)
        k = self.candidates
        inside = (index >= 0) & (index < k)
        require(inside, "model", np.asarray(index, float), f"must be in 0..{k - 1}", "count from 0")
        batch = broadcast_batch(index.shape, self.batch_shape)
        return np.broadcast_to(index.astype(np.intp), batch)


def check_game(game: object) -> None:
    """Raise unless `game` is one of the two games."""
    if not isinstance(game, _Groups):
        fix = "pass an RLHFGame or a CandidateGame"
        raise InvalidInputError("game", type(game).__name__, "must be a game", fix)
