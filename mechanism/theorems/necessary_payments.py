r"""Theorem 4.11 and Corollary 4.13: what payments must be, once they are DSIC, IR and >= 0.

By payment equivalence pay_i = pay_i^AFF + g, where g depends on the others' reports and q alone.
Payments >= 0 force g >= 0, since group i's constant report costs nothing. IR forces g <= *room*,

.. math:: \mathrm{room}_i = \min_{rm_i \in R,\ w_i \ge 1}
          \max_p \{w_i E_p[rm_i] + ASW_{-i}(p)\} - \max_p ASW_{-i}(p),

the least truthful utility under affine maximizer payments: every g in [0, room] is allowed.
Source: Theorem 4.11 and Corollary 4.13, arXiv:2405.16276v4; the room is our own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

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
from mechanism.core.errors import Floats, InvalidInputError, as_floats, group_index
from mechanism.core.payments import Mechanism, leave_one_out_scores
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.approximate_dsic import replayed_payment, slow_optimum, two_outcome_loss
from mechanism.theorems.best_response import Game, own_row, project_simplex
from mechanism.theorems.claim_result import ClaimResult, Witness, scale
from mechanism.theorems.type_tables import (
    ERROR,
    Games,
    TypeTable,
    draw_tables,
    draw_types,
    run_types,
)

CONTINUOUS: tuple[Callable[[float], Divergence], ...] = (
    KL, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon,
    lambda lam: Alpha(-1.0, lam), lambda lam: Alpha(1.5, lam), lambda lam: Alpha(3.0, lam),
)  # fmt: skip
Inputs = Callable[[float, Divergence, int], RLHFGame]


def witness_inputs(epsilon: float, divergence: Divergence, groups: int = 2) -> RLHFGame:
    """Witness of Theorem 4.11: q = (eps, 1 - eps), group 1 wants x1, all others x2, sizes 1.

    >>> game = witness_inputs(0.1, KL(1.0))
    >>> game.utilities(sw_max(game), affine_payments(game))[0] <= 0.1
    np.True_
    """
    rewards = np.zeros((groups, 2))
    rewards[0, 0], rewards[1:, 1] = 1.0, 1.0
    reference = np.array([epsilon, 1.0 - epsilon])
    return RLHFGame(rewards, np.ones(groups), reference, divergence, "maximum")


def affine_payments(game: Game) -> Floats:
    """Payments of the paper's mechanism.

    >>> affine_payments(witness_inputs(0.5, KL(1.0))).round(4)
    array([0.1201, 0.1201])
    """
    return np.asarray(Mechanism.affine_maximizer().payment_rule(game))


def truthful_utility(game: RLHFGame, i: int) -> Floats:
    """C(S) - C(S_-i), the truthful utility of group i under affine maximizer payments, shape (...).

    >>> truthful_utility(witness_inputs(0.1, KL(1.0)), 0).round(4)
    np.float64(0.0653)
    """
    i = group_index(i, game.groups)
    others = leave_one_out_scores(game.sizes, game.rewards)[..., i, :]
    both = np.stack([game.scores(), others], axis=-2)
    q = game.reference[..., None, :]
    values = optimal_policies(both, q, game.divergence)[1]
    return np.asarray(values[..., 0] - values[..., 1])[()]


def room(game: RLHFGame, i: int, smallest: float = 1.0, steps: int = 300) -> float:
    """Greatest g that IR leaves over the affine payments, given the others' reports and q.

    Maximum normalisation: exact, since a group that wants one outcome alone has least utility among
    those who want it. Summation: a convex problem, solved by `steps` projected gradient steps from
    the best of spikes and the constant report; the value found is an upper bound.

    Parameters
    ----------
    game : RLHFGame
        Group i's own report is ignored.
    i : int
    smallest : float
        Least size that group i may report: 1 in the paper.

    Examples
    --------
    >>> round(room(witness_inputs(0.1, KL(1.0)), 0), 4)
    0.0653
    """
    spikes = np.eye(game.outcomes)
    if game.normalization == "maximum":
        batch = game.with_report(i, reward=spikes, size=np.full(game.outcomes, smallest))
        return float(truthful_utility(batch, i).min())
    starts = np.concatenate([spikes, np.full((1, game.outcomes), 1.0 / game.outcomes)])

    def value(rows: Floats) -> tuple[Floats, Floats]:
        batch = game.with_report(i, reward=rows, size=np.full(len(rows), smallest))
        return truthful_utility(batch, i), np.asarray(sw_max(batch), dtype=np.float64)

    rows = starts
    level, slope = value(rows)
    pace = np.full(len(rows), 0.3)
    for _ in range(steps):
        tried = project_simplex(rows - pace[:, None] * slope)
        new, new_slope = value(tried)
        down = new < level
        rows, level = np.where(down[:, None], tried, rows), np.where(down, new, level)
        slope, pace = np.where(down[:, None], new_slope, slope), pace * np.where(down, 1.3, 0.4)
    return float(level.min())


@dataclass(frozen=True)
class PathBounds:
    """Bounds on pay_i(truth) - pay_i(constant report) that DSIC alone gives along a path.

    Attributes
    ----------
    lower, upper : float
        Sums of w <p_{j+1} - p_j, rm_j> and of w <p_{j+1} - p_j, rm_{j+1}>; they differ by
        w <p_n - p_0, rm - rm*> / n.
    exact : float
        The difference of the affine maximizer payments.
    """

    lower: float
    upper: float
    exact: float


def path_bounds(game: RLHFGame, i: int, steps: int) -> PathBounds:
    """Mix group i's constant report into its reward in `steps` steps and add up DSIC constraints.

    >>> bounds = path_bounds(witness_inputs(0.1, KL(1.0)), 0, 10)
    >>> bounds.lower < bounds.exact < bounds.upper
    True
    """
    own = own_row(game, i)
    shares = np.linspace(0.0, 1.0, steps + 1)[:, None]
    rows = (1 - shares) * _constant(game) + shares * own
    batch = game.with_report(i, reward=rows)
    policies, pay = np.asarray(sw_max(batch), dtype=np.float64), affine_payments(batch)[:, i]
    moves, size = np.diff(policies, axis=0), float(game.sizes[i])
    lower = size * float((moves * rows[:-1]).sum())
    return PathBounds(lower, size * float((moves * rows[1:]).sum()), float(pay[-1] - pay[0]))


def _constant(game: Game) -> float:
    summation = isinstance(game, RLHFGame) and game.normalization == "summation"
    return 1.0 / own_row(game, 0).shape[-1] if summation else 1.0


def one_group_room(divergence: Divergence, size: float = 1.0) -> float:
    """Room of a group that is alone (n = 1) in two outcomes, in the limit q(x1) -> 0.

    Zero where moving the first mass to x1 costs more than it is worth; that holds for every lam if
    f' is unbounded (KL, chi-squared). Else Theorem 4.11's upper part fails for n = 1 and eps below
    this room, whatever q: KL 0, squared Hellinger (1 - lam)^2 for lam < 1 = size.

    >>> one_group_room(SquaredHellinger(0.25)), one_group_room(KL(0.25))
    (0.5625, 0.0)
    """
    lam = divergence.lam
    first = divergence.slope_limit - float(divergence.df(1.0)) / lam
    if isinstance(divergence, TotalVariation):
        first = 2.0  # the kink at 1: mass leaves x2 at slope -1
    if not np.isfinite(first) or size <= first * lam:
        return 0.0
    return float(two_outcome_loss(divergence, size - first * lam))


@dataclass(frozen=True)
class _Case:
    """Slack of one inequality (reward units, or shares of eps), and where it was seen."""

    slack: float
    tolerance: float
    game: Game
    group: int
    recompute: Callable[[], float]


def _result(claim: str, cases: list[_Case], trials: int) -> ClaimResult:
    """Clear violations first, by their tolerance; else the least slack."""
    broken = [case for case in cases if case.slack < -case.tolerance]
    if broken:
        worst = min(broken, key=lambda case: case.slack / case.tolerance)
    else:
        worst = min(cases, key=lambda case: case.slack)
    witness = Witness(worst.game, worst.group, None, -worst.slack, worst.recompute)
    gap = abs(worst.slack - witness.replay())
    return ClaimResult(claim, worst.slack, worst.tolerance, trials, witness, gap)


def check_thm_4_11_lower(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0,
    *, constant_report: bool = True,
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, first half: DSIC and payments >= 0 imply pay_i >= pay_i^AFF.

    Without `mechanism` the lowest rule that is DSIC and >= 0 on each type table is built,
    pay^AFF - min over types of pay^AFF, and compared with pay^AFF; a quarter of the budget goes
    into `path_bounds`, which do without payment equivalence: the upper bound of every path may not
    be below pay^AFF. With a mechanism, its payments are compared with pay^AFF on the same tables.

    Parameters
    ----------
    mechanism : Mechanism, optional
        One that claims to be DSIC with payments >= 0.
    games : "rlhf", "candidate" or callable
    budget : int
        Runs of the mechanism.
    seed : int
    constant_report : bool
        Whether the constant reward model may be reported; without it the statement fails.

    Returns
    -------
    ClaimResult
        `margin` is the least (pay - pay^AFF), reward units.

    Examples
    --------
    >>> check_thm_4_11_lower(budget=200).status
    'holds'
    """
    cases, trials = [], 0
    for table in draw_tables(
        mechanism, games, 3 * budget // 4 if mechanism is None else budget, seed
    ):
        trials += len(table.sizes)
        if mechanism is None:
            cases.append(_lowest_rule_case(table, constant_report))
            if trials < budget and isinstance(table.game, RLHFGame):
                cases.append(_path_case(table.game, table.group))
                trials += 9
        else:
            cases.append(_below_case(mechanism, table))
    return _result("thm-4.11-lower", cases, trials)


def _lowest_rule_case(table: TypeTable, constant_report: bool) -> _Case:
    pay = table.payments[:, table.group]
    varied = np.ptp(table.rewards, axis=-1) > 1e-9
    pay = np.where(varied | constant_report, pay, np.inf)
    k = int(pay.argmin())
    cheapest, i = table.reported(k), table.group
    return _Case(
        -float(pay[k]), table.tolerance, cheapest, i, lambda: -replayed_payment(None, cheapest, i)
    )


def _path_case(game: RLHFGame, i: int) -> _Case:
    bounds = path_bounds(game, i, 8)
    constant = game.with_report(i, reward=np.full(game.outcomes, _constant(game)))

    def recompute() -> float:
        return bounds.upper - (
            replayed_payment(None, game, i) - replayed_payment(None, constant, i)
        )

    error = 2 * ERROR * float(max(scale(game), scale(constant)))
    return _Case(bounds.upper - bounds.exact, error, game, i, recompute)


def _below_case(mechanism: Mechanism, table: TypeTable) -> _Case:
    exact = run_types(None, table.game, table.group, table.rewards, table.sizes).payments
    slack = table.payments - exact
    k, i = (int(index) for index in np.unravel_index(slack.argmin(), slack.shape))
    game = table.reported(k)
    return _Case(
        float(slack[k, i]), table.tolerance, game, i,
        lambda: replayed_payment(mechanism, game, i) - replayed_payment(None, game, i),
    )  # fmt: skip


def check_thm_4_11_upper(
    mechanism: Mechanism | None = None, games: str = "rlhf", budget: int = 2000, seed: int = 0,
    *, inputs: Inputs = witness_inputs, groups: tuple[int, int] = (2, 10),
) -> ClaimResult:  # fmt: skip
    """Theorem 4.11, second half: DSIC and IR imply pay_1 <= pay_1^AFF + eps at the witness.

    Without `mechanism`: the dearest rule that is IR is pay^AFF + room, and the room at the witness
    must be <= eps, for random eps, divergence and number of groups. With a mechanism: its payment
    at the witness, for many own reports.

    Parameters
    ----------
    mechanism : Mechanism, optional
        One that claims to be DSIC and IR.
    games : "rlhf"
        The witness is a continuous game.
    budget : int
    seed : int
    inputs : callable
        (eps, divergence, groups) -> game, in place of the paper's witness.
    groups : tuple of int
        Least and greatest number of groups.

    Returns
    -------
    ClaimResult
        `margin` is the least (pay^AFF + eps - pay) / eps.

    Examples
    --------
    >>> check_thm_4_11_upper(budget=200).status
    'holds'
    """
    return _at_witness("thm-4.11-upper", mechanism, games, budget, seed, inputs, groups)


def check_cor_4_13(
    mechanism: Mechanism | None = None, games: str = "rlhf", budget: int = 2000, seed: int = 0,
    *, inputs: Inputs = witness_inputs, groups: tuple[int, int] = (2, 10),
) -> ClaimResult:  # fmt: skip
    """Corollary 4.13: DSIC, IR and payments >= 0 imply |pay_1 - pay_1^AFF| <= eps at the witness.

    As `check_thm_4_11_upper`, from both sides: the lowest and the dearest rule are compared.

    >>> check_cor_4_13(budget=200).status
    'holds'
    """
    return _at_witness("cor-4.13", mechanism, games, budget, seed, inputs, groups)


def _at_witness(
    claim: str, mechanism: Mechanism | None, games: str, budget: int, seed: int,
    inputs: Inputs, groups: tuple[int, int],
) -> ClaimResult:  # fmt: skip
    if games != "rlhf":
        fix = 'pass games="rlhf"'
        raise InvalidInputError("games", repr(games), "the witness is a continuous game", fix)
    rng, cases, trials = np.random.default_rng(seed), list[_Case](), 0
    both = claim == "cor-4.13"
    while trials < budget:
        epsilon = float(10 ** rng.uniform(-6, -0.05))
        family = CONTINUOUS[int(rng.integers(len(CONTINUOUS)))]
        count = int(rng.integers(groups[0], groups[1], endpoint=True))
        game = inputs(epsilon, family(float(10 ** rng.uniform(-3, 3))), count)
        if mechanism is None:
            cases += _extreme_rules(game, epsilon, both)
            trials += 2 if both else 1
        else:
            rewards, sizes = draw_types(rng, game, 0)
            table = run_types(mechanism, game, 0, rewards, sizes)
            cases.append(_own_reports_case(mechanism, table, epsilon, both))
            trials += len(sizes)
    return _result(claim, cases, trials)


def _extreme_rules(game: RLHFGame, epsilon: float, both: bool) -> list[_Case]:
    """The dearest rule that is IR, pay^AFF + room; the lowest that is >= 0, pay^AFF - least."""
    error = ERROR * float(scale(game)) / epsilon
    dear = 1.0 - float(truthful_utility(game, 0)) / epsilon
    cases = [_Case(dear, error, game, 0, lambda: 1.0 - _slow_utility(game) / epsilon)]
    if both:
        constant = game.with_report(0, reward=np.ones(game.outcomes))
        least = float(affine_payments(constant)[0])
        cases.append(
            _Case(
                1.0 - abs(least) / epsilon, error, constant, 0,
                lambda: 1.0 - abs(replayed_payment(None, constant, 0)) / epsilon,
            )
        )  # fmt: skip
    return cases


def _slow_utility(game: RLHFGame) -> float:
    others = leave_one_out_scores(game.sizes, game.rewards)[0]
    best, without = (slow_optimum(game, scores)[1] for scores in (game.scores(), others))
    return float(best - without)


def _own_reports_case(mechanism: Mechanism, table: TypeTable, epsilon: float, both: bool) -> _Case:
    exact = run_types(None, table.game, 0, table.rewards, table.sizes).payments[:, 0]
    excess = table.payments[:, 0] - exact
    slack = (epsilon - (np.abs(excess) if both else excess)) / epsilon
    k = int(slack.argmin())
    game = table.reported(k)

    def recompute() -> float:
        slow = replayed_payment(mechanism, game, 0) - replayed_payment(None, game, 0)
        return (epsilon - (abs(slow) if both else slow)) / epsilon

    return _Case(float(slack[k]), table.tolerance / epsilon, game, 0, recompute)


def rooms(games: RLHFGame, i: int = 0, smallest: ArrayLike = 1.0) -> Floats:
    """`room` for a batch (B,) of games in the maximum domain, or for K smallest sizes of one game.

    >>> rooms(witness_inputs(0.1, KL(1.0)), smallest=[1.0, 0.1]).round(4)
    array([0.0653, 0.0041])
    """
    sizes = as_floats("smallest", smallest)
    if games.batch_shape == ():
        return np.array([room(games, i, float(size)) for size in np.atleast_1d(sizes)])
    spikes = np.eye(games.outcomes)[:, None, :]
    batch = games.with_report(i, reward=spikes, size=np.full(games.batch_shape, float(sizes)))
    return np.asarray(truthful_utility(batch, i).min(axis=0))
