"""Violated cycles of Nash social welfare and MaxMin-RLHF, and the payment where none is found."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from mechanism.attack.games import Game
from mechanism.attack.paths import path_payment
from mechanism.attack.reports import constant_report, is_summation
from mechanism.attack.type_graph import Cycle, TypeGraph, shortest_violating_cycle
from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.theorems.cycle_monotonicity.check import Rule, _free, draw_two_groups
from mechanism.theorems.cycle_monotonicity.other_rules import RULES, RuleName


@dataclass(frozen=True)
class Finding:
    """What a search of one game found: the graph and its shortest violating cycle, if any."""

    graph: TypeGraph
    cycle: Cycle | None


def search(
    rule: RuleName, game: RLHFGame, rng: np.random.Generator, types: int = 60, rounds: int = 3
) -> Finding:
    """Look for a violated cycle of group 1's reports at its public size.

    Even, spiky and random types; then types near the members of the worst cycle so far.
    """
    how: Normalization = "summation" if is_summation(game) else "maximum"
    m = game.outcomes
    powers = rng.choice([1.0, 3.0, 8.0], (types, 1))
    rewards = normalize(rng.random((types, m)) ** powers + 1e-9, how)
    best = Finding(_graph(rule, game, rewards), None)
    for _ in range(rounds):
        graph = _graph(rule, game, rewards)
        cycle = shortest_violating_cycle(graph.lengths, 1e3 * graph.tolerance)
        if cycle is not None and (best.cycle is None or _better(cycle, best.cycle)):
            best = Finding(graph, cycle)
        if best.cycle is None:
            rewards = normalize(rng.random((types, m)) ** powers + 1e-9, how)
            continue
        members = best.graph.rewards[list(best.cycle.types)]
        noise = 0.1 * rng.standard_normal((types - len(members), m))
        near = members[rng.integers(len(members), size=len(noise))] + noise
        rewards = np.concatenate([members, normalize(np.maximum(near, 1e-9), how)])
    return best


def _better(first: Cycle, second: Cycle) -> bool:
    """Fewer types, or as many and more negative."""
    return (len(first.types), first.length) < (len(second.types), second.length)


def _graph(rule: RuleName, game: RLHFGame, rewards: Floats) -> TypeGraph:
    sizes = np.full(len(rewards), game.sizes[0])
    models = RULES[rule](game.with_report(0, reward=rewards, size=sizes))
    return TypeGraph(game, 0, rewards, sizes, models)


@dataclass(frozen=True)
class Loop:
    """V round a closed path: other than 0 means that no payment fits, however short the steps.

    Attributes
    ----------
    value, error : float
        The limit of the sums of l round the loop, and the quadrature's error.
    types : int or None
        Fewest types on the loop (evenly spaced) that make a cycle of negative length.
    length : float
        Length of that cycle.
    """

    value: float
    error: float
    types: int | None
    length: float


def triangle_loop(rule: Rule, game: Game, i: int, corners: Floats, longest: int = 400) -> Loop:
    """Go round a triangle of reports (3, m) at one size; then cut it into ever more types."""
    mechanism, size = Mechanism(rule, _free), float(game.sizes[i])
    closed = np.concatenate([corners, corners[:1]])
    around = path_payment(game, i, [(row, size) for row in closed], mechanism)
    if abs(around.value) <= 10 * around.error:
        return Loop(around.value, around.error, None, 0.0)
    turned = closed if around.value < 0 else closed[::-1]
    steps = 1
    while 3 * steps <= longest:
        share = np.arange(steps)[:, None] / steps
        rows = np.concatenate([a + share * (b - a) for a, b in pairwise(turned)])
        models = rule(game.with_report(i, reward=rows, size=np.full(len(rows), size)))
        lengths = TypeGraph(game, i, rows, np.full(len(rows), size), models).lengths
        total = float(lengths.diagonal(1).sum() + lengths[-1, 0])
        if total < 0:
            return Loop(around.value, around.error, len(rows), total)
        steps += max(1, steps // 8)
    return Loop(around.value, around.error, None, 0.0)


@dataclass(frozen=True)
class SurveyRow:
    """A setting, and what the search found in `games` games of it."""

    rule: RuleName
    outcomes: int
    normalization: Normalization
    divergence: str
    games: int
    violated: int
    shortest: int | None
    worst: float


def survey(
    rule: RuleName,
    outcomes: int,
    how: Normalization,
    divergence: Divergence,
    games: int,
    seed: int,
    uniform: bool = False,
) -> SurveyRow:
    """Search several games of one setting; `worst` is the most negative length found."""
    rng = np.random.default_rng(seed)
    found = [
        search(rule, draw_two_groups(rng, outcomes, how, divergence, uniform), rng)
        for _ in range(games)
    ]
    cycles = [one.cycle for one in found if one.cycle is not None]
    return SurveyRow(
        rule, outcomes, how, type(divergence).__name__, games, len(cycles),
        min((len(cycle.types) for cycle in cycles), default=None),
        min((cycle.length for cycle in cycles), default=0.0),
    )  # fmt: skip


def v_payment(rule: Rule, i: int = 0) -> Mechanism:
    """Pair a rule with V from the constant report to the report, at the reported size.

    The others' payments are 0. Truthful for group i if the rule is cyclically monotone.

    >>> from mechanism import KL
    >>> from mechanism import sw_max
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0), "maximum")
    >>> v_payment(sw_max).payment_rule(game).round(4)
    array([0.1201, 0.    ])
    """

    def pay(game: Game) -> Floats:
        row = game.values[i] if isinstance(game, CandidateGame) else game.rewards[i]
        size, rest = float(game.sizes[i]), np.zeros(game.groups)
        path = [(constant_report(game, i), size), (row, size)]
        rest[i] = path_payment(game, i, path, Mechanism(rule, _free)).value
        return rest

    return Mechanism(rule, pay)


def hand_example(how: Literal["nash", "maxmin"]) -> tuple[CandidateGame, Floats]:
    """Three candidates and two types whose cycle is violated by 1/10, for both rules.

    The other group values the candidates at (1/2, 1, 1/10). Type t = (1/2, 1/5, 1) gets the first,
    type t' = (1, 3/5, 0) the second, but t' prefers the first to the second by more than t does.

    >>> from mechanism.attack.type_graph import type_graph
    >>> game, types = hand_example("nash")
    >>> graph = type_graph(game, 0, types, np.ones(2), Mechanism(RULES["nash"], _free))
    >>> float(round(graph.lengths[0, 1] + graph.lengths[1, 0], 12))
    -0.1
    """
    if how not in RULES:
        raise InvalidInputError("how", repr(how), f"must be one of {tuple(RULES)}", "name a rule")
    types = np.array([[0.5, 0.2, 1.0], [1.0, 0.6, 0.0]])
    return CandidateGame(np.array([types[0], [0.5, 1.0, 0.1]]), np.ones(2)), types
