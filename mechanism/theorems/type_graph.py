r"""Types of one group as a graph: lengths l, shortest paths V, cycles, and paths through reports.

A type is t = (rm, w); the others' reports and q are fixed. :math:`l(t', t) = w[v(\psi(t); rm) -
v(\psi(t'); rm)]` is what type t gains by reporting t rather than t', before payments, and
:math:`V(t', t)` the least length of a path from t' to t. Truth pays against every other report of
a finite set of types exactly if :math:`pay(t) - pay(t') \le l(t', t)` for all pairs.
Source: Appendices C and E, arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse.csgraph import NegativeCycleError, csgraph_from_dense, johnson

from mechanism import oracles
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_game
from mechanism.core.sw_max import sw_max
from mechanism.theorems import type_tables
from mechanism.theorems.best_response import Game, Sampler
from mechanism.theorems.claim_result import ClaimResult, Witness, scale
from mechanism.theorems.other_rules import RULES
from mechanism.theorems.type_tables import ERROR, Games, draw_candidate_game

__all__ = ["ERROR", "Game", "Games", "Sampler", "draw_candidate_game"]
BATCHED = (sw_max, *RULES.values())  # our own rules take a batch; a user's takes one game
PLAIN = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)


@dataclass(frozen=True)
class TypeGraph:
    """K types of group `group` beside the others' reports in `game`, with their models.

    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.6]], [1, 1])
    >>> type_graph(game, 0, np.array([[1.0, 0.0], [0.5, 0.0]]), np.ones(2)).lengths.round(3)
    array([[ 0. , -0.5],
           [ 1. ,  0. ]])
    """

    game: Game
    group: int
    rewards: Floats  # (K, m)
    sizes: Floats  # (K,)
    models: Any  # (K, m) policies, or (K,) indices

    def reported(self, k: int) -> Game:
        """The game in which the group's type is the k-th."""
        return self.game.with_report(self.group, reward=self.rewards[k], size=self.sizes[k])

    @property
    def lengths(self) -> Floats:
        """(K, K): entry (j, k) is l(t_j, t_k), reward units."""
        at = self.rewards[:, self.models] if np.ndim(self.models) == 1 else None
        values = self.rewards @ self.models.T if at is None else at
        values = self.sizes[:, None] * values  # (k, j): worth of j's model to type k
        return np.asarray((values.diagonal()[:, None] - values).T)

    @property
    def tolerance(self) -> float:
        """Certified error of one length."""
        batch = self.game.with_report(self.group, reward=self.rewards, size=self.sizes)
        return ERROR * float(np.max(scale(batch)))


def type_graph(
    game: Game, i: int, rewards: Floats, sizes: Floats, mechanism: Mechanism | None = None
) -> TypeGraph:
    """Run the training rule on every type: SW-Max as one batch, any other game by game."""
    return TypeGraph(game, i, rewards, sizes, run_rule(game, i, rewards, sizes, mechanism))


def run_rule(
    game: Game, i: int, rewards: Floats, sizes: Floats, mechanism: Mechanism | None
) -> Any:
    """Models of the K reported games, (K, m) policies or (K,) indices."""
    rule = sw_max if mechanism is None else mechanism.training_rule
    if rule in BATCHED:
        return np.asarray(rule(game.with_report(i, reward=rewards, size=sizes)))
    pairs = zip(rewards, sizes, strict=True)
    return np.array([rule(game.with_report(i, r, w)) for r, w in pairs])


def shortest_paths(lengths: Floats, slack: float = 0.0) -> Floats | None:
    """V(t_j, t_k) for all pairs, by Johnson's algorithm; None where a cycle is negative.

    `slack` is added to every length, so that rounding makes no cycle negative.

    >>> shortest_paths(np.array([[0.0, 1.0, 5.0], [0.0, 0.0, 1.0], [9.0, 0.0, 0.0]]))[0]
    array([0., 1., 2.])
    """
    dense = np.asarray(lengths, dtype=np.float64) + slack
    np.fill_diagonal(dense, np.inf)
    graph = csgraph_from_dense(dense, null_value=np.inf)
    try:
        return np.asarray(johnson(graph, directed=True))
    except NegativeCycleError:
        return None


def least_cycle_mean(lengths: Floats) -> float:
    """Least mean length of a cycle of two types or more (Karp, 1978); >= 0 iff monotone.

    >>> least_cycle_mean(np.array([[0.0, -3.0], [1.0, 0.0]]))
    -1.0
    """
    dense = np.array(lengths, dtype=np.float64)
    np.fill_diagonal(dense, np.inf)
    steps = [np.zeros(len(dense))]
    for _ in range(len(dense)):
        steps.append((steps[-1][:, None] + dense).min(axis=0))
    last, before = steps[-1], np.array(steps[:-1])
    counts = np.arange(len(dense), 0, -1)[:, None]
    return float(((last - before) / counts).max(axis=0).min())


@dataclass(frozen=True)
class Cycle:
    """A closed walk through types: indices in order, and its length (reward units)."""

    types: tuple[int, ...]
    length: float


def shortest_violating_cycle(lengths: Floats, tolerance: float, longest: int = 6) -> Cycle | None:
    """Negative cycle of the fewest types, and of these the most negative one; None if none.

    Min-plus products give the least closed walk of 2, 3, ... types; the first negative ones repeat
    no type, since they would split into shorter negative ones.

    >>> shortest_violating_cycle(np.array([[0.0, -3.0], [1.0, 0.0]]), 1e-12)
    Cycle(types=(0, 1), length=-2.0)
    """
    dense = np.array(lengths, dtype=np.float64)
    np.fill_diagonal(dense, np.inf)
    walks = [dense]
    for count in range(2, min(longest, len(dense)) + 1):
        walks.append((walks[-1][:, :, None] + dense[None]).min(axis=1))
        closed = walks[-1].diagonal()
        if closed.min() < -count * tolerance:
            start = int(closed.argmin())
            types, end = [start], start
            for walk in reversed(walks[:-1]):
                end = int((walk[start] + dense[:, end]).argmin())
                types.append(end)
            ordered = (start, *reversed(types[1:]))
            return Cycle(ordered, cycle_length(lengths, ordered))
    return None


def cycle_length(lengths: Floats, types: tuple[int, ...]) -> float:
    """Sum of l(t_j, t_{j+1}) round the cycle."""
    return float(sum(lengths[a, b] for a, b in zip(types, (*types[1:], types[0]), strict=True)))


@dataclass(frozen=True)
class PathPayment:
    """V along ever finer steps of a path, which is the payment at its end less that at its start.

    Attributes
    ----------
    value, error : float
        The limit, and the quadrature's own error estimate (0 where it is a finite sum).
    evaluations : int
        Runs of the training rule.
    """

    value: float
    error: float
    evaluations: int

    def __add__(self, other: "PathPayment") -> "PathPayment":
        """Join two paths."""
        return PathPayment(
            self.value + other.value,
            self.error + other.error,
            self.evaluations + other.evaluations,
        )


Type = tuple[Floats, float]  # reward (m,), size
_LEGENDRE = np.polynomial.Legendre.basis(9)  # ten Lobatto nodes: both ends are among them
_NODES = np.concatenate([[-1.0], np.sort(_LEGENDRE.deriv().roots().real), [1.0]])
_WEIGHTS = 2 / (90 * _LEGENDRE(_NODES) ** 2)


def segment_payment(
    game: Game, i: int, start: Type, end: Type, mechanism: Mechanism | None = None, rounds: int = 13
) -> PathPayment:
    r"""V along the straight segment between two types that share their size or their reward.

    With :math:`s = w\,rm` the sums of l tend to :math:`\int\langle s, dp\rangle = [\langle s,
    p\rangle] - \int\langle p, ds\rangle`. The last integral is what is computed: exactly between
    the points where the model changes (candidate sets and total variation under SW-Max), else by
    Gauss-Lobatto pieces that are halved until they agree. A piece that never agrees counts with
    its width times the range of the integrand, which bounds its error if the integrand is monotone
    (as it is for every rule that some payment makes truthful).
    """
    (r0, w0), (r1, w1) = start, end
    direction = w1 * r1 - w0 * r0

    def models(share: Floats) -> Any:
        rewards = r0 + share[:, None] * (r1 - r0)
        return run_rule(game, i, rewards, w0 + share * (w1 - w0), mechanism)

    ends = models(np.array([0.0, 1.0]))
    gained = float(expected(ends[1:], w1 * r1)[0] - expected(ends[:1], w0 * r0)[0])
    edges, exact = _edges(game, i, start, direction, mechanism)
    tolerance = 1e-12 * float(scale(game))
    area, error, count = _integrate(
        lambda share: expected(models(share), direction), edges, exact, tolerance, rounds
    )
    return PathPayment(gained - area, error, count + 2)


def expected(models: Any, row: Floats) -> Floats:
    """Expectation of `row` (m,) under each of K models."""
    return np.asarray(row[models] if np.ndim(models) == 1 else models @ row)


def _edges(
    game: Game, i: int, start: Type, direction: Floats, mechanism: Mechanism | None
) -> tuple[Floats, bool]:
    """Ends of the pieces, and whether SW-Max's model is constant on each."""
    if mechanism is not None:
        return np.linspace(0.0, 1.0, 3), False
    base = game.with_report(i, reward=start[0], size=start[1]).scores()
    steps = isinstance(game, CandidateGame) or isinstance(game.divergence, TotalVariation)
    reach = 2 * game.divergence.lam if isinstance(game, RLHFGame) and steps else np.inf
    s, points, top = 0.0, [0.0], int(np.lexsort((direction, base))[-1])
    while s < 1:  # walk along the upper envelope of the lines base + s direction
        rise = direction - direction[top]
        with np.errstate(all="ignore"):
            crossings = np.where(rise > 0, (base[top] - base) / rise, np.inf)
            jumps = (base[top] - base - reach) / rise
        following = int(crossings.argmin())
        end = min(1.0, max(s, float(crossings[following])))
        points += [float(x) for x in jumps[np.isfinite(jumps) & (jumps > s) & (jumps < end)]]
        points.append(end)
        s, top = end, following
    return np.unique(points), steps


def _integrate(
    at: Callable[[Floats], Floats], edges: Floats, exact: bool, tolerance: float, rounds: int
) -> tuple[float, float, int]:
    if exact:
        heights = at((edges[1:] + edges[:-1]) / 2)
        return float(heights @ np.diff(edges)), 0.0, len(heights)

    def lobatto(low: Floats, high: Floats) -> tuple[Floats, Floats]:
        nodes = (low + high)[:, None] / 2 + np.outer((high - low) / 2, _NODES)
        values = at(nodes.ravel()).reshape(nodes.shape)
        ranges = np.ptp(values, axis=1) * (high - low)
        return np.asarray(values @ _WEIGHTS * (high - low) / 2), ranges

    low, high = edges[:-1], edges[1:]
    whole, total, error = lobatto(low, high)[0], 0.0, 0.0
    count = len(low) * len(_NODES)
    for turn in range(rounds):
        middle = (low + high) / 2
        ends = np.concatenate([low, middle]), np.concatenate([middle, high])
        halves, ranges = lobatto(*ends)
        count += 2 * len(low) * len(_NODES)
        left, right = np.split(halves, 2)
        gap = np.abs(left + right - whole)
        agree = gap <= tolerance
        done = agree | (turn == rounds - 1)
        total += float((left + right)[done].sum())
        bounds = np.where(agree, gap, ranges[: len(gap)] + ranges[len(gap) :])
        error += float(bounds[done].sum())
        if done.all():
            break
        low, high = (
            np.concatenate([low[~done], middle[~done]]),
            np.concatenate([middle[~done], high[~done]]),
        )
        whole = np.concatenate([left[~done], right[~done]])
    return total, error, count


def draw_rlhf_game(rng: np.random.Generator) -> RLHFGame:
    """Default games: every named divergence, lam 1e-3 to 1e3, n 2..10, m 2..300, skewed q."""
    lam, kind = float(10 ** rng.uniform(-3, 3)), int(rng.integers(len(PLAIN) + 1))
    alpha = float(rng.choice([-0.5, 0.3, 1.5, 3.0]))
    divergence: Divergence = PLAIN[kind](lam) if kind < len(PLAIN) else Alpha(alpha, lam)
    outcomes = min(300, 2 + int(3 * rng.pareto(1.3)))
    how: Literal["summation", "maximum"] = "summation" if rng.random() < 0.5 else "maximum"
    skew = float(rng.choice([1.0, 1.0, 4.0, 8.0]))
    return sample_game(rng, int(rng.integers(2, 11)), outcomes, divergence, how, skew=skew)


def sampler(games: Games) -> Sampler:
    """Like `type_tables.sampler`, with "rlhf" games that a 50-digit path can still follow."""
    return draw_rlhf_game if games == "rlhf" else type_tables.sampler(games)


def ranked_draws(games: Games, rng: np.random.Generator, count: int) -> list[tuple[Game, int]]:
    """Games with a group each: in turn the largest payments of a pool, and random ones."""
    draw = sampler(games)
    pool = [draw(rng) for _ in range(count)]
    payments = [affine_maximizer_payments(game) for game in pool]
    order = np.argsort([-pay.max() for pay in payments], kind="stable")
    chosen: list[tuple[Game, int]] = []
    for rank in order:
        chosen.append((pool[rank], int(payments[rank].argmax())))
        other = pool[int(rng.integers(count))]
        chosen.append((other, int(rng.integers(other.groups))))
    return chosen


def own_row(game: Game, i: int) -> Floats:
    """Reward row (m,) of group i: rewards, or values of the candidates."""
    return (game.values if isinstance(game, CandidateGame) else game.rewards)[i]


def is_summation(game: Game) -> bool:
    """Whether reports must sum to 1 (else their greatest entry is 1)."""
    return isinstance(game, RLHFGame) and game.normalization == "summation"


def slow_model(game: Game) -> Floats:
    """SW-Max's policy (m,) by the oracles; candidates: the chosen one has probability 1."""
    if isinstance(game, CandidateGame):
        return np.eye(game.candidates)[oracles.brute_force_candidates(game)[0]]
    policy, _ = oracles.optimum_mpmath(
        game.scores().tolist(), game.reference.tolist(), game.divergence, 50
    )
    return np.array([float(p) for p in policy])


@dataclass(frozen=True)
class Case:
    """Slack of one inequality, reward units unless said otherwise, and where it was seen."""

    slack: float
    tolerance: float
    game: Game
    group: int | None
    report: Game | None
    recompute: Callable[[], float]


def worst_case(claim: str, cases: list[Case], trials: int) -> ClaimResult:
    """Result of a checker: the case of least slack in units of its tolerance."""
    worst = min(cases, key=lambda case: case.slack / case.tolerance)
    witness = Witness(worst.game, worst.group, worst.report, -worst.slack, worst.recompute)
    gap = abs(worst.slack - witness.replay())
    return ClaimResult(claim, worst.slack, worst.tolerance, trials, witness, gap)
