r"""Which training rules can be made truthful by some payment: cycle monotonicity.

A rule is implementable if and only if :math:`\sum_j l(t_j, t_{j+1}) \ge 0` round every cycle of a
group's types. In numbers: on a finite set of types the least regret that any payment can reach is
minus the least cycle mean. `search` looks for violated cycles of Nash social welfare and
MaxMin-RLHF; `v_payment` builds the payment where none is found.
Source: Definition E.1 and Proposition E.2 (Rochet, 1987), arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Draws, Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.paths import path_payment
from mechanism.attack.programs import PROGRAM, least_regret
from mechanism.attack.replay import slow_model
from mechanism.attack.reports import is_summation, project_report, random_type, twin
from mechanism.attack.type_graph import TypeGraph, least_cycle_mean, shortest_paths, type_graph
from mechanism.core.divergences import (
    KL,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
)
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_game
from mechanism.theorems.cycle_monotonicity.other_rules import RULES, RuleName

Rule = Callable[[Game], Floats]
ROUND = 3 * 142 + 73 + 8  # most runs of a rule in one game: a triangle, a search, a table
FAMILIES = (KL, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon)


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
    """Types of group i with the rule's models: some near each other, some equal but for size."""
    types = [random_type(rng, game, i) for _ in range(count)]
    how: Normalization = "summation" if is_summation(game) else "maximum"
    for one, other in pairwise(types[: 1 + count // 2]):
        types.append((normalize(0.7 * one[0] + 0.3 * other[0], how), one[1]))
        same = twin(game, i, one, one[1] + float(rng.integers(1, 6)))
        types += [] if same is None else [same]
    rewards, sizes = np.array([t[0] for t in types]), np.array([t[1] for t in types])
    return type_graph(game, i, rewards, sizes, mechanism)


@checker("prop-E.2")
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
    turns. A mechanism's rule must besides be cyclically monotone: on these types, round closed
    triangles (V must vanish, for cycles of however many types), and between types that are equal
    but for the size, from which a local search looks for a 2-cycle. A mechanism's payments are not
    looked at: the question is whether any could be right.

    >>> check_prop_E_2(budget=60).status
    'holds'
    """
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget, piece=0 if mechanism is None else ROUND)
    for game in draws:
        i, more = int(rng.integers(game.groups)), 0
        if mechanism is None:
            graph, rule = _some_graph(rng, game, i, draws.drawn % 4)
        else:
            i = i if draws.drawn % 2 else 0
            graph, rule = random_graph(rng, game, i, 8, mechanism), ""
            loop, round_trip = _loop_case(rng, game, i, mechanism)
            cycle, search = size_cycle(rng, game, i, mechanism)
            cases += [loop, cycle]
            more = round_trip + search
        cases.append(_rochet_case(graph, payments, mechanism is not None, rule == "sw_max"))
        draws.spend(more + len(graph.sizes))
    return worst_case("prop-E.2", cases, draws.spent, origin=PROGRAM)


def size_cycle(
    rng: np.random.Generator, game: Game, i: int, mechanism: Mechanism, rounds: int = 3
) -> tuple[Case, int]:
    """Most negative 2-cycle found between types whose w rm is equal but for a constant.

    With s = w rm a 2-cycle has length <s - s', p - p'>: where p differs from p' at equal s, moving
    s' along p - p' makes it negative. The direction is updated `rounds` times.
    """
    start = random_type(rng, game, i)
    best, evaluations = type_graph(game, i, start[0][None], np.array([start[1]]), mechanism), 1
    least = 0.0
    for step in (1.0, 3.0, 9.0):
        end = twin(game, i, start, start[1] + step)
        for _ in range(rounds if end is not None else 0):
            assert end is not None
            rows, sizes = np.array([start[0], end[0]]), np.array([start[1], end[1]])
            graph = type_graph(game, i, rows, sizes, mechanism)
            length = float(graph.lengths[0, 1] + graph.lengths[1, 0])
            if length < least:
                best, least = graph, length
            first, last = (_as_policy(game, model) for model in graph.models)
            moves = np.geomspace(1e-3, 1.0, 6)[:, None] * (first - last)
            tried = project_report(game, i, end[0] + moves)
            if isinstance(game, RLHFGame) and game.normalization == "maximum":
                tried = tried / tried.max(axis=-1, keepdims=True)
            ends = type_graph(
                game, i, np.concatenate([rows[:1], tried]),
                np.concatenate([sizes[:1], np.full(len(tried), sizes[1])]), mechanism,
            )  # fmt: skip
            cycles = ends.lengths[0, 1:] + ends.lengths[1:, 0]
            end, evaluations = (tried[int(cycles.argmin())], end[1]), evaluations + 2 + len(tried)
            if cycles.min() < least:
                k, least = 1 + int(cycles.argmin()), float(cycles.min())
                best = replace(
                    ends, rewards=ends.rewards[[0, k]], sizes=ends.sizes[[0, k]],
                    models=ends.models[[0, k]],
                )  # fmt: skip
    slack, error = least, 4 * best.tolerance

    def again() -> float:
        lengths = _slow_lengths(best)
        return float(lengths[0, -1] + lengths[-1, 0])

    case = Case(slack, error, best.reported(0), i, best.reported(len(best.sizes) - 1), again)
    return replace(case, comparisons=max(1, evaluations - 1)), evaluations


def _as_policy(game: Game, model: Any) -> Floats:
    if isinstance(game, CandidateGame):
        return np.eye(game.candidates)[int(model)]
    return np.asarray(model, dtype=np.float64)


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
    around = path_payment(game, i, closed, mechanism, nodes=120)
    bound = 3 * around.error + 1e-11 * float(scale(game))
    middle = (corners[0][0] + corners[1][0]) / 2, size
    finer = [corners[0], middle, *closed[1:]]
    return (
        Case(
            -abs(around.value), bound, game, i, None,
            lambda: -abs(path_payment(game, i, finer, mechanism, nodes=120).value),
        ),
        around.evaluations,
    )  # fmt: skip


def _some_graph(rng: np.random.Generator, game: Game, i: int, turn: int) -> tuple[TypeGraph, str]:
    count = int(rng.integers(2, 8))
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
