r"""Proposition 4.4: affine maximizer payments make SW-Max DSIC and IR, and they are >= 0.

Every check works on *type tables*: K types (reward, size) of one group beside the same reports of
the others, each run through the mechanism once. Any type may be the truth and any the report, so
that K runs test K^2 deviations: gain(j, k) = [w_j v_j(p_k) - pay_k] - [w_j v_j(p_j) - pay_j].
A table holds far and near reports (a payment that is wrong by a factor gives the utility a slope
at the truth) and both sides of a point where the model changes, found by bisection (where a model
does not move smoothly, a wrong payment shows there and nowhere else).
Source: Definitions 3.2 and 3.3, Proposition 4.4, arXiv:2405.16276v4; the area identity is our own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.integrate import cubature

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
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.normalization import normalize
from mechanism.core.payments import (
    Mechanism,
    affine_maximizer_payments,
    leave_one_out_scores,
)
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_candidate_game, sample_game
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.best_response import (
    BestResponse,
    Game,
    Sampler,
    derivative_free_search,
    gradient_search,
    own_row,
    project_report,
    report_sizes,
)
from mechanism.theorems.claim_result import ClaimResult, Witness, scale

ERROR = 1e-12  # certified relative error of sw_max, in units of max |S| + lam
QUADRATURE = 1e-11  # relative error granted to a quadrature, which is asked for a tenth of it
BISECTIONS = 12
ENDS = 8.0 ** -np.arange(2.0, 15.0)  # shares at which the ends of the size curve are probed
Games = Literal["rlhf", "candidate"] | Sampler


def draw_rlhf_game(rng: np.random.Generator) -> RLHFGame:
    """Default sampler: every named divergence, lam from 1e-3 to 1e3, n 2..10, m 2..1000, ties."""
    lam, alpha = float(10 ** rng.uniform(-3, 3)), float(rng.choice([-0.5, 0.3, 1.5, 3.0]))
    plain = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)
    kind = int(rng.integers(len(plain) + 1))
    divergence: Divergence = plain[kind](lam) if kind < len(plain) else Alpha(alpha, lam)
    outcomes = min(1000, 2 + int(3 * rng.pareto(1.2)))
    how: Literal["summation", "maximum"] = "summation" if rng.random() < 0.5 else "maximum"
    skew = float(rng.choice([1.0, 1.0, 4.0, 40.0]))
    groups = int(rng.integers(2, 11))
    game = sample_game(rng, groups, outcomes, divergence, how, skew=skew)
    if rng.random() < 0.8:
        return game
    levels = np.floor(3 * game.rewards / game.rewards.max(axis=-1, keepdims=True))
    return replace(game, rewards=normalize(levels, how))


def draw_candidate_game(rng: np.random.Generator) -> CandidateGame:
    """Default sampler of candidate games: n 2..10, k 2..40, half of them with divergences."""
    groups, candidates = int(rng.integers(2, 11)), min(40, 2 + int(4 * rng.pareto(1.5)))
    costly = float(rng.choice([0.0, 1.0]))
    return sample_candidate_game(rng, groups, candidates, divergence_scale=costly)


def sampler(games: Games) -> Sampler:
    """Turn "rlhf", "candidate" or a callable rng -> game into a sampler."""
    if callable(games):
        return games
    if games not in ("rlhf", "candidate"):
        fix = 'pass "rlhf", "candidate" or a function of a random generator'
        raise InvalidInputError("games", repr(games), "unknown sampler", fix)
    return draw_rlhf_game if games == "rlhf" else draw_candidate_game


def value_identity_gap(game: Game) -> Floats:
    """(..., n): |truthful utility - (ASW(psi(all)) - ASW_-i(psi(others)))|, reward units.

    >>> value_identity_gap(CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])).round(12)
    array([0., 0.])
    """
    model = sw_max(game)
    utilities = game.utilities(model, affine_maximizer_payments(game))
    if isinstance(game, CandidateGame):
        costs = 0.0 if game.divergences is None else game.divergences[..., None, :]
        best = (leave_one_out_scores(game.sizes, game.values) - costs).max(axis=-1)
    else:
        scores = leave_one_out_scores(game.sizes, game.rewards)
        best = optimal_policies(scores, game.reference[..., None, :], game.divergence)[1]
    return np.asarray(np.abs(utilities - (np.asarray(game.welfare(model))[..., None] - best)))


@dataclass(frozen=True)
class TypeTable:
    """K types of one group, each run through the mechanism beside the others' same reports."""

    game: Game
    group: int
    rewards: Floats  # (K, m)
    sizes: Floats  # (K,)
    models: Floats  # (K, m) policies, or (K,) indices
    payments: Floats  # (K, n)

    def reported(self, k: int) -> Game:
        """The game in which the group's type is the k-th."""
        return self.game.with_report(self.group, reward=self.rewards[k], size=self.sizes[k])

    def gains(self) -> Floats:
        """(K, K): what type j gains by reporting type k."""
        if isinstance(self.game, CandidateGame):
            values = self.rewards[:, self.models]
        else:
            values = self.rewards @ self.models.T
        utilities = self.sizes[:, None] * values - self.payments[None, :, self.group]
        return np.asarray(utilities - utilities.diagonal()[:, None])

    def truthful_utilities(self) -> Floats:
        """(K, n): utilities of all groups where type k is the truth."""
        batch = self.game.with_report(self.group, reward=self.rewards, size=self.sizes)
        return batch.utilities(self.models, self.payments)

    @property
    def tolerance(self) -> float:
        """Certified error of a utility in this table."""
        batch = self.game.with_report(self.group, reward=self.rewards, size=self.sizes)
        return ERROR * float(np.max(scale(batch)))

    @property
    def distances(self) -> Floats:
        """(K,): how far each model is from that of the first type, 0 to 1."""
        if isinstance(self.game, CandidateGame):
            return np.asarray(self.models != self.models[0], dtype=np.float64)
        return np.asarray(np.abs(self.models - self.models[0]).sum(axis=-1) / 2)


def run_types(
    mechanism: Mechanism | None, game: Game, i: int, rewards: Floats, sizes: Floats
) -> TypeTable:
    """Run the mechanism on every type: the paper's as one batch, any other game by game."""
    if mechanism is None:
        batch = game.with_report(i, reward=rewards, size=sizes)
        return TypeTable(
            game, i, rewards, sizes, np.asarray(sw_max(batch)), affine_maximizer_payments(batch)
        )
    single = [game.with_report(i, reward=r, size=w) for r, w in zip(rewards, sizes, strict=True)]
    models = np.array([mechanism.training_rule(one) for one in single])
    payments = np.array([mechanism.payment_rule(one) for one in single], dtype=np.float64)
    return TypeTable(game, i, rewards, sizes, models, payments)


def draw_types(rng: np.random.Generator, game: Game, i: int) -> tuple[Floats, Floats]:
    """Types to try, the truth first: rewards (K, m) and sizes (K,).

    Near and far mixtures with the constant report (which shrink a group's influence), their
    opposites, random directions, spikes (also at what the others like least), random rewards; then
    the truth at other sizes, and random rewards at random sizes.
    """
    own, m = own_row(game, i), own_row(game, i).shape[-1]
    constant = np.full(m, 1.0 / m if _is_summation(game) else 1.0)
    steps = np.array([1e-3, 1e-2, 0.1])[:, None]
    away, noise = own - constant, rng.standard_normal((2, m))
    others = game.scores() - game.sizes[i] * own
    spikes = np.eye(m)[[own.argmax(), int(rng.integers(m)), others.argmin()]]
    rows = [
        own[None], own - steps * away, own + steps * away, own + steps * noise[0],
        own - steps[:2] * noise[0], own + steps[:2] * noise[1],
        constant[None], spikes, rng.random((3, m)),
    ]  # fmt: skip
    rewards = project_report(game, i, np.concatenate(rows))
    grid, size = report_sizes(game, i), float(game.sizes[i])
    sizes = np.unique([1.0, max(1.0, size - 1), size + 1, grid[-1], rng.choice(grid)])
    mixed = project_report(game, i, rng.random((2, m)))
    least = rewards[-4:-3]  # the spike that the others like least, as a group of one: IR is tight
    return (
        np.concatenate([rewards, np.tile(own, (len(sizes), 1)), mixed, least]),
        np.concatenate([np.full(len(rewards), size), sizes, rng.choice(grid, 2), [1.0]]),
    )


def _is_summation(game: Game) -> bool:
    return isinstance(game, RLHFGame) and game.normalization == "summation"


def explore(mechanism: Mechanism | None, game: Game, i: int, rng: np.random.Generator) -> TypeTable:
    """Type table of group i: `draw_types`, then bisection for the first change of the model."""
    rewards, sizes = draw_types(rng, game, i)
    table = run_types(mechanism, game, i, rewards, sizes)
    distances = np.where(sizes == sizes[0], table.distances, 0.0)
    target, change = rewards[distances.argmax()], distances.max()
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS if change > 0 else 0):
        middle = (low + high) / 2
        row = project_report(game, i, (1 - middle) * rewards[0] + middle * target)
        if isinstance(game, RLHFGame) and game.normalization == "maximum":
            row = row / row.max()
        step = run_types(mechanism, game, i, row[None], sizes[:1])
        table = _stack(table, step)
        moved = table.distances[-1] > 0.1 * change
        low, high = (low, middle) if moved else (middle, high)
    return table


def _stack(first: TypeTable, second: TypeTable) -> TypeTable:
    return replace(
        first,
        rewards=np.concatenate([first.rewards, second.rewards]),
        sizes=np.concatenate([first.sizes, second.sizes]),
        models=np.concatenate([first.models, second.models]),
        payments=np.concatenate([first.payments, second.payments]),
    )


@dataclass(frozen=True)
class _Case:
    """Slack of one inequality, in reward units, and where it was seen."""

    slack: float
    tolerance: float
    game: Game
    group: int
    report: Game | None
    recompute: Callable[[], float]

    @property
    def ratio(self) -> float:
        return self.slack / self.tolerance


def draw_tables(
    mechanism: Mechanism | None, games: Games, budget: int, seed: int
) -> Iterator[TypeTable]:
    """Tables until `budget` runs are spent: half from the games with the largest payments.

    The pool of budget / 2 games is ranked by the paper's payments, which are no run of the
    mechanism that is tested.
    """
    rng, draw = np.random.default_rng(seed), sampler(games)
    pool = [draw(rng) for _ in range(max(2, budget // 2))]
    payments = [affine_maximizer_payments(game) for game in pool]
    order = np.argsort([-pay.max() for pay in payments], kind="stable")
    spent = turn = 0
    while spent < budget:
        top = turn % 2 == 0
        k = int(order[(turn // 2) % len(order)] if top else rng.integers(len(pool)))
        i = int(payments[k].argmax()) if top else int(rng.integers(pool[k].groups))
        table = explore(mechanism, pool[k], i, rng)
        spent, turn = spent + len(table.sizes), turn + 1
        yield table


def check_dsic(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Definition 3.2: no group gains by another report of reward and size (claim def-3.2).

    Three fifths of `budget` go into type tables, the rest into searches from the worst of them:
    `gradient_search` for the paper's mechanism, `derivative_free_search` for any other.

    Parameters
    ----------
    mechanism : Mechanism, optional
        Checked in place of the paper's; called on one game at a time.
    games : "rlhf", "candidate" or callable
        Where games come from; a callable takes a random generator.
    budget : int
        Runs of the mechanism.
    seed : int

    Returns
    -------
    ClaimResult
        `margin` is the least (utility of truth - utility of report) in reward units, at the case
        that is worst in units of its own tolerance, 1e-12 (max |S| + lam).

    Examples
    --------
    >>> check_dsic(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, 3 * budget // 5, seed))
    return _result("def-3.2", *_dsic_cases(mechanism, tables, budget, seed))


def check_ir(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Definition 3.3: truth gives every group a utility of at least 0 (claim def-3.3).

    >>> check_ir(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, budget, seed))
    return _result("def-3.3", [_ir_case(mechanism, t) for t in tables], _runs(tables))


def check_non_negative(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """No payment is negative (third part of prop-4.4).

    >>> check_non_negative(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, budget, seed))
    return _result("prop-4.4", [_sign_case(mechanism, t) for t in tables], _runs(tables))


def check_prop_4_4(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Proposition 4.4: DSIC, IR and payments >= 0, on the same tables (claim prop-4.4).

    >>> check_prop_4_4(budget=200).status
    'holds'
    """
    tables = list(draw_tables(mechanism, games, 3 * budget // 5, seed))
    cases, trials = _dsic_cases(mechanism, tables, budget, seed)
    for table in tables:
        cases += [_ir_case(mechanism, table), _sign_case(mechanism, table)]
    return _result("prop-4.4", cases, trials)


def _runs(tables: list[TypeTable]) -> int:
    return sum(len(table.sizes) for table in tables)


def _result(claim: str, cases: list[_Case], trials: int) -> ClaimResult:
    worst = min(cases, key=lambda case: case.ratio)
    witness = Witness(worst.game, worst.group, worst.report, -worst.slack, worst.recompute)
    gap = abs(worst.slack - witness.replay())
    return ClaimResult(claim, worst.slack, worst.tolerance, trials, witness, gap)


def _dsic_cases(
    mechanism: Mechanism | None, tables: list[TypeTable], budget: int, seed: int
) -> tuple[list[_Case], int]:
    cases = [_dsic_case(mechanism, table) for table in tables]
    trials = _runs(tables)
    for case in sorted(cases, key=lambda case: case.ratio):
        if trials >= budget:
            break
        found = _search(mechanism, case.game, case.group, budget - trials, seed)
        trials += found.evaluations
        cases.append(_response_case(mechanism, found))
    return cases, trials


def _dsic_case(mechanism: Mechanism | None, table: TypeTable) -> _Case:
    gains, i = table.gains(), table.group
    np.fill_diagonal(gains, -np.inf)
    j, k = (int(index) for index in np.unravel_index(gains.argmax(), gains.shape))
    truth, report = table.reported(j), table.reported(k)
    return _Case(
        -float(gains[j, k]), table.tolerance, truth, i, report,
        lambda: slow_utility(mechanism, truth, truth, i)
        - slow_utility(mechanism, truth, report, i),
    )  # fmt: skip


def _response_case(mechanism: Mechanism | None, found: BestResponse) -> _Case:
    game, report, i = found.game, found.report, found.group
    tolerance = ERROR * float(max(scale(game), scale(report)))
    return _Case(
        -found.gain, tolerance, game, i, report,
        lambda: slow_utility(mechanism, game, game, i) - slow_utility(mechanism, game, report, i),
    )  # fmt: skip


def _search(mechanism: Mechanism | None, game: Game, i: int, left: int, seed: int) -> BestResponse:
    sizes = np.unique([1.0, game.sizes[i], report_sizes(game, i)[-1]])
    if mechanism is None and isinstance(game, RLHFGame) and game.divergence.strictly_convex:
        return gradient_search(game, i, sizes=sizes, starts=4, steps=14, seed=seed)
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    return derivative_free_search(game, i, rule, sizes=sizes, budget=min(left, 400), seed=seed)


def _ir_case(mechanism: Mechanism | None, table: TypeTable) -> _Case:
    utilities = table.truthful_utilities()
    k, i = (int(index) for index in np.unravel_index(utilities.argmin(), utilities.shape))
    game = table.reported(k)
    return _Case(
        float(utilities[k, i]), table.tolerance, game, i, None,
        lambda: slow_utility(mechanism, game, game, i),
    )  # fmt: skip


def _sign_case(mechanism: Mechanism | None, table: TypeTable) -> _Case:
    k, i = (int(x) for x in np.unravel_index(table.payments.argmin(), table.payments.shape))
    game = table.reported(k)
    return _Case(
        float(table.payments[k, i]), table.tolerance, game, i, None,
        lambda: slow_payment(mechanism, game, i),
    )  # fmt: skip


def slow_payment(mechanism: Mechanism | None, game: Game, i: int) -> float:
    """Payment of group i by the oracles; a user's rule is taken at its word."""
    return -_slow(mechanism, game, game, i)[1]


def slow_utility(mechanism: Mechanism | None, truth: Game, report: Game, i: int) -> float:
    """True utility of group i after a report: high-precision arithmetic, or enumeration."""
    value, transfer = _slow(mechanism, truth, report, i)
    return value + transfer


def _slow(mechanism: Mechanism | None, truth: Game, report: Game, i: int) -> tuple[float, float]:
    """w_i v_i and -pay_i, each recomputed by slow means."""
    row, size = own_row(truth, i), float(truth.sizes[i])
    if mechanism is not None:
        model, pay = mechanism.training_rule(report), mechanism.payment_rule(report)
        at = [float(model == k) for k in range(len(row))] if np.ndim(model) == 0 else list(model)
        return size * _exact_dot(at, row), -float(pay[i])
    if isinstance(report, CandidateGame):
        index, payments = oracles.brute_force_candidates(report)
        return size * float(row[index]), -payments[i]
    scores, reference = report.scores().tolist(), report.reference.tolist()
    others = leave_one_out_scores(report.sizes, report.rewards)[i].tolist()
    own = report.sizes[i] * own_row(report, i)
    policy, best = oracles.optimum_mpmath(scores, reference, report.divergence, 34)
    pivot = oracles.optimum_mpmath(others, reference, report.divergence, 34)[1]
    gained = sum((p * float(r) for p, r in zip(policy, own, strict=True)), start=0 * best)
    value = sum((p * float(r) for p, r in zip(policy, row, strict=True)), start=0 * best)
    return size * float(value), -float(pivot - (best - gained))


def _exact_dot(first: list[float], second: Floats) -> float:
    from fractions import Fraction

    pairs = zip(first, second, strict=True)
    return float(sum((Fraction(float(a)) * Fraction(float(b)) for a, b in pairs), Fraction(0)))


def size_breakpoints(game: Game, i: int) -> Floats:
    """Points s in (0, 1) where the best outcome of S(s) = S_-i + s w_i rm_i changes.

    Walks the upper envelope of m lines. For total variation the points are added where mass starts
    or stops to move (max S - S(x) = 2 lam), so that with these, as for candidate sets, the model is
    constant in between.

    >>> size_breakpoints(CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1]), 0)
    array([0.5])
    """
    slopes = game.sizes[i] * own_row(game, i)
    if isinstance(game, CandidateGame):
        base = leave_one_out_scores(game.sizes, game.values)[i]
        base = base if game.divergences is None else base - game.divergences
        reach = np.inf
    else:
        base = leave_one_out_scores(game.sizes, game.rewards)[i]
        moves = isinstance(game.divergence, TotalVariation)
        reach = 2 * game.divergence.lam if moves else np.inf
    s, points = 0.0, [np.empty(0)]
    top = int(np.lexsort((slopes, base))[-1])
    while s < 1:
        rise = slopes - slopes[top]
        with np.errstate(all="ignore"):
            crossings = np.where(rise > 0, (base[top] - base) / rise, np.inf)
            jumps = (base[top] - base - reach) / rise
        following = int(crossings.argmin())
        end = min(1.0, max(s, float(crossings[following])))
        points.append(jumps[np.isfinite(jumps) & (jumps > s) & (jumps < end)])
        points.append(np.array([end]))
        s, top = end, following
    found = np.unique(np.concatenate(points))
    return found[(found > 0) & (found < 1)]


@dataclass(frozen=True)
class Area:
    """Area under the curve of w_i v_i against the reported share s of the own size, s in (0, 1).

    `error` is the quadrature's own estimate; `edges` bound the pieces it used (all of one model
    each, where `exact`).
    """

    value: float
    error: float
    edges: Floats
    exact: bool
    evaluations: int


def size_curve(game: Game, i: int, share: Floats, mechanism: Mechanism | None = None) -> Floats:
    """w_i v_i of the model that group i gets by reporting `share` (...) of its size; true values.

    >>> size_curve(CandidateGame([[1.0, 0.0], [0.0, 0.5]], [2, 1]), 0, np.array([0.1, 0.9]))
    array([0., 2.])
    """
    if mechanism is not None:
        share = np.asarray(share)
        flat = [game.with_report(i, size=s * game.sizes[i]) for s in share.ravel()]
        values = [game.valuations(mechanism.training_rule(one))[i] for one in flat]
        return np.asarray(game.sizes[i] * np.reshape(values, share.shape))
    reported = game.with_report(i, size=share * game.sizes[i])
    return np.asarray(game.sizes[i] * game.valuations(sw_max(reported))[..., i])


def _kinks(game: Game, i: int) -> Floats:
    """Shares s where an outcome's probability reaches 0 (f'(0) finite, at most 40 outcomes).

    With mu such that x is just at 0, the others' mass is sum_y q(y) (f')^-1(f'(0) + S(y) - S(x)):
    x is out where that exceeds 1. Crossings of the lines S(x), S(y) bracket the changes.
    """
    if not isinstance(game, RLHFGame) or game.divergence.interior or game.outcomes > 40:
        return np.empty(0)
    slopes = game.sizes[i] * own_row(game, i)
    base = leave_one_out_scores(game.sizes, game.rewards)[i]
    floor = game.divergence.df(0.0)

    def excess(s: Floats, x: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Floats:
        scores = base + s[:, None] * slopes
        rises = scores - np.take_along_axis(scores, x[:, None], axis=-1)
        return np.asarray(game.divergence.df_inverse(floor + rises) @ game.reference - 1.0)

    with np.errstate(all="ignore"):
        cross = -(base[:, None] - base) / (slopes[:, None] - slopes)
    grid = np.unique(np.concatenate([[0.0, 1.0], cross[(cross > 0) & (cross < 1)]]))
    s, x = np.repeat(grid, game.outcomes), np.tile(np.arange(game.outcomes), len(grid))
    out = (excess(s, x) > 0).reshape(len(grid), -1)
    cell, which = np.nonzero(out[1:] != out[:-1])
    low, high, before = grid[cell], grid[cell + 1], out[cell, which]
    for _ in range(55):
        middle = (low + high) / 2
        same = (excess(middle, which) > 0) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found = np.unique(low)
    return found[(found > 0) & (found < 1)]


def _steep_ends(game: Game, i: int, mechanism: Mechanism | None) -> Floats:
    """Points close to 0 and 1 between which the curve still moves by more than 1e-9 of it."""
    found = []
    for shares in (ENDS, 1.0 - ENDS):
        heights = size_curve(game, i, shares, mechanism)
        moved = np.abs(np.diff(heights)) > 1e-9 * np.abs(heights).max()
        found.append(shares[: int(np.max(np.nonzero(moved)[0], initial=-1)) + 1])
    return np.concatenate(found)


def utility_area(game: Game, i: int, mechanism: Mechanism | None = None) -> Area:
    """Integrate `size_curve` over s in (0, 1): the truthful utility, by the envelope theorem.

    Candidate sets and total variation are summed exactly between breakpoints; the others go
    through scipy's adaptive Gauss-Kronrod rule, split at kinks and towards steep ends. The curve
    never falls (the optimum is convex in s), so it has steps but no spikes, and a step inside a
    piece shows in the difference of the two rules. That is the error reported, at least
    1e-11 (max |S| + lam); the rule is asked for a tenth of this.
    """
    steps = isinstance(game, CandidateGame) or isinstance(game.divergence, TotalVariation)
    points = size_breakpoints(game, i) if steps else np.empty(0)
    if mechanism is None and steps:
        edges = np.concatenate([[0.0], points, [1.0]])
        heights = size_curve(game, i, (edges[1:] + edges[:-1]) / 2)
        return Area(float(heights @ np.diff(edges)), 0.0, edges, True, len(heights))
    if mechanism is not None and steps:
        extra = points  # a rule like SW-Max jumps there
    else:
        extra = np.concatenate([_kinks(game, i), _steep_ends(game, i, mechanism)])
    cuts = np.unique(np.concatenate([[0.0], extra, [1.0]]))
    # one call a piece: given all cuts at once, scipy 1.17 does not split the worst piece first
    pieces = [
        cubature(
            lambda s: size_curve(game, i, s[:, 0], mechanism)[:, None], [left], [right],
            rule="gk21", rtol=0.0, atol=QUADRATURE / 10 * float(scale(game)) / (len(cuts) - 1),
            max_subdivisions=100,
        )
        for left, right in pairwise(cuts)
    ]  # fmt: skip
    edges = np.unique([[r.a[0], r.b[0]] for piece in pieces for r in piece.regions])
    runs = 2 * len(ENDS) + sum(21 * (2 * piece.subdivisions + 1) for piece in pieces)
    error = max(sum(float(p.error[0]) for p in pieces), QUADRATURE * float(scale(game)))
    return Area(sum(float(p.estimate[0]) for p in pieces), error, edges, False, runs)


def check_identity_area(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    r"""Truthful utility is an area: u_i = int_0^1 w_i v(psi(s w_i, w_-i); rm_i) ds.

    Sizes are reals here. It holds for every DSIC mechanism in which a group of size 0 has utility
    0, so it is a test of the payments of any mechanism (claim identity-area). Games with more than
    12 outcomes are passed over. The tolerance adds the quadrature's error estimate.

    >>> check_identity_area(games="candidate", budget=200).status
    'holds'
    """
    rng, draw = np.random.default_rng(seed), sampler(games)
    trials = 0
    cases: list[_Case] = []
    while trials < budget:
        game = draw(rng)
        # a wrong payment shows most where it is large
        largest, any_group = affine_maximizer_payments(game).argmax(), rng.integers(game.groups)
        i = int(any_group if len(cases) % 2 else largest)
        if len(own_row(game, i)) > 12:
            trials += 1  # so that a sampler of large games alone ends too
            continue
        case, runs = _area_case(mechanism, game, i)
        cases.append(case)
        trials += runs
    if not cases:
        raise InvalidInputError(
            "games", "sampler", "drew no game of 12 outcomes or fewer", "shrink"
        )
    return _result("identity-area", cases, trials)


def _area_case(mechanism: Mechanism | None, game: Game, i: int) -> tuple[_Case, int]:
    area = utility_area(game, i, mechanism)
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    gap = abs(float(rule.utilities(game, game)[i]) - area.value)
    case = _Case(
        -gap, area.error + ERROR * float(scale(game)), game, i, None,
        lambda: -abs(slow_utility(mechanism, game, game, i) - _slow_area(mechanism, game, i, area)),
    )  # fmt: skip
    return case, area.evaluations + 1


def _slow_area(mechanism: Mechanism | None, game: Game, i: int, area: Area) -> float:
    """The same area by the Gauss half of the rule on the same pieces, each model by the oracle."""
    nodes, weights = np.polynomial.legendre.leggauss(1 if area.exact else 10)
    total = 0.0
    for left, right in pairwise(area.edges):
        for node, weight in zip(nodes, weights, strict=True):
            share = left + (right - left) * (1 + node) / 2
            reported = game.with_report(i, size=share * game.sizes[i])
            total += weight * (right - left) / 2 * _slow_value(mechanism, game, reported, i)
    return float(total)


def _slow_value(mechanism: Mechanism | None, game: Game, reported: Game, i: int) -> float:
    """w_i v_i of the reported game's model."""
    size, row = float(game.sizes[i]), own_row(game, i)
    if mechanism is not None:
        return size * float(game.valuations(mechanism.training_rule(reported))[i])
    if isinstance(reported, CandidateGame):
        return size * float(row[oracles.brute_force_candidates(reported)[0]])
    scores, reference = reported.scores().tolist(), reported.reference.tolist()
    policy, _ = oracles.optimum_mpmath(scores, reference, reported.divergence, 20)
    return size * float(np.array([float(p) for p in policy]) @ row)
