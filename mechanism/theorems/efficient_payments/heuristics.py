r"""Payments without n further trainings: what Heuristics 1 and 2 keep and what they lose.

Training is modelled by its regularisation path: after a share s of the way the model maximises
:math:`s \sum_i w_i E_p[rm_i] - D_f(p\|q)`; s = 0 is the initial model, s = 1 the optimum. For KL
and a tabular policy this is natural policy gradient, s = 1 - (1 - pace)^steps.
Source: Section 4.4, arXiv:2405.16276v4; the conditions, IR and all witnesses are our own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.claim_result import scale
from mechanism.attack.games import Game
from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, as_floats
from mechanism.core.groups import Model
from mechanism.core.payments import Mechanism, affine_maximizer_payments, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max

SHARES = (0.0, 0.25, 0.5, 0.75)  # checkpoints that are saved on the way to the final model
ROUNDING = 1e-12  # certified relative error of sw_max, in units of max |S| + lam


def share_after(steps: ArrayLike, pace: float) -> Floats:
    """Share of the way after `steps` natural policy gradient steps at rate pace = eta lam.

    >>> share_after([0, 1, 2], 0.5)
    array([0.  , 0.5 , 0.75])
    """
    return 1.0 - (1.0 - pace) ** as_floats("steps", steps)


def training_path(game: Game, shares: ArrayLike) -> Model:
    """Models at the given shares (k,) of the way: (k, m) policies or (k,) candidate indices.

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> training_path(game, [0.0, 1.0]).round(4)
    array([[0.5   , 0.5   ],
           [0.7311, 0.2689]])
    """
    return _optima(game, as_floats("shares", shares)[:, None] * _total(game))


def _total(game: Game) -> Floats:
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    return np.asarray(game.sizes @ rows)


def _optima(game: Game, scores: Floats) -> Model:
    """Optimal models for rows of total rewards (k, m)."""
    if isinstance(game, CandidateGame):
        costs = 0.0 if game.divergences is None else game.divergences
        return np.asarray((scores - costs).argmax(axis=-1))
    return optimal_policies(scores, game.reference, game.divergence)[0]


def others_welfare(game: Game, models: Model) -> Floats:
    """ASW_-i of each model for each i, shape (k, n).

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> others_welfare(game, np.array([0, 1]))
    array([[0. , 1. ],
           [0.6, 0.6]])
    """
    own = game.sizes * game.valuations(models)
    cost = np.asarray(game.divergence_cost(models))
    return np.asarray(own.sum(axis=-1, keepdims=True) - own - cost[..., None])


def checkpoint_payments(
    game: Game, shares: Sequence[float] = SHARES, final: float = 1.0, keep_final: bool = True
) -> Floats:
    """Heuristic 1: the pivot term is the best of the checkpoints of everyone's own training.

    Parameters
    ----------
    game : RLHFGame or CandidateGame
        One game.
    shares : sequence of float
        Checkpoints saved on the way.
    final : float
        Share at which the released model was stopped (1: the optimum; above 1: overshoot).
    keep_final : bool
        Whether the released model counts as a checkpoint; then payments are >= 0.

    Examples
    --------
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> checkpoint_payments(game)
    array([0., 0.])
    """
    welfare = others_welfare(game, training_path(game, [*shares, final]))
    return np.asarray((welfare if keep_final else welfare[:-1]).max(axis=0) - welfare[-1])


def early_stopped_payments(game: Game, share: float = 0.5, final: float = 1.0) -> Floats:
    """Heuristic 2: leave-one-out trainings are stopped at a share that nobody's report can change.

    >>> early_stopped_payments(agreement_witness()).round(3)
    array([-0.145,  0.472])
    """
    return _leave_one_out(game, [share])[0] - others_welfare(game, training_path(game, [final]))[0]


def peeking_payments(game: Game, shares: Sequence[float] = (0.0, 0.5, 0.9, 1.0)) -> Floats:
    """Heuristic 2 with a stopping rule that looks at the released model: DSIC is lost.

    Leave-one-out training of i stops as soon as the payment would not be negative. So payments are
    >= 0 again, but the pivot term now depends on i's report.

    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> peeking_payments(game)
    array([0., 0.])
    """
    stopped = _leave_one_out(game, shares)
    released = others_welfare(game, training_path(game, [1.0]))[0]
    enough = stopped >= released - ROUNDING * float(scale(game))
    first = np.where(enough.any(axis=0), enough.argmax(axis=0), len(shares) - 1)
    return np.asarray(np.take_along_axis(stopped, first[None], axis=0)[0] - released)


def _leave_one_out(game: Game, shares: Sequence[float]) -> Floats:
    """ASW_-i of i's leave-one-out training at each share, shape (k, n)."""
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    scores = leave_one_out_scores(game.sizes, rows)  # (n, m)
    k, n = len(shares), game.groups
    every = (np.array(shares)[:, None, None] * scores).reshape(k * n, -1)
    welfare = others_welfare(game, _optima(game, every)).reshape(k, n, n)
    return np.asarray(welfare.diagonal(axis1=1, axis2=2))


def exaggeration_witness() -> tuple[RLHFGame, RLHFGame]:
    """Game and report of group 1 that gains under Heuristic 1, by hand.

    Truth: S = (2, 2, 3), the model moves to x3. The report (1, 1, 0) makes S constant: the model
    never leaves the initial one, every checkpoint is the same, and nobody pays.

    >>> game, report = exaggeration_witness()
    >>> report.scores(), checkpoint_payments(report)
    (array([2., 2., 2.]), array([0., 0.]))
    """
    rewards = np.array([[1.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    reference = np.array([0.2, 0.6, 0.2])
    game = RLHFGame(rewards, np.array([2.0, 2.0]), reference, KL(0.25), "maximum")
    return game, game.with_report(0, reward=[1.0, 1.0, 0.0])


def agreement_witness() -> RLHFGame:
    """Both groups want x1: a training without group 1 that stops half-way pays group 1.

    >>> agreement_witness().groups
    2
    """
    rewards = np.array([[1.0, 0.0], [1.0, 0.0]])
    return RLHFGame(rewards, np.array([1.0, 4.0]), np.array([0.5, 0.5]), KL(2.0), "maximum")


def heuristic_mechanism(payment_rule: Callable[[Game], Floats], final: float = 1.0) -> Mechanism:
    """Mechanism that releases the model at share `final` and charges by `payment_rule`.

    >>> game = agreement_witness()
    >>> heuristic_mechanism(early_stopped_payments).utilities(game, game).round(3)
    array([1.069, 3.225])
    """
    if final == 1.0:
        return Mechanism(sw_max, payment_rule)
    return Mechanism(lambda game: training_path(game, [final])[0], payment_rule)


def gain(mechanism: Mechanism, game: Game, report: Game, i: int = 0) -> float:
    """True utility of group i after the report less that after the truth.

    >>> game, report = exaggeration_witness()
    >>> round(gain(heuristic_mechanism(checkpoint_payments), game, report), 4)
    0.7317
    """
    return float(mechanism.utilities(game, report)[i] - mechanism.utilities(game, game)[i])


@dataclass(frozen=True)
class Comparison:
    """Exact and cheap payments of one batch of random games; all arrays (games, n).

    Attributes
    ----------
    exact, cheap : ndarray
        Affine maximizer payments and the heuristic's.
    utilities : ndarray
        Truthful utilities under the heuristic.
    shortfall : ndarray, shape (games,)
        By how much some checkpoint beats the released model in ASW (delta).
    """

    exact: Floats
    cheap: Floats
    utilities: Floats
    shortfall: Floats


def compare(
    games: Sequence[Game], payment_rule: Callable[[Game], Floats], shares: Sequence[float] = SHARES,
    final: float = 1.0,
) -> Comparison:  # fmt: skip
    """Run a heuristic on games of equal shape, beside the exact payments.

    >>> compare([agreement_witness()], early_stopped_payments).cheap.round(3)
    array([[-0.145,  0.472]])
    """
    rule = heuristic_mechanism(payment_rule, final)
    welfare = [np.asarray(game.welfare(training_path(game, [*shares, final]))) for game in games]
    return Comparison(
        np.array([affine_maximizer_payments(game) for game in games]),
        np.array([payment_rule(game) for game in games]),
        np.array([rule.utilities(game, game) for game in games]),
        np.array([max(0.0, float(w.max() - w[-1])) for w in welfare]),
    )
