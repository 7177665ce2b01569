"""The number in Rochet's proposition: the least regret of any payment is minus a cycle mean."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, worst_case
from mechanism.attack.games import Draws, Games
from mechanism.attack.outputs import checker
from mechanism.attack.programs import PROGRAM, least_regret
from mechanism.attack.replay import slow_model
from mechanism.attack.type_graph import TypeGraph, least_cycle_mean
from mechanism.core.errors import Floats
from mechanism.theorems.cycle_monotonicity.check import _slow_lengths, _some_graph

Mean = Callable[[Floats], float]
LARGEST = 13  # types of one graph


@checker("least-regret")
def check_least_regret(
    games: Games = "rlhf", budget: int = 2000, seed: int = 0, *, mean: Mean = least_cycle_mean
) -> ClaimResult:
    """On a finite set of types the least regret of all payments is minus the least cycle mean.

    SW-Max, arbitrary maps from types to models, Nash social welfare and MaxMin-RLHF take turns. The
    regret comes from a linear program (HiGHS), the mean from Karp's algorithm; the replay finds the
    mean by enumeration of all simple cycles, in exact lengths.

    Parameters
    ----------
    mean : callable
        Lengths (K, K) -> least mean of a cycle.

    Examples
    --------
    >>> check_least_regret(budget=60).status
    'holds'
    """
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget, piece=LARGEST)
    for game in draws:
        i = int(rng.integers(game.groups))
        graph, rule = _some_graph(rng, game, i, draws.drawn % 4)
        cases.append(_case(graph, mean, rule == "sw_max"))
        draws.spend(len(graph.sizes))
    return worst_case("least-regret", cases, draws.spent, origin=PROGRAM)


def _case(graph: TypeGraph, mean: Mean, exact: bool) -> Case:
    lengths, k = graph.lengths, len(graph.sizes)
    tolerance = 1e-9 * float(np.abs(lengths).max()) + k * graph.tolerance

    def again() -> float:
        again = graph
        if exact:
            models = np.array([slow_model(graph.reported(j)) for j in range(k)])
            again = replace(graph, models=models)
        table = _slow_lengths(again)
        slow = enumerated_mean(table) if mean is least_cycle_mean else mean(table)
        return -abs(least_regret(table) + slow)

    slack = -abs(least_regret(lengths) + mean(lengths))
    return Case(slack, tolerance, graph.reported(0), graph.group, None, again)


def enumerated_mean(lengths: Floats, longest: int = 7) -> float:
    """Least mean of all simple cycles up to `longest` types, one by one; then Karp's for the rest.

    >>> enumerated_mean(np.array([[0.0, -3.0], [1.0, 0.0]]))
    -1.0
    """
    count = len(lengths)
    if count > longest:
        return least_cycle_mean(lengths)
    best = np.inf

    def extend(path: tuple[int, ...], length: float) -> None:
        nonlocal best
        if len(path) > 1:
            best = min(best, (length + float(lengths[path[-1], path[0]])) / len(path))
        for k in range(path[0] + 1, count):  # a cycle starts at its least type
            if k not in path:
                extend((*path, k), length + float(lengths[path[-1], k]))

    for start in range(count):
        extend((start,), 0.0)
    return best
