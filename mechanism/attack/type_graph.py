r"""Types of one group as a graph: lengths l, shortest paths V, cycles, and paths through reports.

A type is t = (rm, w); the others' reports and q are fixed. :math:`l(t', t) = w[v(\psi(t); rm) -
v(\psi(t'); rm)]` is what type t gains by reporting t rather than t', before payments, and
:math:`V(t', t)` the least length of a path from t' to t. Truth pays against every other report of
a finite set of types exactly if :math:`pay(t) - pay(t') \le l(t', t)` for all pairs.
Source: Appendices C and E, arXiv:2405.16276v4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.csgraph import NegativeCycleError, csgraph_from_dense, johnson

from mechanism.attack.claim_result import ERROR, scale
from mechanism.attack.games import Game
from mechanism.attack.outputs import takes_batch
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism
from mechanism.core.sw_max import sw_max


@dataclass(frozen=True)
class TypeGraph:
    """K types of group `group` beside the others' reports in `game`, with their models.

    >>> from mechanism import CandidateGame
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
    if takes_batch(rule):
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
