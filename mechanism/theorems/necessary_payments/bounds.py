r"""Theorem 4.11 and Corollary 4.13: what payments must be, once they are DSIC, IR and >= 0.

By payment equivalence pay_i = pay_i^AFF + g, where g depends on the others' reports and q alone.
Payments >= 0 force g >= 0, since group i's constant report costs nothing. IR forces g <= *room*,

.. math:: \mathrm{room}_i = \min_{rm_i \in R,\ w_i \ge 1}
          \max_p \{w_i E_p[rm_i] + ASW_{-i}(p)\} - \max_p ASW_{-i}(p),

the least truthful utility under affine maximizer payments: every g in [0, room] is allowed.
Source: Theorem 4.11 and Corollary 4.13, arXiv:2405.16276v4; the room is our own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.games import Game
from mechanism.attack.reports import constant_report, own_row, project_simplex
from mechanism.core.divergences import Divergence, TotalVariation
from mechanism.core.errors import Floats, as_floats, group_index
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.approximate_dsic.bounds import two_outcome_loss


def witness_inputs(epsilon: float, divergence: Divergence, groups: int = 2) -> RLHFGame:
    """Witness of Theorem 4.11: q = (eps, 1 - eps), group 1 wants x1, all others x2, sizes 1.

    >>> from mechanism import KL
    >>> game = witness_inputs(0.1, KL(1.0))
    >>> game.utilities(sw_max(game), affine_payments(game))[0] <= 0.1
    np.True_
    """
    rewards = np.zeros((groups, 2))
    rewards[0, 0], rewards[1:, 1] = 1.0, 1.0
    reference = np.array([epsilon, 1.0 - epsilon])
    return RLHFGame(rewards, np.ones(groups), reference, divergence, "maximum")


def affine_payments(game: Game) -> Floats:
    """Payments of the paper's mechanism.

    >>> from mechanism import KL
    >>> affine_payments(witness_inputs(0.5, KL(1.0))).round(4)
    array([0.1201, 0.1201])
    """
    return np.asarray(Mechanism.affine_maximizer().payment_rule(game))


def truthful_utility(game: RLHFGame, i: int) -> Floats:
    """C(S) - C(S_-i), the truthful utility of group i under affine maximizer payments, shape (...).

    >>> from mechanism import KL
    >>> truthful_utility(witness_inputs(0.1, KL(1.0)), 0).round(4)
    np.float64(0.0653)
    """
    i = group_index(i, game.groups)
    others = leave_one_out_scores(game.sizes, game.rewards)[..., i, :]
    both = np.stack([game.scores(), others], axis=-2)
    q = game.reference[..., None, :]
    values = optimal_policies(both, q, game.divergence)[1]
    return np.asarray(values[..., 0] - values[..., 1])[()]


def room(game: RLHFGame, i: int, smallest: float = 1.0, steps: int = 300) -> float:
    """Greatest g that IR leaves over the affine payments, given the others' reports and q.

    Maximum normalisation: exact, since a group that wants one outcome alone has least utility among
    those who want it. Summation: a convex problem, solved by `steps` projected gradient steps from
    the best of spikes and the constant report; the value found is an upper bound.

    Parameters
    ----------
    game : RLHFGame
        Group i's own report is ignored.
    i : int
    smallest : float
        Least size that group i may report: 1 in the paper.

    Examples
    --------
    >>> from mechanism import KL
    >>> round(room(witness_inputs(0.1, KL(1.0)), 0), 4)
    0.0653
    """
    spikes = np.eye(game.outcomes)
    if game.normalization == "maximum":
        batch = game.with_report(i, reward=spikes, size=np.full(game.outcomes, smallest))
        return float(truthful_utility(batch, i).min())
    starts = np.concatenate([spikes, np.full((1, game.outcomes), 1.0 / game.outcomes)])

    def value(rows: Floats) -> tuple[Floats, Floats]:
        batch = game.with_report(i, reward=rows, size=np.full(len(rows), smallest))
        return truthful_utility(batch, i), np.asarray(sw_max(batch), dtype=np.float64)

    rows = starts
    level, slope = value(rows)
    pace = np.full(len(rows), 0.3)
    for _ in range(steps):
        tried = project_simplex(rows - pace[:, None] * slope)
        new, new_slope = value(tried)
        down = new < level
        rows, level = np.where(down[:, None], tried, rows), np.where(down, new, level)
        slope, pace = np.where(down[:, None], new_slope, slope), pace * np.where(down, 1.3, 0.4)
    return float(level.min())


def rooms(games: RLHFGame, i: int = 0, smallest: ArrayLike = 1.0) -> Floats:
    """`room` for a batch (B,) of games in the maximum domain, or for K smallest sizes of one game.

    >>> from mechanism import KL
    >>> rooms(witness_inputs(0.1, KL(1.0)), smallest=[1.0, 0.1]).round(4)
    array([0.0653, 0.0041])
    """
    sizes = as_floats("smallest", smallest)
    if games.batch_shape == ():
        return np.array([room(games, i, float(size)) for size in np.atleast_1d(sizes)])
    spikes = np.eye(games.outcomes)[:, None, :]
    batch = games.with_report(i, reward=spikes, size=np.full(games.batch_shape, float(sizes)))
    return np.asarray(truthful_utility(batch, i).min(axis=0))


@dataclass(frozen=True)
class PathBounds:
    """Bounds on pay_i(truth) - pay_i(constant report) that DSIC alone gives along a path.

    Attributes
    ----------
    lower, upper : float
        Sums of w <p_{j+1} - p_j, rm_j> and of w <p_{j+1} - p_j, rm_{j+1}>; they differ by
        w <p_n - p_0, rm - rm*> / n.
    exact : float
        The difference of the affine maximizer payments.
    """

    lower: float
    upper: float
    exact: float


def path_bounds(game: RLHFGame, i: int, steps: int) -> PathBounds:
    """Mix group i's constant report into its reward in `steps` steps and add up DSIC constraints.

    >>> from mechanism import KL
    >>> bounds = path_bounds(witness_inputs(0.1, KL(1.0)), 0, 10)
    >>> bounds.lower < bounds.exact < bounds.upper
    True
    """
    own = own_row(game, i)
    shares = np.linspace(0.0, 1.0, steps + 1)[:, None]
    rows = (1 - shares) * constant_report(game, i) + shares * own
    batch = game.with_report(i, reward=rows)
    policies, pay = np.asarray(sw_max(batch), dtype=np.float64), affine_payments(batch)[:, i]
    moves, size = np.diff(policies, axis=0), float(game.sizes[i])
    lower = size * float((moves * rows[:-1]).sum())
    return PathBounds(lower, size * float((moves * rows[1:]).sum()), float(pay[-1] - pay[0]))


def one_group_room(divergence: Divergence, size: float = 1.0) -> float:
    """Room of a group that is alone (n = 1) in two outcomes, in the limit q(x1) -> 0.

    Zero where moving the first mass to x1 costs more than it is worth; that holds for every lam if
    f' is unbounded (KL, chi-squared). Else Theorem 4.11's upper part fails for n = 1 and eps below
    this room, whatever q: KL 0, squared Hellinger (1 - lam)^2 for lam < 1 = size.

    >>> from mechanism import KL, SquaredHellinger
    >>> one_group_room(SquaredHellinger(0.25)), one_group_room(KL(0.25))
    (0.5625, 0.0)
    """
    lam = divergence.lam
    first = divergence.slope_limit - float(divergence.df(1.0)) / lam
    if isinstance(divergence, TotalVariation):
        first = 2.0  # the kink at 1: mass leaves x2 at slope -1
    if not np.isfinite(first) or size <= first * lam:
        return 0.0
    return float(two_outcome_loss(divergence, size - first * lam))
