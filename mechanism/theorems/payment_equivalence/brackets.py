"""What finite sets of types say of payments: refined paths, and their range (Lemma C.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mechanism.attack.claim_result import Case, ClaimResult, payment_rounding, worst_case
from mechanism.attack.games import Draws, Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.paths import Path
from mechanism.attack.programs import PROGRAM, payment_range
from mechanism.attack.replay import slow_model
from mechanism.attack.reports import random_type
from mechanism.attack.type_graph import TypeGraph, shortest_paths, type_graph
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism


@dataclass(frozen=True)
class Bracket:
    """What n steps a leg say of the payment difference: minus the way back <= it <= the way there.

    Attributes
    ----------
    forward, backward : float
        Sums of l along the path and back.
    closed_form : float
        Their sum as it telescopes: sum over legs of <s' - s, p' - p> / n.
    """

    forward: float
    backward: float
    closed_form: float

    @property
    def two_way_cost(self) -> float:
        """forward + backward: how far V leaves the payment open along this path."""
        return self.forward + self.backward


def refine(
    game: Game, i: int, path: Path, steps: int, mechanism: Mechanism | None = None
) -> Bracket:
    """Cut every leg of the path into `steps` equal steps and add up l both ways."""
    forward = backward = closed = 0.0
    share = np.linspace(0.0, 1.0, steps + 1)
    for (r0, w0), (r1, w1) in pairwise(path):
        rewards = r0 + share[:, None] * (r1 - r0)
        graph = type_graph(game, i, rewards, w0 + share * (w1 - w0), mechanism)
        lengths = graph.lengths
        forward += float(lengths.diagonal(1).sum())
        backward += float(lengths.diagonal(-1).sum())
        closed += float(lengths[0, -1] + lengths[-1, 0]) / steps
    return Bracket(forward, backward, closed)


@checker("lemma-C.2")
def check_lemma_C_2(
    mechanism: Mechanism | None = None,
    games: Games = "rlhf",
    budget: int = 2000,
    seed: int = 0,
    paths: Callable[[Floats, float], Floats | None] = shortest_paths,
) -> ClaimResult:
    """V bounds and fixes payments: their range between two types is [-V(t, t'), V(t', t)].

    On finite sets of types, every pair of range ends from a linear program over all payments, and
    V from shortest paths, must agree; where V(t, t') = -V(t', t) the range is a point (claim
    lemma-C.2). A mechanism's own payments must lie in the range. The linear program's tolerance,
    1e-9 of the largest length, is the tolerance.

    >>> check_lemma_C_2(budget=60).status
    'holds'
    """
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget)
    for game in draws:
        i, k = int(rng.integers(game.groups)), int(rng.integers(3, 9))
        types = [random_type(rng, game, i) for _ in range(k)]
        graph = type_graph(
            game, i, np.array([t[0] for t in types]), np.array([t[1] for t in types]), mechanism
        )
        cases.append(_range_case(graph, rng.permutation(k)[:2], mechanism, paths))
        draws.spend(k)
    return worst_case("lemma-C.2", cases, draws.spent, origin=PROGRAM)


def _range_case(
    graph: TypeGraph,
    pair: NDArray[np.intp],
    mechanism: Mechanism | None,
    paths: Callable[[Floats, float], Floats | None],
) -> Case:
    lengths, (a, b) = graph.lengths, (int(pair[0]), int(pair[1]))
    found = paths(lengths, graph.tolerance)
    low, high = payment_range(lengths + graph.tolerance, a, b)
    unit = float(np.abs(lengths).max())
    tolerance = 1e-9 * unit + len(lengths) * graph.tolerance
    first, last = graph.reported(a), graph.reported(b)
    if found is None:
        return Case(-np.inf, tolerance, first, graph.group, last, lambda: -np.inf)
    slack = -max(abs(high - found[a, b]), abs(low + found[b, a]))
    if mechanism is not None:
        pays = [mechanism.payment_rule(one)[graph.group] for one in (first, last)]
        paid = float(pays[1] - pays[0])
        tolerance += payment_rounding(np.array(pays))
        slack = min(slack, found[a, b] - paid, paid + found[b, a])
        return Case(slack, tolerance, first, graph.group, last, lambda: slack)

    def again() -> float:
        models = np.array([slow_model(graph.reported(k)) for k in range(len(lengths))])
        values = graph.sizes[:, None] * (graph.rewards @ models.T)
        exact = (values.diagonal()[:, None] - values).T
        if paths is not shortest_paths:
            other = paths(exact, graph.tolerance)
            exact = np.full(exact.shape, np.nan) if other is None else other
        for k in range(len(exact) if paths is shortest_paths else 0):  # Floyd and Warshall
            exact = np.minimum(exact, exact[:, k : k + 1] + exact[k : k + 1])
        return -max(abs(high - float(exact[a, b])), abs(low + float(exact[b, a])))

    return Case(slack, tolerance, first, graph.group, last, again)
