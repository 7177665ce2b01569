"""Checkers of Lemma D.2 and Theorem 4.12."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.claim_result import (
    ERROR,
    Case,
    ClaimResult,
    payment_rounding,
    scale,
    worst_case,
)
from mechanism.attack.games import Game, Games, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum, slow_utility
from mechanism.attack.reports import own_row, project_report
from mechanism.attack.type_tables import TypeTable, draw_tables, run_types, stack
from mechanism.core.errors import Floats, as_floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.approximate_dsic.bounds import Bound, paper_bound, two_valued_noise
from mechanism.theorems.approximate_dsic.tight_games import (
    sharp_divergence,
    tight_game,
    tight_noise,
)


@checker("lemma-D.2")
def check_lemma_d_2(
    bound: Bound = paper_bound, excess: float = 1.0, budget: int = 2000, seed: int = 0,
    training_rule: Callable[[RLHFGame], ArrayLike] = sw_max,
) -> ClaimResult:  # fmt: skip
    """Lemma D.2: ASW(psi(noisy)) >= ASW(psi(true)) - 2 eps sum w, under the true rewards.

    Half of the games meet random noise on every reward, a quarter the worst noise that
    `two_valued_noise` finds (all groups aligned), a quarter are `tight_game`s with one group.

    Parameters
    ----------
    bound : callable
        (sum of sizes, eps) -> what may be lost.
    excess : float
        Noise is up to `excess` times the eps that the bound is told.
    budget : int
        Runs of the training rule, two a game.
    training_rule : callable
        One game -> policy.

    Returns
    -------
    ClaimResult
        `margin` is the least (bound - loss) / (2 eps sum w).

    Examples
    --------
    >>> check_lemma_d_2(budget=200).status
    'holds'
    """
    rng, cases = np.random.default_rng(seed), list[Case]()
    strata = Strata(rng)
    while 2 * len(cases) + 2 <= budget or not cases:
        game, noise, epsilon = _draw_noisy(rng, strata, len(cases) % 4)
        cases.append(_case_d_2(game, noise, epsilon / excess, bound, training_rule))
    return worst_case("lemma-D.2", cases, 2 * len(cases), by="slack")


def _draw_noisy(
    rng: np.random.Generator, strata: Strata, kind: int
) -> tuple[RLHFGame, Floats, float]:
    """A game, noise on all its rewards, and the eps that it keeps to."""
    if kind == 3:
        epsilon = float(10 ** rng.uniform(-4, -1))
        game = tight_game(sharp_divergence(rng, epsilon), epsilon, groups=1)
        return game, tight_noise(game, epsilon)[None], epsilon
    epsilon, game = float(10 ** rng.uniform(-4, -0.3)), next(strata).draw(rng)
    if kind < 2:
        return game, epsilon * rng.uniform(-1, 1, game.rewards.shape), epsilon
    total = float(game.sizes.sum())
    h = two_valued_noise(game, 2 * epsilon * total, rng)
    return game, np.broadcast_to(np.sign(h) * epsilon, game.rewards.shape), epsilon


def _case_d_2(
    game: RLHFGame, noise: Floats, epsilon: float, bound: Bound,
    training_rule: Callable[[RLHFGame], ArrayLike],
) -> Case:  # fmt: skip
    noisy = replace(game, rewards=game.rewards + noise, normalization=None)
    unit = float(paper_bound(game.sizes.sum(), epsilon))
    allowed = float(bound(game.sizes.sum(), as_floats("epsilon", epsilon)))
    before, after = training_rule(game), training_rule(noisy)
    loss = float(game.welfare(before) - game.welfare(after))
    error = ERROR * float(max(scale(game), scale(noisy))) / unit

    def recompute() -> float:  # a user's rule is taken at its word
        slow = _slow_loss(game, noisy) if training_rule is sw_max else loss
        return (allowed - slow) / unit

    return Case((allowed - loss) / unit, error, game, None, noisy, recompute, loss)


def _slow_loss(game: RLHFGame, noisy: RLHFGame) -> float:
    """Loss C(S) - C(S') + <S' - S, p'> by the high-precision oracle."""
    before, after = game.scores().tolist(), noisy.scores().tolist()
    best = slow_optimum(game, game.scores())[1]
    moved, value = slow_optimum(game, noisy.scores())
    shift = (p * (b - a) for p, a, b in zip(moved, before, after, strict=True))
    return float(best - value + sum(shift, start=0 * best))


@checker("thm-4.12")
def check_thm_4_12(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0,
    *, bound: Bound = paper_bound, excess: float = 1.0, delta: float = 0.0,
    dependent: bool = False, with_sizes: bool = False,
) -> ClaimResult:  # fmt: skip
    """Theorem 4.12: with noise up to eps a misreport of the reward gains at most 2 w_i eps + delta.

    Noise that is the same for truth and report, or drawn independently of the report, is a mean of
    cases in which the others' noisy inputs are fixed. There the truth r turns into an input r' with
    |r - r'| <= eps, and a report turns into any input r''. Type tables (three quarters of `budget`)
    test u(r'') - u(r') <= 2 w_i max|r - r'| + delta for all triples of a table, the rest of the
    budget is spent on `tight_game`s.

    Parameters
    ----------
    mechanism : Mechanism, optional
        Checked in place of the paper's; called on one game at a time.
    games : "rlhf", "candidate" or callable
        Where games come from; a callable takes a random generator.
    budget : int
        Runs of the mechanism.
    seed : int
    bound : callable
        (size, eps) -> what may be gained, in place of 2 w eps.
    excess : float
        Noise is up to `excess` times the eps that the bound is told.
    delta : float
        How far the training rule may be from the optimum, reward units.
    dependent : bool
        Lets the others' noise depend on the group's report: then the theorem fails.
    with_sizes : bool
        Lets the report change the size too, which the proof allows.

    Returns
    -------
    ClaimResult
        `margin` is the least (bound - gain) / (2 w_i eps).

    Examples
    --------
    >>> check_thm_4_12(budget=200).status
    'holds'
    """
    rng, rule = np.random.default_rng(seed + 1), _Rule(mechanism, bound, excess, delta)
    cases, trials, continuous = list[Case](), 0, True
    for table in draw_tables(mechanism, games, 3 * budget // 4, seed):
        near = _with_near_types(mechanism, table, rng)
        cases.append(_table_case(rule, near, with_sizes))
        trials += len(near.sizes)
        continuous = isinstance(table.game, RLHFGame)
    while trials + 2 <= budget:
        cases.append(_tight_case(rule, rng, continuous, dependent))
        trials += 2
    return worst_case("thm-4.12", cases, trials, by="slack")


@dataclass(frozen=True)
class _Rule:
    """What is checked: a mechanism (None: the paper's) and the bound on its gains."""

    mechanism: Mechanism | None
    bound: Bound
    excess: float
    delta: float

    def allowed(self, size: ArrayLike, distance: ArrayLike) -> Floats:
        epsilon = as_floats("distance", distance) / self.excess
        return np.asarray(self.bound(as_floats("size", size), epsilon) + self.delta)


def _with_near_types(
    mechanism: Mechanism | None, table: TypeTable, rng: np.random.Generator
) -> TypeTable:
    """Add noisy versions of the truth: by 1e-8, where Theorem 4.12 is nearly DSIC, and by more."""
    own = table.rewards[0]
    steps = np.array([1e-8, 1e-8, 1e-2, 0.1])[:, None]
    noise = steps * rng.choice([-1.0, 1.0], (4, len(own)))
    rows = project_report(table.game, table.group, own + noise)
    more = run_types(mechanism, table.game, table.group, rows, np.full(4, table.sizes[0]))
    return stack(table, more)


def _table_case(rule: _Rule, table: TypeTable, with_sizes: bool) -> Case:
    """Worst triple (truth j, its noisy input k, the report's input l) of one table."""
    gains, i = table.gains(), table.group
    same = table.sizes[:, None] == table.sizes
    far = np.abs(table.rewards[:, None] - table.rewards).max(axis=-1)
    best = np.where(same | with_sizes, gains, -np.inf)
    unit = paper_bound(table.sizes[:, None], far / rule.excess)
    with np.errstate(all="ignore"):
        share = (rule.allowed(table.sizes[:, None], far) + gains - best.max(axis=1)[:, None]) / unit
        tolerance = np.where(unit > 0, table.tolerance / unit, np.inf)
    usable = same & (far > 1e-10)
    broken = usable & (share < -tolerance)
    if broken.any():
        usable, share = broken, share / np.where(broken, tolerance, 1.0)
    j, k = divmod(int(np.where(usable, share, np.inf).argmin()), len(table.sizes))
    truth, noisy, report = (table.reported(x) for x in (j, k, int(best[j].argmax())))
    case = _make_case(rule, truth, noisy, report, i, far[j, k])
    return replace(case, comparisons=max(1, int(usable.sum())))


def _make_case(
    rule: _Rule, truth: Game, noisy: Game, report: Game, i: int, distance: float
) -> Case:  # fmt: skip
    """Slack of u(report) - u(noisy) <= bound, both at the true type."""
    mechanism = Mechanism.affine_maximizer() if rule.mechanism is None else rule.mechanism
    size = float(truth.sizes[i])
    unit = float(paper_bound(size, distance / rule.excess))
    allowed = float(rule.allowed(size, distance))
    after, before = mechanism.utilities(truth, report)[i], mechanism.utilities(truth, noisy)[i]
    gain = float(after - before)
    rounding = ERROR * float(max(scale(truth), scale(noisy), scale(report)))
    if rule.mechanism is not None:
        pays = [rule.mechanism.payment_rule(game) for game in (noisy, report)]
        rounding += payment_rounding(np.concatenate(pays))
    error = rounding / unit

    def recompute() -> float:
        slow = [slow_utility(rule.mechanism, truth, game, i) for game in (report, noisy)]
        return (allowed - (slow[0] - slow[1])) / unit

    return Case((allowed - gain) / unit, error, truth, i, report, recompute, gain)


def _tight_case(rule: _Rule, rng: np.random.Generator, continuous: bool, dependent: bool) -> Case:
    """The truth meets the worst noise, the misreport is turned into the truth by its noise."""
    size, epsilon = float(rng.integers(1, 10, endpoint=True)), float(10 ** rng.uniform(-3, -1))
    epsilon *= rule.excess
    if continuous:
        game: Game = tight_game(sharp_divergence(rng, epsilon, size), epsilon, size)
    else:
        game = CandidateGame(
            np.array([[(2 - 1e-9) * epsilon, 0.0], [0.5, 0.5]]), np.array([size, 1.0])
        )
    noise = tight_noise(game, epsilon)
    row = own_row(game, 0) + noise
    noisy, report = game.with_report(0, reward=row), game
    if dependent:
        other = own_row(game, 1)
        noisy = noisy.with_report(1, reward=other + noise)
        report = report.with_report(1, reward=other - noise)
    return _make_case(rule, game, noisy, report, 0, epsilon)
