r"""Affine maximizer payments: each group pays what its presence costs the others.

:math:`\mathrm{pay}_i = ASW_{-i}(\psi(rm_{-i}, w_{-i})) - ASW_{-i}(\psi(rm, w))`.
Source: Equation (1) and Proposition 4.4, arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np

from mechanism.core.errors import Floats
from mechanism.core.groups import check_game
from mechanism.core.products import leave_one_out
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.core.tensors import TensorCandidates, TensorGame


@overload
def affine_maximizer_payments(game: RLHFGame | CandidateGame) -> Floats: ...
@overload
def affine_maximizer_payments(game: TensorGame | TensorCandidates) -> Any: ...
def affine_maximizer_payments(game: Any) -> Any:
    """Payments (..., n) in reward units, from n + 1 optima that are computed together.

    The first (pivot) term is what the others could have had without i, the second what they get.
    Payments are >= 0 up to the rounding of the optimum, about 1e-15 (max |S| + lam).

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> affine_maximizer_payments(game).round(4)
    array([0.1201, 0.1201])
    """
    if isinstance(game, TensorGame | TensorCandidates):
        return game.payments()
    check_game(game)
    if isinstance(game, CandidateGame):
        return _candidate_payments(game)
    without = leave_one_out_scores(game.sizes, game.rewards)
    scores = np.empty((*without.shape[:-2], game.groups + 1, game.outcomes))
    scores[..., 0, :] = game.scores()  # to the last bit what sw_max sees: ties must fall alike
    scores[..., 1:, :] = without
    policies, values = optimal_policies(scores, game.reference[..., None, :], game.divergence)
    gained = game.sizes * game.valuations_of(policies[..., 0, :])
    return np.asarray(values[..., 1:] - (values[..., :1] - gained))


def leave_one_out_scores(sizes: Floats, rewards: Floats) -> Floats:
    """S_-i = sum over j != i of w_j rm_j, shape (..., n, m): summed afresh, nothing cancels.

    >>> leave_one_out_scores(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([[0., 2.],
           [1., 0.]])
    """
    return leave_one_out(sizes, rewards)


def _candidate_payments(game: CandidateGame) -> Floats:
    scores = leave_one_out_scores(game.sizes, game.values)
    if game.divergences is not None:
        scores = scores - game.divergences[..., None, :]
    chosen = np.asarray(sw_max(game))[..., None, None]
    index = np.broadcast_to(chosen, (*scores.shape[:-1], 1)).astype(np.intp)
    return np.asarray(scores.max(axis=-1) - np.take_along_axis(scores, index, axis=-1)[..., 0])


@dataclass(frozen=True)
class Mechanism:
    """A training rule and a payment rule, so that any pair can be put through the same checks.

    Attributes
    ----------
    training_rule : callable
        game -> policy (m,) or candidate index.
    payment_rule : callable
        game -> payments (n,).

    Examples
    --------
    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> Mechanism.affine_maximizer().utilities(game, game).round(4)
    array([0.2, 0.2])
    """

    training_rule: Callable[[Any], Any]
    payment_rule: Callable[[Any], Any]

    @classmethod
    def affine_maximizer(cls) -> Self:
        """The paper's mechanism: SW-Max with affine maximizer payments."""
        return cls(sw_max, affine_maximizer_payments)

    def utilities(
        self, true_game: RLHFGame | CandidateGame, reported_game: RLHFGame | CandidateGame
    ) -> Floats:
        """True utilities (n,) when the mechanism runs on what is reported."""
        model, payments = self.training_rule(reported_game), self.payment_rule(reported_game)
        return true_game.utilities(model, payments)
