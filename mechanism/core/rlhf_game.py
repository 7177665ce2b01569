"""The game: groups with reward models and sizes, an initial model, a divergence.

`RLHFGame` has every distribution over m outcomes as a model; `CandidateGame` has k given ones.
Source: Section 2 and Definition 3.1, arXiv:2405.16276v4.
"""

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanism.core.errors import (
    Floats,
    InvalidInputError,
    ShapeError,
    as_floats,
    as_numbers,
    require,
)
from mechanism.core.generator import Divergence
from mechanism.core.groups import Groups, Model
from mechanism.core.normalization import Normalization, check_rewards, sound_rewards
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
    sound_sizes,
)


@final
@dataclass(frozen=True, eq=False)
class RLHFGame(Groups):
    r"""Fine-tuning game over all distributions on m outcomes; leading axes are a batch.

    The provider maximises :math:`\sum_i w_i\,E_p[rm_i] - D_f(p\|q)` over distributions p.

    Parameters
    ----------
    rewards : array_like, shape (..., n, m)
        Reward model of each group, reward units.
    sizes : array_like, shape (..., n)
        Group sizes w_i > 0 (integers in the paper, reals allowed).
    reference : array_like, shape (..., m)
        Initial model q, at least 2.225e-308 (the least float64 of full precision), sums to 1.
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
        row = None if reward is None else as_floats("reward", reward)
        said = None if size is None else as_floats("size", size)
        rewards, sizes = replaced(self.rewards, i, row, "reward"), resized(self.sizes, i, said)
        sound = row is None or sound_rewards(row, self.normalization)
        if not sound or not (said is None or sound_sizes(said)):
            return replace(self, rewards=rewards, sizes=sizes)  # says what is wrong, or mends it
        broadcast_batch(rewards.shape[:-2], sizes.shape[:-1], self.reference.shape[:-1])
        check_scores("rewards", rewards, sizes, self.divergence.lam)
        rewards.flags.writeable = sizes.flags.writeable = False
        game = object.__new__(type(self))  # the rest has been checked
        game.__dict__.update(self.__dict__, rewards=rewards, sizes=sizes)
        return game


@final
@dataclass(frozen=True, eq=False)
class CandidateGame(Groups):
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
