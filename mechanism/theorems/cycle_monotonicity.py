r"""Which training rules can be made truthful by some payment: cycle monotonicity.

A rule is implementable if and only if :math:`\sum_j l(t_j, t_{j+1}) \ge 0` round every cycle of a
group's types. In numbers: on a finite set of types the least regret that any payment can reach is
minus the least cycle mean. `search` looks for violated cycles of Nash social welfare and
MaxMin-RLHF; `v_payment` builds the payment where none is found.
Source: Definition E.1 and Proposition E.2 (Rochet, 1987), arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.optimize import linprog

from mechanism.core.divergences import (
    KL,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
)
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_game
from mechanism.theorems.claim_result import ClaimResult, scale
from mechanism.theorems.other_rules import RULES, RuleName
from mechanism.theorems.payment_equivalence import constant_report, path_payment, random_type
from mechanism.theorems.type_graph import (
    Case,
    Cycle,
    Game,
    Games,
    TypeGraph,
    is_summation,
    least_cycle_mean,
    sampler,
    shortest_paths,
    shortest_violating_cycle,
    slow_model,
    type_graph,
    worst_case,
)

Rule = Callable[[Game], Floats]
FAMILIES = (KL, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon)


def least_regret(lengths: Floats) -> float:
    """Least e such that some payment keeps every gain from misreporting at e or below (LP).

    Negative where truth can be made better by a margin. Equals minus the least cycle mean.

    >>> round(least_regret(np.array([[0.0, -3.0], [1.0, 0.0]])), 9)
    1.0
    """
    k, unit = len(lengths), max(float(np.abs(lengths).max()), 1e-300)
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    rows = np.zeros((len(pairs), k + 1))
    for row, (a, b) in zip(rows, pairs, strict=True):
        row[b], row[a], row[k] = 1.0, -1.0, -1.0
    limit = np.array([lengths[a, b] for a, b in pairs]) / unit
    bounds = [(0.0, 0.0)] + [(None, None)] * k
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(np.eye(k + 1)[k], rows, limit, bounds=bounds, method="highs", options=tight)
    return float(found.fun * unit) if found.status == 0 else float("nan")


def v_payments(graph: TypeGraph, base: int = 0) -> Floats | None:
    """pay(t) = V(t_base, t) on a finite set of types; None where the rule is not monotone."""
    paths = shortest_paths(graph.lengths, graph.tolerance)
    return None if paths is None else np.asarray(paths[base])


def truth_slack(lengths: Floats, payments: Floats) -> float:
    """Least loss from misreporting under these payments: min of l(j, k) - (pay_k - pay_j)."""
    slack = lengths - (payments[None, :] - payments[:, None])
    np.fill_diagonal(slack, np.inf)
    return float(slack.min())


def random_graph(
    rng: np.random.Generator,
    game: Game,
    i: int,
    count: int,
    mechanism: Mechanism | None,
) -> TypeGraph:
    """Types of group i, some near each other, with the rule's models."""
    types = [random_type(rng, game, i) for _ in range(count)]
    rewards, sizes = np.array([t[0] for t in types]), np.array([t[1] for t in types])
    how: Normalization = "summation" if is_summation(game) else "maximum"
    near = 0.7 * rewards[::2] + 0.3 * np.roll(rewards, 1, axis=0)[::2]
    rewards = np.concatenate([rewards, normalize(near, how)])
    return type_graph(game, i, rewards, np.concatenate([sizes, sizes[::2]]), mechanism)


def check_prop_E_2(
    mechanism: Mechanism | None = None,
    games: Games = "rlhf",
    budget: int = 2000,
    seed: int = 0,
    payments: Callable[[TypeGraph], Floats | None] = v_payments,
) -> ClaimResult:
    """Implementable if and only if cyclically monotone; then V implements (claim prop-E.2).

    On every finite set of types: the least regret over all payments (a linear program) equals minus
    the least cycle mean (Karp's algorithm), and where that is >= 0, V keeps truth optimal. By
    default SW-Max, Nash social welfare, MaxMin-RLHF and arbitrary maps from types to models take
    turns. A mechanism's rule must besides be cyclically monotone, on these types and, as V round
    closed triangles must vanish, for cycles of however many types.

    >>> check_prop_E_2(budget=60).status
    'holds'
    """
    rng, draw, trials = np.random.default_rng(seed), sampler(games), 0
    cases: list[Case] = []
    while trials < min(budget, 1500):
        if mechanism is None:
            graph, rule = _some_graph(rng, draw, len(cases) % 4)
        else:
            game = draw(rng)
            i = int(rng.integers(game.groups))
            graph, rule = random_graph(rng, game, i, 14, mechanism), ""
            case, count = _loop_case(rng, game, i, mechanism)
            cases.append(case)
            trials += count
        cases.append(_rochet_case(graph, payments, mechanism is not None, rule == "sw_max"))
        trials += len(graph.sizes)
    return worst_case("prop-E.2", cases, trials)


def _loop_case(
    rng: np.random.Generator, game: Game, i: int, mechanism: Mechanism
) -> tuple[Case, int]:
    """V round a triangle of reports that share their best outcome, one size: 0 if monotone."""
    size = float(game.sizes[i])
    corners = [random_type(rng, game, i, size) for _ in range(3)]
    if not is_summation(game):
        shared = int(rng.integers(len(corners[0][0])))
        for row, _ in corners:
            row[shared] = 1.0
    closed = [*corners, corners[0]]
    around = path_payment(game, i, closed, mechanism)
    bound = 3 * around.error + 1e-11 * float(scale(game))
    middle = (corners[0][0] + corners[1][0]) / 2, size
    finer = [corners[0], middle, *closed[1:]]
    return (
        Case(
            -abs(around.value), bound, game, i, None,
            lambda: -abs(path_payment(game, i, finer, mechanism).value),
        ),
        around.evaluations,
    )  # fmt: skip


def _some_graph(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], Game], turn: int
) -> tuple[TypeGraph, str]:
    game = draw(rng)
    i, count = int(rng.integers(game.groups)), int(rng.integers(2, 10))
    if turn == 0:
        return random_graph(rng, game, i, count, None), "sw_max"
    if turn == 1:
        graph = random_graph(rng, game, i, count, None)
        shuffled = rng.permutation(len(graph.sizes))
        return replace(graph, models=graph.models[shuffled]), "arbitrary"
    name: RuleName = "nash" if turn == 2 else "maxmin"
    if isinstance(game, RLHFGame):
        game, i = draw_two_groups(rng, int(rng.integers(2, 6))), 0
    return random_graph(rng, game, i, count, Mechanism(RULES[name], _free)), name


def _free(game: Game) -> Floats:
    return np.zeros(game.groups)


def draw_two_groups(
    rng: np.random.Generator,
    outcomes: int,
    how: Normalization | None = None,
    divergence: Divergence | None = None,
    uniform: bool = False,
) -> RLHFGame:
    """Two groups of size 1 under a strictly convex divergence, lam from 0.01 to 10."""
    family = FAMILIES[int(rng.integers(len(FAMILIES)))]
    drawn = family(float(10 ** rng.uniform(-2, 1)))
    normalization: Normalization = how or ("summation" if rng.random() < 0.5 else "maximum")
    game = sample_game(rng, 2, outcomes, divergence or drawn, normalization)
    q = np.full(outcomes, 1 / outcomes) if uniform else game.reference
    return replace(game, sizes=np.ones(2), reference=q)


def _rochet_case(
    graph: TypeGraph,
    payments: Callable[[TypeGraph], Floats | None],
    must_pass: bool,
    exact: bool,
) -> Case:
    lengths, k = graph.lengths, len(graph.sizes)
    unit = float(np.abs(lengths).max())
    tolerance = 1e-9 * unit + k * graph.tolerance
    regret = least_regret(lengths)

    def slack_of(table: Floats) -> float:
        mean = least_cycle_mean(table)
        slack = -abs(regret + mean)
        pay = payments(graph) if mean >= -graph.tolerance else None
        if pay is not None:
            slack = min(slack, truth_slack(table, pay))
        return min(slack, mean) if must_pass else slack

    def again() -> float:
        if not exact:
            return slack_of(_slow_lengths(graph))
        models = np.array([slow_model(graph.reported(j)) for j in range(k)])
        return slack_of(_slow_lengths(replace(graph, models=models)))

    return Case(slack_of(lengths), tolerance, graph.reported(0), graph.group, None, again)


def _slow_lengths(graph: TypeGraph) -> Floats:
    """Lengths once more by exact fractions, models taken at their word."""
    from fractions import Fraction

    models = graph.models
    if np.ndim(models) == 1:
        models = np.eye(graph.rewards.shape[1])[models]
    exact = [[Fraction(float(p)) for p in row] for row in models]
    values = [
        [
            sum((Fraction(float(a)) * b for a, b in zip(r, p, strict=True)), Fraction(0))
            for p in exact
        ]
        for r in graph.rewards
    ]
    sizes = [Fraction(float(w)) for w in graph.sizes]
    k = len(sizes)
    return np.array(
        [[float(sizes[b] * (values[b][b] - values[b][a])) for b in range(k)] for a in range(k)]
    )


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

    >>> game, types = hand_example("nash")
    >>> graph = type_graph(game, 0, types, np.ones(2), Mechanism(RULES["nash"], _free))
    >>> float(round(graph.lengths[0, 1] + graph.lengths[1, 0], 12))
    -0.1
    """
    if how not in RULES:
        raise InvalidInputError("how", repr(how), f"must be one of {tuple(RULES)}", "name a rule")
    types = np.array([[0.5, 0.2, 1.0], [1.0, 0.6, 0.0]])
    return CandidateGame(np.array([types[0], [0.5, 1.0, 0.1]]), np.ones(2)), types
