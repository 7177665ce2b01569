"""What every game has: groups with sizes, and what follows for them from a chosen model."""

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanism.core.errors import Floats, InvalidInputError, as_floats, group_index, require
from mechanism.core.validation import LARGEST, broadcast_batch, check_last

Model: TypeAlias = Floats | NDArray[np.intp]  # a policy (..., m), or the index of a candidate


class Groups(ABC):
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


def check_game(game: object) -> None:
    """Raise unless `game` is one of the two games."""
    if not isinstance(game, Groups):
        fix = "pass an RLHFGame or a CandidateGame"
        raise InvalidInputError("game", type(game).__name__, "must be a game", fix)
