r"""Payment equivalence: the training rule alone fixes the payments, up to the others' reports.

Along a path of types the payment difference lies between the sum of l forwards and minus the sum
backwards. On n equal steps of a straight segment at one size these differ by exactly
:math:`\frac{w}{n}\langle rm' - rm, p' - p\rangle` (the sum telescopes), for any rule whatever:
continuity is not needed.
Source: Propositions 4.6 and 4.8, Theorem 4.9, Corollary 4.10, Lemmas B.1, C.1 and C.2,
arXiv:2405.16276v4. Moduli of continuity are in `mechanism.theorems.continuity`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from mechanism import oracles
from mechanism.core.errors import Floats
from mechanism.core.normalization import normalize
from mechanism.core.payments import Mechanism, affine_maximizer_payments, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.claim_result import ClaimResult, scale
from mechanism.theorems.type_graph import (
    ERROR,
    Case,
    Game,
    Games,
    PathPayment,
    Type,
    TypeGraph,
    is_summation,
    own_row,
    ranked_draws,
    sampler,
    segment_payment,
    shortest_paths,
    slow_model,
    type_graph,
    worst_case,
)

Path = Sequence[Type]


def constant_report(game: Game, i: int) -> Floats:
    """The report that makes the outcome independent of the size: 1/m everywhere, or 1."""
    m = own_row(game, i).shape[-1]
    return np.full(m, 1.0 / m if is_summation(game) else 1.0)


def through_constant(game: Game, i: int, start: Type, end: Type) -> list[Type]:
    """Path of Theorem 4.9: mix into the constant report, switch the size there, mix out."""
    flat = constant_report(game, i)
    return [start, (flat, start[1]), (flat, end[1]), end]


def around_constant(game: Game, start: Type, end: Type) -> list[Type]:
    """Path at one size that avoids the constant report.

    Summation: the straight segment. Maximum: first raise the end's best outcome to 1.
    """
    if is_summation(game):
        return [start, end]
    raised = start[0].copy()
    raised[end[0].argmax()] = 1.0
    return [start, (raised, start[1]), end]


def path_payment(game: Game, i: int, path: Path, mechanism: Mechanism | None = None) -> PathPayment:
    """V along a path of straight legs: the payment at its end less that at its start.

    >>> from mechanism import KL, RLHFGame
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0), "maximum")
    >>> start, end = (np.ones(2), 1.0), (np.array([1.0, 0.0]), 1.0)
    >>> round(path_payment(game, 0, [start, end]).value, 4)  # a constant report pays nothing
    0.1201
    """
    total = PathPayment(0.0, 0.0, 0)
    for first, last in pairwise(path):
        if first[1] == last[1] or np.ptp(first[0]) > 0:
            total += segment_payment(game, i, first, last, mechanism)
    return total


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


def weighted(factors: Floats) -> Mechanism:
    """Another implementable, continuous rule: groups count by `factors`, payments are divided.

    >>> game = CandidateGame([[1.0, 0.0], [0.0, 1.0]], [1, 1])
    >>> int(weighted(np.array([1.0, 2.0])).training_rule(game))
    1
    """

    def counted(game: Game) -> Game:
        return replace(game, sizes=game.sizes * factors)

    return Mechanism(
        lambda game: sw_max(counted(game)),
        lambda game: affine_maximizer_payments(counted(game)) / factors,
    )


def random_type(rng: np.random.Generator, game: Game, i: int, size: float | None = None) -> Type:
    """A type of group i: even, spiky or near the truth; sizes 1..20."""
    m = own_row(game, i).shape[-1]
    row = rng.random(m) ** float(rng.choice([1.0, 4.0, 20.0])) + 1e-300
    reward = normalize(row, "summation" if is_summation(game) else "maximum")
    if rng.random() < 0.3:
        row = 0.9 * own_row(game, i) + 0.1 * reward
        reward = normalize(row, "summation" if is_summation(game) else "maximum")
    return reward, float(rng.integers(1, 21)) if size is None else size


PathMaker = Callable[[np.random.Generator, Game, int], list[Type]]


def _fixed_size_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    start, end = (own_row(game, i), 1.0), random_type(rng, game, i, 1.0)
    return around_constant(game, start, end)


def _size_changing_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    truth = own_row(game, i), float(game.sizes[i])
    return through_constant(game, i, random_type(rng, game, i), truth)


def _connected_domain(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    """A domain that is a random chain of legs and nothing else."""
    path: list[Type] = [(own_row(game, i), float(game.sizes[i]))]
    for _ in range(int(rng.integers(1, 4))):
        path += around_constant(game, path[-1], random_type(rng, game, i, path[-1][1]))[1:]
    return path


def check_prop_4_6(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Sizes public (all 1): payments of a rule differ by a term of the others' reports alone.

    slack = -|payment difference - V|, V along paths that avoid the constant report (claim
    prop-4.6).

    Parameters
    ----------
    mechanism : Mechanism, optional
        Its payments are held against V of its own training rule; None: the paper's.
    games : "rlhf", "candidate" or callable
        Where games come from.
    budget, seed : int
        Runs of the training rule; seed of all draws.

    Examples
    --------
    >>> check_prop_4_6(budget=150).status
    'holds'
    """
    draw = sampler(games)

    def unit(rng: np.random.Generator) -> Game:
        game = draw(rng)
        return replace(game, sizes=np.ones(game.groups))

    return _check_paths("prop-4.6", _fixed_size_path, mechanism, unit, budget, seed)


def check_thm_4_9(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence, sizes private, where some report makes the size irrelevant (thm-4.9).

    Default: affine maximizers that count group i with a factor drawn from 0.3..3. Checks the
    hypothesis too: the constant report's model must be the same at both sizes.

    >>> check_thm_4_9(budget=150).status
    'holds'
    """
    return _check_paths("thm-4.9", _size_changing_path, mechanism, games, budget, seed, True)


def check_cor_4_10(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence of SW-Max across reports and sizes (claim cor-4.10).

    >>> check_cor_4_10(games="candidate", budget=150).status
    'holds'
    """
    return _check_paths("cor-4.10", _size_changing_path, mechanism, games, budget, seed)


def check_lemma_C_1(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Connected domains: here random chains of segments, and no other report (claim lemma-C.1).

    >>> check_lemma_C_1(budget=150).status
    'holds'
    """
    return _check_paths("lemma-C.1", _connected_domain, mechanism, games, budget, seed)


def _check_paths(
    claim: str,
    make: PathMaker,
    mechanism: Mechanism | None,
    games: Games,
    budget: int,
    seed: int,
    reweigh: bool = False,
) -> ClaimResult:
    rng, trials, cases = np.random.default_rng(seed), 0, list[Case]()
    chosen = ranked_draws(games, rng, max(4, budget // 20))
    turn = 0
    while trials < budget:
        game, i = chosen[turn % len(chosen)]
        rule = mechanism
        if reweigh and mechanism is None:
            rule = weighted(rng.uniform(0.3, 3.0, game.groups))
        case, count = _path_case(game, i, make(rng, game, i), rule)
        cases.append(case)
        trials, turn = trials + count, turn + 1
    return worst_case(claim, cases, trials)


def _path_case(game: Game, i: int, path: Path, rule: Mechanism | None) -> tuple[Case, int]:
    start, end = (game.with_report(i, reward=t[0], size=t[1]) for t in (path[0], path[-1]))
    pay = affine_maximizer_payments if rule is None else rule.payment_rule
    along = path_payment(game, i, path, rule)
    slack = -abs(float(pay(end)[i] - pay(start)[i]) - along.value)
    if path[0][1] != path[-1][1]:
        flats = [
            game.with_report(i, reward=constant_report(game, i), size=t[1])
            for t in (path[0], path[-1])
        ]
        switch = -abs(float(pay(flats[1])[i] - pay(flats[0])[i]))
        slack = min(slack, switch)
    else:
        switch = 0.0
    scales = [float(scale(game.with_report(i, reward=r, size=w))) for r, w in path]

    def again() -> float:
        if rule is None:
            return -abs(_slow_difference(start, end, i) - along.value)
        return min(switch, -abs(float(pay(end)[i] - pay(start)[i]) - _fine(game, i, path, rule)))

    bound = along.error + ERROR * max(scales) * len(path)
    return Case(slack, bound, start, i, end, again), along.evaluations + 4


def _fine(game: Game, i: int, path: Path, rule: Mechanism) -> float:
    """V again with other pieces: every leg cut into three before it is integrated."""
    total = 0.0
    for (r0, w0), (r1, w1) in pairwise(path):
        for a, b in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
            cut = [(r0 + s * (r1 - r0), w0 + s * (w1 - w0)) for s in (a, b)]
            total += path_payment(game, i, cut, rule).value
    return total


def _slow_difference(start: Game, end: Game, i: int) -> float:
    """Payment difference by the oracles, from four optima."""
    if isinstance(start, CandidateGame) or isinstance(end, CandidateGame):
        pays = [oracles.brute_force_candidates(game)[1][i] for game in (start, end)]
        return float(pays[1] - pays[0])
    out = []
    for game in (start, end):
        q, others = game.reference.tolist(), leave_one_out_scores(game.sizes, game.rewards)[i]
        policy, best = oracles.optimum_mpmath(game.scores().tolist(), q, game.divergence, 50)
        own = (game.sizes[i] * game.rewards[i]).tolist()
        gained = sum((a * b for a, b in zip(policy, own, strict=True)), start=0 * best)
        pivot = oracles.optimum_mpmath(others.tolist(), q, game.divergence, 50)[1]
        out.append(pivot - best + gained)
    return float(out[1] - out[0])


def payment_range(lengths: Floats, first: int, last: int) -> tuple[float, float]:
    """Least and greatest pay(last) - pay(first) of all payments that make truth optimal (LP)."""
    return -_widest(lengths, last, first), _widest(lengths, first, last)


def _widest(lengths: Floats, first: int, last: int) -> float:
    """Maximise pay(last) - pay(first) subject to pay(k) - pay(j) <= l(j, k), by HiGHS."""
    k = len(lengths)
    unit = max(float(np.abs(lengths).max()), 1e-300)
    pairs = [(a, b) for a in range(k) for b in range(k) if a != b]
    rows = np.zeros((len(pairs), k))
    for row, (a, b) in zip(rows, pairs, strict=True):
        row[b], row[a] = 1.0, -1.0
    bounds = [(0.0, 0.0) if j == first else (None, None) for j in range(k)]
    limit = np.array([lengths[a, b] for a, b in pairs]) / unit
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(-np.eye(k)[last], rows, limit, bounds=bounds, method="highs", options=tight)
    return float(-found.fun * unit) if found.status == 0 else float("nan")


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
    rng, draw, trials = np.random.default_rng(seed), sampler(games), 0
    cases: list[Case] = []
    while trials < min(budget, 600):
        game = draw(rng)
        i, k = int(rng.integers(game.groups)), int(rng.integers(3, 9))
        types = [random_type(rng, game, i) for _ in range(k)]
        graph = type_graph(
            game, i, np.array([t[0] for t in types]), np.array([t[1] for t in types]), mechanism
        )
        cases.append(_range_case(graph, rng.permutation(k)[:2], mechanism, paths))
        trials += k
    return worst_case("lemma-C.2", cases, trials)


def _range_case(
    graph: TypeGraph,
    pair: NDArray[np.intp],
    mechanism: Mechanism | None,
    paths: Callable[[Floats, float], Floats | None],
) -> Case:
    lengths, (a, b) = graph.lengths, (int(pair[0]), int(pair[1]))
    found = paths(lengths, graph.tolerance)
    low, high = payment_range(lengths, a, b)
    unit = float(np.abs(lengths).max())
    tolerance = 1e-9 * unit + len(lengths) * graph.tolerance
    first, last = graph.reported(a), graph.reported(b)
    if found is None:
        return Case(-np.inf, tolerance, first, graph.group, last, lambda: -np.inf)
    slack = -max(abs(high - found[a, b]), abs(low + found[b, a]))
    if mechanism is not None:
        pay = mechanism.payment_rule
        paid = float(pay(last)[graph.group] - pay(first)[graph.group])
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
