r"""Reports of several identities at once: false names of one group, agreements of two.

Write :math:`C(S) = \max_p \langle S, p\rangle - D(p)` for total reports S, and R for the report of
group i (size times reward). Split into names of shares :math:`t_1 + \dots + t_m = 1`, it pays

.. math:: \sum_a h(t_a), \qquad h(t) = C(S - tR) - C(S) + t\,\langle R, p(S)\rangle .

h is convex with h(0) = 0, so the total only falls as names are split. Two groups that both ask for
one outcome with overwhelming size are each not pivotal, get it, and pay nothing.
Source: Equation (1), arXiv:2405.16276v4; false names after Yokoo, Sakurai and Matsubara (2004);
the formulas are our own.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError, as_floats, group_index, require
from mechanism.core.payments import affine_maximizer_payments, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max

Game = TypeVar("Game", RLHFGame, CandidateGame)


def split_group(game: Game, i: int, shares: ArrayLike) -> Game:
    """The game in which group i comes as several names of its reward, sizes w_i times `shares`.

    The names take the place of group i, in order.

    >>> split_group(CandidateGame([[1.0, 0.0], [0.0, 1.0]], [3, 7]), 0, [0.5, 0.5]).sizes
    array([1.5, 1.5, 7. ])
    """
    i, parts = group_index(i, game.groups), as_floats("shares", shares)
    require(parts > 0, "shares", parts, "must be > 0", "leave out a name without members")
    if abs(parts.sum() - 1) > 1e-9:
        raise InvalidInputError("sum of shares", parts.sum(), "must be 1", "divide by the sum")
    own = game.sizes[..., i, None] * parts
    sizes = np.concatenate([game.sizes[..., :i], own, game.sizes[..., i + 1 :]], axis=-1)
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    copies = np.repeat(rows[..., i : i + 1, :], len(parts), axis=-2)
    rows = np.concatenate([rows[..., :i, :], copies, rows[..., i + 1 :, :]], axis=-2)
    if isinstance(game, CandidateGame):
        return CandidateGame(rows, sizes, game.divergences)
    return RLHFGame(rows, sizes, game.reference, game.divergence, game.normalization)


def false_name_payments(game: RLHFGame | CandidateGame, i: int, names: ArrayLike) -> Floats:
    """Total payment of group i under m equal names, for every m of `names`: shape (..., M).

    m h(1/m), from M + 1 optima whatever m is; `names` may be any real numbers >= 1.

    >>> game = CandidateGame([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6]], [5, 4])
    >>> false_name_payments(game, 1, [1, 2, 4]).round(12)
    array([2. , 1.6, 0.8])
    """
    i, count = group_index(i, game.groups), np.atleast_1d(as_floats("names", names))
    require(np.isfinite(count) & (count >= 1), "names", count, "must be >= 1", "1 is the truth")
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    own = game.sizes[..., i, None] * rows[..., i, :]
    rest = leave_one_out_scores(game.sizes, rows)[..., i, :]
    others = rest[..., None, :] + (1 - 1 / count)[:, None] * own[..., None, :]  # (..., M, m)
    if isinstance(game, CandidateGame):
        if game.divergences is not None:
            others = others - game.divergences[..., None, :]
        chosen = np.broadcast_to(np.asarray(sw_max(game))[..., None, None], (*others.shape[:-1], 1))
        kept = np.take_along_axis(others, chosen.astype(np.intp), axis=-1)[..., 0]
        return np.asarray(count * (others.max(axis=-1) - kept))
    policy = np.asarray(sw_max(game), dtype=float)
    reference = game.reference[..., None, :]
    best = optimal_policies(others, reference, game.divergence)[1]
    cost = np.asarray(game.divergence_cost(policy))[..., None]
    kept = np.vecdot(others, policy[..., None, :]) - cost
    return np.asarray(count * (best - kept))


def names_bound(game: RLHFGame, i: int, names: ArrayLike) -> Floats:
    r"""Most that m equal names can pay together under KL: :math:`(w_i\,span_i)^2 / (8 \lambda m)`.

    C has second derivative Var_p(R) / lam along R, and a variance is at most a quarter of the
    squared span. Shape (..., M).

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [4, 3], [0.5, 0.5], KL(1.0))
    >>> names_bound(game, 0, [1, 10])
    array([2. , 0.2])
    """
    i, count = group_index(i, game.groups), np.atleast_1d(as_floats("names", names))
    span = game.sizes[..., i] * np.ptp(game.rewards[..., i, :], axis=-1)
    return np.asarray(span[..., None] ** 2 / (8 * game.divergence.lam * count))


def with_sizes_scaled(game: Game, groups: tuple[int, ...], factor: float) -> Game:
    """The game reported when the named groups all multiply their sizes by `factor`.

    >>> with_sizes_scaled(CandidateGame([[1.0, 0.0], [0.0, 1.0]], [3, 7]), (0, 1), 2).sizes
    array([ 6., 14.])
    """
    for i in groups:
        game = game.with_report(i, size=factor * game.sizes[..., i])
    return game


def joint_gains(game: Game, groups: tuple[int, ...], reported: Game) -> Floats:
    """What each of the named groups gains in true utility by a joint report, shape (..., g)."""
    before = game.utilities(sw_max(game), affine_maximizer_payments(game))
    after = game.utilities(sw_max(reported), affine_maximizer_payments(reported))
    return np.asarray((after - before)[..., list(groups)])


def overwhelming_report(game: Game, groups: tuple[int, ...], outcome: int, size: float) -> Game:
    """The named groups all report reward 1 at one outcome, 0 elsewhere, and the same size.

    >>> game = CandidateGame([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6], [0.2, 0.9, 0.0]], [5, 4, 1])
    >>> said = overwhelming_report(game, (0, 2), 0, 100.0)
    >>> int(sw_max(said)), affine_maximizer_payments(said)
    (0, array([0., 0., 0.]))
    """
    width = game.candidates if isinstance(game, CandidateGame) else game.outcomes
    wish = (np.arange(width) == outcome).astype(float)
    for i in groups:
        game = game.with_report(i, reward=wish, size=size)
    return game


def pair_gains(game: CandidateGame, i: int, j: int) -> Floats:
    """Joint gain of groups i and j from bringing about each candidate for nothing, shape (k,).

    Exact supremum over all joint reports: no report lets anyone pay less than 0, and
    `overwhelming_report` reaches 0 for every candidate.

    >>> game = CandidateGame([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6]], [5, 4])
    >>> pair_gains(game, 0, 1).round(12)
    array([3.2, 2.2, 3.6])
    """
    i, j = group_index(i, game.groups), group_index(j, game.groups)
    truth = game.utilities(sw_max(game), affine_maximizer_payments(game))
    worth = game.sizes[i] * game.values[i] + game.sizes[j] * game.values[j]
    return np.asarray(worth - (truth[i] + truth[j]))
