r"""Payments from one training: each group's size is shrunk at random, and the price follows.

With probability mu, whatever is reported and whatever befalls the others, group i counts with a
share :math:`s_i = u^{1/e}` of its size, u uniform; else :math:`s_i = 1`. One model p is trained,
for :math:`\sum_i s_i w_i\,rm_i`. Group i pays its own reported value :math:`w_i v_i(p)` and,
where it was shrunk, gets R(s_i) times that value back, with

.. math:: R(s) = \frac{1 - \mu + \mu \int_s^1 \varphi(t)/t\,dt}{\mu\,\varphi(s)},
          \qquad \varphi(s) = e\,s^{e-1}.

For e = 1 - mu this is 1 / mu at every share. In expectation truth is optimal in reward and size.
Source: Babaioff, Kleinberg and Slivkins (2015), here for models in place of allocations; the bound
on welfare with a divergence, and the guess that lowers the variance, are our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.claim_result import scale
from mechanism.attack.games import Game
from mechanism.attack.reports import own_row
from mechanism.core.errors import Floats, as_floats, require
from mechanism.core.groups import Model
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.affine_maximizer import QUADRATURE, kinks, size_breakpoints
from mechanism.theorems.one_training.quadrature import Indices, graded_edges, integrate_all

AnyGame = TypeVar("AnyGame", bound=Game)


@dataclass(frozen=True)
class Lottery:
    """Law of the shares, and the price that belongs to it.

    Parameters
    ----------
    mu : float
        Probability, in (0, 1), that a group is shrunk.
    exponent : float, optional
        e in (0, 1] of the law s = u^(1/e): 1 is the uniform law. Default 1 - mu, whose R is
        constant. Above 1 small shares are so rare, and their price so high, that the variance may
        be infinite.

    Examples
    --------
    >>> Lottery(0.1).rebate([0.25, 0.5])
    array([10., 10.])
    >>> Lottery(0.1, exponent=1.0).rebate([0.25, 0.5]).round(3)
    array([10.386,  9.693])
    """

    mu: float
    exponent: float | None = None

    def __post_init__(self) -> None:
        inside = np.asarray(0 < self.mu < 1)
        require(inside, "mu", np.asarray(float(self.mu)), "must be in (0, 1)", "e.g. 0.1")
        if self.exponent is not None:
            holds = np.asarray(0 < self.exponent <= 1)
            fix = "1 is the uniform law"
            require(holds, "exponent", np.asarray(float(self.exponent)), "must be in (0, 1]", fix)

    @property
    def power(self) -> float:
        """The exponent e in use."""
        return 1.0 - self.mu if self.exponent is None else self.exponent

    @property
    def lost_share(self) -> float:
        """E[1 - s] = mu / (1 + e), which bounds the loss of welfare."""
        return self.mu / (1.0 + self.power)

    def share(self, uniforms: ArrayLike) -> Floats:
        """Shares of shrunk groups from uniforms on (0, 1)."""
        return np.asarray(as_floats("uniforms", uniforms) ** (1.0 / self.power))

    def draw(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> Floats:
        """Independent shares, 1 with probability 1 - mu.

        >>> Lottery(0.3).draw(np.random.default_rng(0), 4).round(3)
        array([1.   , 0.031, 0.264, 0.154])
        """
        shrunk = rng.random(shape) < self.mu
        return np.where(shrunk, self.share(1.0 - rng.random(shape)), 1.0)

    def rebate(self, shares: ArrayLike) -> Floats:
        """R(s): the multiple of its own value that a shrunk group gets back."""
        s, e, mu = as_floats("shares", shares), self.power, self.mu
        if e == 1.0 - mu:
            return np.full_like(s, 1.0 / mu)
        tail = -np.log(s) if e == 1.0 else e / (e - 1.0) * (1.0 - s ** (e - 1.0))
        return np.asarray((1.0 - mu + mu * tail) / (mu * e * s ** (e - 1.0)))

    def kept(self, share: Floats, others: Floats, size: ArrayLike) -> Floats:
        """Payment per unit of own reported value: 1, or 1 - R(s) where the group was shrunk.

        The shares of the `others` and the reported `size` have no influence here; a broken
        lottery may use them.
        """
        return np.where(share < 1.0, 1.0 - self.rebate(share), 1.0)

    def chance(self, others: Floats) -> float:
        """Probability that the group is shrunk, given the others' shares: mu, whatever they are."""
        return self.mu


def shrunk(game: AnyGame, shares: ArrayLike) -> AnyGame:
    """Game in which group i counts with `shares[..., i]` of its size: what the one run trains for.

    >>> shrunk(CandidateGame([[1.0, 0.0], [0.0, 1.0]], [3, 7]), [0.5, 1.0]).sizes
    array([1.5, 7. ])
    """
    return replace(game, sizes=as_floats("shares", shares) * game.sizes)


@dataclass(frozen=True, eq=False)
class OneRun:
    """Outcome of one run: the shares drawn (n,), the model trained, the payments (n,)."""

    shares: Floats
    model: Model
    payments: Floats


def run_once(game: Game, lottery: Lottery, rng: np.random.Generator) -> OneRun:
    """Draw the shares, train once, charge.

    >>> from mechanism import KL, RLHFGame
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> run_once(game, Lottery(0.5), np.random.default_rng(3)).payments.round(3)
    array([-0.466, -0.534])
    """
    shares = lottery.draw(rng, game.groups)
    model = sw_max(shrunk(game, shares))
    return OneRun(shares, model, payments_of(game, lottery, shares, model))


def payments_of(game: Game, lottery: Lottery, shares: Floats, model: Model) -> Floats:
    """Payments (..., n) in reward units, from the shares (..., n) and the model of that one run."""
    own = game.sizes * game.valuations(model)
    factors = [
        lottery.kept(shares[..., i], np.delete(shares, i, axis=-1), game.sizes[i])
        for i in range(game.groups)
    ]
    return np.asarray(np.stack(factors, axis=-1) * own)


def expected_loss(game: Game, lottery: Lottery, nodes: int = 20) -> float:
    """Mean loss of ASW against the exact model over the shares of all groups, by a product rule.

    Costs (nodes + 1)^n games; a batch of games is averaged. Exact to the rule where the model moves
    smoothly.

    >>> from mechanism import KL, RLHFGame
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [2, 1], [0.5, 0.5], KL(1.0))
    >>> round(expected_loss(game, Lottery(0.1)), 6)
    0.018806
    """
    rule, weights = np.polynomial.legendre.leggauss(nodes)
    shares = np.append(lottery.share((1.0 + rule) / 2.0), 1.0)
    weight = np.append(lottery.mu * weights / 2.0, 1.0 - lottery.mu)
    n = game.groups
    grid = np.stack(np.meshgrid(*[shares] * n, indexing="ij"), axis=-1).reshape(-1, n)
    mass = np.prod(np.stack(np.meshgrid(*[weight] * n, indexing="ij")), axis=0).ravel()
    said = shrunk(game, grid.reshape(-1, *[1] * len(game.batch_shape), n))
    lost = game.welfare(sw_max(game)) - game.welfare(sw_max(said))
    return float(mass @ np.asarray(lost).reshape(len(mass), -1).mean(axis=-1))


@dataclass(frozen=True, eq=False)
class Expected:
    """Expectation over the own share of one group, the others' shares being fixed.

    Attributes
    ----------
    model : ndarray, shape (m,)
        Mean model: a distribution over outcomes, or over candidates.
    payment : float
        Mean payment, reward units.
    error : float
        Estimate by the quadrature, of `unit`s times the model's and the payment's together.
    edges : ndarray
        Edges of the pieces (in u = s^e) that the rule ended with.
    evaluations : int
        Games solved.
    """

    model: Floats
    payment: float
    error: float
    edges: Floats
    evaluations: int


def model_at(reported: Game, i: int, share: ArrayLike) -> Floats:
    """Models (..., m) where group i counts with a share (...) of its reported size."""
    said = reported.with_report(i, size=as_floats("share", share) * reported.sizes[i])
    model = sw_max(said)
    if isinstance(reported, CandidateGame):
        return np.eye(reported.candidates)[np.asarray(model)]
    return np.asarray(model, dtype=np.float64)


def expect(
    lottery: Lottery, reported: Game, i: int, others: ArrayLike = 1.0, unit: float | None = None
) -> Expected:
    """Mean model and mean payment of group i by adaptive quadrature over its own share.

    Parameters
    ----------
    lottery : Lottery
    reported : RLHFGame or CandidateGame
        One game, as reported.
    others : array_like, shape (n - 1,), optional
        Shares that the others were given; all 1 by default.
    unit : float, optional
        Reward scale of the error; max |S| + lam by default.

    Examples
    --------
    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1])
    >>> found = expect(Lottery(0.5, exponent=1.0), game, 0)
    >>> found.model.round(9), round(found.payment, 6)
    (array([0.75, 0.25]), 0.423287)
    """
    return expect_all(lottery, [reported], i, others, unit)[0]


def expect_all(
    lottery: Lottery, reports: Sequence[Game], i: int, others: ArrayLike = 1.0,
    unit: float | None = None,
) -> list[Expected]:  # fmt: skip
    """`expect` for games that differ in the report of group i alone, all of them at once."""
    rest = np.broadcast_to(as_floats("others", others), (reports[0].groups - 1,))
    games = [shrunk(game, np.insert(rest, i, 1.0)) for game in reports]
    rows = np.array([own_row(game, i) for game in games])
    sizes = np.array([game.sizes[i] for game in games])
    units = np.array([float(scale(game)) if unit is None else unit for game in games])
    models = partial(_models, games[0], scores_of_others(games[0], i), sizes[:, None] * rows)

    def paid(model: Floats, s: Floats, which: Indices) -> Floats:
        factor = lottery.kept(s, rest, sizes[which]) * sizes[which]
        return np.asarray(factor * np.vecdot(model, rows[which]))

    def integrand(u: Floats, which: Indices) -> Floats:
        s = lottery.share(u)
        model = models(s, which)
        return np.column_stack([units[which, None] * model, paid(model, s, which)])

    cuts = [np.union1d(size_breakpoints(game, i), kinks(game, i)) for game in games]
    edges = [graded_edges(points**lottery.power) for points in cuts]
    mean, error, final, runs = integrate_all(integrand, edges, QUADRATURE / 10 * units)
    chance, every = lottery.chance(rest), np.arange(len(games))
    whole = models(np.ones(len(games)), every)
    model = chance * mean[:, :-1] / units[:, None] + (1.0 - chance) * whole
    payment = chance * mean[:, -1] + (1.0 - chance) * paid(whole, np.ones(len(games)), every)
    error = np.maximum(chance * error, QUADRATURE * units)
    return [
        Expected(model[k], float(payment[k]), float(error[k]), final[k], 1 + int(runs[k]))
        for k in every
    ]


def scores_of_others(game: Game, i: int) -> Floats:
    """ASW (m,) of each outcome or candidate without group i: what its own share is added to."""
    others = game.sizes * (np.arange(game.groups) != i)
    if isinstance(game, RLHFGame):
        return np.asarray(others @ game.rewards)
    costs = 0.0 if game.divergences is None else game.divergences
    return np.asarray(others @ game.values - costs)


def _models(game: Game, others: Floats, own: Floats, share: Floats, which: Indices) -> Floats:
    """Models (k, m) where group i counts with shares (k,) of w_i rm_i, of `own` (K, m)."""
    scores = others + share[:, None] * own[which]
    if isinstance(game, CandidateGame):
        return np.eye(game.candidates)[scores.argmax(axis=-1)]
    alone = RLHFGame(scores[:, None], np.ones(1), game.reference, game.divergence)
    return np.asarray(sw_max(alone), dtype=np.float64)


def expected_utility(lottery: Lottery, truth: Game, report: Game, i: int) -> float:
    """True utility of group i after a report, in expectation over its own share.

    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1])
    >>> round(expected_utility(Lottery(0.1), game, game, 0), 6)
    0.464113
    """
    found = expect(lottery, report, i)
    return float(truth.sizes[i] * (found.model @ own_row(truth, i))) - found.payment
