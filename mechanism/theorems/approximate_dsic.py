r"""Theorem 4.12: on noisy inputs a misreport gains at most 2 w_i eps; Lemma D.2; the sharp bound.

Noise on rewards moves the total reward by h, and only the spread max h - min h matters. What the
provider loses by it is a Bregman divergence of the optimal value C(S) = max_p <S, p> - D_f(p || q):

.. math:: G(h) = ASW(\psi(S)) - ASW(\psi(S + h)) = C(S) - C(S + h) + \langle h, \nabla C(S+h)\rangle

with :math:`\partial G/\partial h(x) = a(x)(h(x) - \bar h)`, a = q/f''(p/q): the worst noise takes
two values only. `sharp_loss` is the greatest G over all games for a given spread.
Source: Lemma D.2 and Theorem 4.12, arXiv:2405.16276v4; the sharp bounds are our own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechanism import oracles
from mechanism.core.divergences import (
    KL,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments, leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.best_response import Game, own_row, project_report
from mechanism.theorems.claim_result import ClaimResult, Witness, scale
from mechanism.theorems.replay import slow_payment, slow_utility
from mechanism.theorems.rlhf_game import draw_games, pick
from mechanism.theorems.type_tables import ERROR, Games, TypeTable, draw_tables, run_types

Bound = Callable[[Floats, Floats], Floats]  # (sizes, epsilon) -> greatest gain or loss


def paper_bound(size: ArrayLike, epsilon: ArrayLike) -> Floats:
    """2 w eps: of Theorem 4.12 with w = w_i, of Lemma D.2 with w = sum of all sizes.

    >>> paper_bound(3.0, 0.1).round(12)
    np.float64(0.6)
    """
    return np.asarray(2.0 * as_floats("size", size) * as_floats("epsilon", epsilon))[()]


def sharp_loss(divergence: Divergence, spread: ArrayLike) -> Floats:
    r"""Greatest loss of ASW over all games when noise of the given spread (...) moves the scores.

    If the slope of f is bounded (total variation, reverse KL, Hellinger, Jensen-Shannon, alpha < 1)
    it is the whole spread: outcomes with q(x) -> 0 cost the same for each unit of mass, so that
    mass jumps between them as between candidates. With t = spread / lam, in units of lam:
    KL :math:`z - 1 - \log z, z = t/(1 - e^{-t})`; chi-squared :math:`t^2/16`, from t = 8 on t - 4.

    Raises
    ------
    InvalidInputError
        No closed form is known for this divergence.

    Examples
    --------
    >>> sharp_loss(KL(1.0), [0.01, 100.0]).round(7)
    array([1.25000000e-05, 9.43948298e+01])
    >>> float(sharp_loss(ReverseKL(1.0), 0.5))
    0.5
    """
    if np.isfinite(divergence.slope_limit):
        return np.asarray(as_floats("spread", spread))[()]
    return two_outcome_loss(divergence, spread)


def two_outcome_loss(divergence: Divergence, spread: ArrayLike) -> Floats:
    r"""Greatest loss over games with two outcomes; t = spread / lam, in units of lam.

    KL and chi-squared as in `sharp_loss`; total variation t; reverse KL :math:`t - \log(1+t)`;
    squared Hellinger :math:`t^2/(1+t)`; Jensen-Shannon :math:`t - \log(2 - e^{-t})`. The last four
    are approached as q(x) -> 0, not reached.

    >>> two_outcome_loss(SquaredHellinger(1.0), 1.0)
    np.float64(0.5)
    """
    t = as_floats("spread", spread) / divergence.lam
    loss: Floats
    match divergence:
        case KL():
            small = np.abs(t) < 1e-4
            safe = np.where(small, 1.0, t)
            z = safe / -np.expm1(-safe)
            loss = np.where(small, t**2 / 8, z - 1 - np.log(z))
        case ChiSquared():
            loss = np.where(t < 8, t**2 / 16, t - 4)
        case TotalVariation():
            loss = t
        case ReverseKL():
            loss = t - np.log1p(t)
        case SquaredHellinger():
            loss = t**2 / (1 + t)
        case JensenShannon():
            loss = t - np.log(2 - np.exp(-t))
        case _:
            fix = "use worst_two_outcomes"
            raise InvalidInputError("divergence", repr(divergence), "no closed form known", fix)
    return np.asarray(divergence.lam * loss)[()]


def noise_loss(game: RLHFGame, noise: ArrayLike) -> Floats:
    """G(h) = ASW(psi(S)) - ASW(psi(S + h)) >= 0 under the true rewards; h has shape (..., m).

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> noise_loss(game, [0.0, 2.0]).round(4)
    np.float64(0.4621)
    """
    h = as_floats("noise", noise)
    moved, _ = optimal_policies(game.scores() + h, game.reference, game.divergence)
    return np.asarray(game.welfare(sw_max(game)) - game.welfare(moved))[()]


def two_valued_noise(game: RLHFGame, spread: float, rng: np.random.Generator) -> Floats:
    """Worst noise (m,) of the form +-spread/2 found over threshold sets of S and random sets.

    Thresholds of S move mass from good outcomes to bad ones; up to 33 of them, and 16 random sets.

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> two_valued_noise(game, 2.0, np.random.default_rng(0))
    array([-1.,  1.])
    """
    m = game.outcomes
    rank = game.scores().argsort(kind="stable").argsort(kind="stable")
    cuts = np.unique(np.linspace(1, m - 1, min(m - 1, 33)).astype(int)) if m > 1 else np.array([1])
    lower = rank < cuts[:, None]
    sets = np.concatenate([lower, rng.random((16, m)) < rng.random((16, 1))])
    h = spread * (sets - 0.5)
    return np.asarray(h[int(np.argmax(noise_loss(game, h)))])


def worst_two_outcomes(
    family: Callable[[float], Divergence], spread: float, lam: float = 1.0, steps: int = 4
) -> tuple[float, RLHFGame]:
    """Search all two-outcome games for the greatest G at a given spread: (loss, game).

    Grid over (log odds of q, gap S(x1) - S(x2)), refined `steps` times round the best point. The
    noise adds `spread` at the first outcome.

    >>> loss, game = worst_two_outcomes(KL, 2.0)
    >>> abs(loss - sharp_loss(KL(1.0), 2.0)) < 1e-6
    np.True_
    """
    divergence = family(lam)
    centre, reach = np.array([0.0, -spread / 2]), np.array([27.0, 1.0 * spread + 30 * lam])
    best = (-np.inf, np.zeros(2))
    for _ in range(steps + 1):
        axes = [c + r * np.linspace(-1, 1, 121) for c, r in zip(centre, reach, strict=True)]
        logit, gap = (grid.ravel() for grid in np.meshgrid(np.clip(axes[0], -27, 27), axes[1]))
        games = _two_outcome_game(logit, gap, divergence)
        h = np.stack([np.full_like(gap, spread), np.zeros_like(gap)], axis=-1)
        loss = noise_loss(games, h)
        k = int(loss.argmax())
        if loss[k] > best[0]:
            best = (float(loss[k]), np.array([logit[k], gap[k]]))
        centre, reach = best[1], reach / 12
    return best[0], pick(_two_outcome_game(best[1][:1], best[1][1:], divergence), 0)


def _two_outcome_game(logit: Floats, gap: Floats, divergence: Divergence) -> RLHFGame:
    q = np.stack([1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))], axis=-1)
    rewards = np.stack([gap, np.zeros_like(gap)], axis=-1)[..., None, :]
    return RLHFGame(rewards, np.ones(1), q, divergence)


def tight_game(
    divergence: Divergence, epsilon: float, size: float = 1.0, groups: int = 2
) -> RLHFGame:
    """Summation domain; group 1's noise (-eps, eps, ...) does most harm; the others are constant.

    For KL and chi-squared the sharp loss is reached with two outcomes, for total variation 99.9 %.
    Other divergences of bounded slope have a third outcome that starts with all the mass. The noise
    stays in the domain.

    Raises
    ------
    InvalidInputError
        eps is so large that the rewards would leave the domain.

    Examples
    --------
    >>> game = tight_game(TotalVariation(0.1), 0.2)
    >>> (noise_loss(game, game.sizes[0] * np.array([-0.2, 0.2])) / 0.4).round(4)
    np.float64(0.9989)
    """
    if np.isfinite(divergence.slope_limit) and not isinstance(divergence, TotalVariation):
        return _tight_three(divergence, epsilon, size, groups)
    q, gap = _tight_point(divergence, 2 * size * epsilon / divergence.lam)
    lead = gap * divergence.lam / size  # rm(x1) - rm(x2)
    if abs(lead) + 2 * epsilon > 1:
        fix = "take a smaller epsilon"
        raise InvalidInputError("epsilon", epsilon, "rewards leave the domain", fix)
    rewards = np.full((groups, 2), 0.5)
    rewards[0] += lead / 2 * np.array([1.0, -1.0])
    sizes = np.concatenate([[size], np.ones(groups - 1)])
    return RLHFGame(rewards, sizes, np.array([q, 1 - q]), divergence, "summation")


def tight_noise(game: Game, epsilon: float) -> Floats:
    """Noise (-eps, eps, 0, ...) of group 1 that a `tight_game` is made for.

    >>> tight_noise(tight_game(KL(0.01), 0.1), 0.1)
    array([-0.1,  0.1])
    """
    noise = np.zeros(own_row(game, 0).shape)
    noise[:2] = -epsilon, epsilon
    return noise


def _tight_three(divergence: Divergence, epsilon: float, size: float, groups: int) -> RLHFGame:
    """Nearly all mass goes to x1, and with noise to x2: f is nearly linear where q is tiny."""
    lead, rare = 1.998 * epsilon, 1e-9
    rewards = np.full((groups, 3), 1 / 3)
    rewards[0] = 0.45 + lead / 2, 0.45 - lead / 2, 0.1
    sizes = np.concatenate([[size], np.ones(groups - 1)])
    reference = np.array([rare, rare, 1 - 2 * rare])
    return RLHFGame(rewards, sizes, reference, divergence, "summation")


def _tight_point(divergence: Divergence, t: float) -> tuple[float, float]:
    """q(x1) and the gap S(x1) - S(x2), in lam, at which noise of spread t lam does most harm."""
    match divergence:
        case KL():  # p(x2) = (z - 1) / (e^t - 1) without noise; q is free
            z = t / -np.expm1(-t)
            odds = np.log(z - 1) - t - np.log(-np.expm1(-t))
            return 0.5, float(np.log1p(-np.exp(odds)) - odds)
        case TotalVariation():  # nearly all mass sits at x2, and the noise keeps it there
            return 1e-4, 2 + 0.999 * t
        case ChiSquared():
            return 0.5, max(t - 4, t / 2)
        case _:
            _, game = worst_two_outcomes(lambda lam: replace(divergence, lam=lam), t, steps=2)
            return float(game.reference[1]), -float(game.rewards[0, 0])


@dataclass(frozen=True)
class _Case:
    """Slack of one inequality in units of its bound, and where it was seen."""

    share: float
    tolerance: float
    game: Game
    group: int | None
    report: Game | None
    gain: float
    recompute: Callable[[], float]

    @property
    def order(self) -> tuple[bool, float]:
        """Violations first, the clearest of them; then the least share."""
        broken = self.share < -self.tolerance
        return not broken, self.share / self.tolerance if broken else self.share


def _result(claim: str, cases: list[_Case], trials: int) -> ClaimResult:
    worst = min(cases, key=lambda case: case.order)
    witness = Witness(worst.game, worst.group, worst.report, worst.gain, worst.recompute)
    gap = abs(worst.share - witness.replay())
    return ClaimResult(claim, worst.share, worst.tolerance, trials, witness, gap)


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
    rng, cases = np.random.default_rng(seed), list[_Case]()
    while 2 * len(cases) < budget or not cases:
        game, noise, epsilon = _draw_noisy(rng, len(cases) % 4)
        cases.append(_case_d_2(game, noise, epsilon / excess, bound, training_rule))
    return _result("lemma-D.2", cases, 2 * len(cases))


def _draw_noisy(rng: np.random.Generator, kind: int) -> tuple[RLHFGame, Floats, float]:
    """A game, noise on all its rewards, and the eps that it keeps to."""
    if kind == 3:
        epsilon = float(10 ** rng.uniform(-4, -1))
        game = tight_game(sharp_divergence(rng, epsilon), epsilon, groups=1)
        return game, tight_noise(game, epsilon)[None], epsilon
    epsilon, game = float(10 ** rng.uniform(-4, -0.3)), pick(draw_games(rng, 1), 0)
    if kind < 2:
        return game, epsilon * rng.uniform(-1, 1, game.rewards.shape), epsilon
    total = float(game.sizes.sum())
    h = two_valued_noise(game, 2 * epsilon * total, rng)
    return game, np.broadcast_to(np.sign(h) * epsilon, game.rewards.shape), epsilon


def sharp_divergence(rng: np.random.Generator, epsilon: float, size: float = 1.0) -> Divergence:
    """A divergence whose sharp bound is known, so weak that the noise matters: t from 8 to 1e4.

    >>> sharp_divergence(np.random.default_rng(0), 0.1).lam < 0.2 / 8
    True
    """
    lam = float(2 * size * epsilon / 10 ** rng.uniform(0.91, 4))
    kinds = (KL, TotalVariation, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon)
    return kinds[int(rng.integers(len(kinds)))](lam)


def _case_d_2(
    game: RLHFGame, noise: Floats, epsilon: float, bound: Bound,
    training_rule: Callable[[RLHFGame], ArrayLike],
) -> _Case:  # fmt: skip
    noisy = replace(game, rewards=game.rewards + noise, normalization=None)
    unit = float(paper_bound(game.sizes.sum(), epsilon))
    allowed = float(bound(game.sizes.sum(), as_floats("epsilon", epsilon)))
    before, after = training_rule(game), training_rule(noisy)
    loss = float(game.welfare(before) - game.welfare(after))
    error = ERROR * float(max(scale(game), scale(noisy))) / unit

    def recompute() -> float:  # a user's rule is taken at its word
        slow = _slow_loss(game, noisy) if training_rule is sw_max else loss
        return (allowed - slow) / unit

    return _Case((allowed - loss) / unit, error, game, None, noisy, loss, recompute)


def _slow_loss(game: RLHFGame, noisy: RLHFGame) -> float:
    """Loss C(S) - C(S') + <S' - S, p'> by the high-precision oracle."""
    before, after = game.scores().tolist(), noisy.scores().tolist()
    best = slow_optimum(game, game.scores())[1]
    moved, value = slow_optimum(game, noisy.scores())
    shift = (p * (b - a) for p, a, b in zip(moved, before, after, strict=True))
    return float(best - value + sum(shift, start=0 * best))


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
    cases, trials, continuous = list[_Case](), 0, True
    for table in draw_tables(mechanism, games, 3 * budget // 4, seed):
        near = _with_near_types(mechanism, table, rng)
        cases.append(_table_case(rule, near, with_sizes))
        trials += len(near.sizes)
        continuous = isinstance(table.game, RLHFGame)
    while trials < budget:
        cases.append(_tight_case(rule, rng, continuous, dependent))
        trials += 2
    return _result("thm-4.12", cases, trials)


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
    return replace(
        table,
        rewards=np.concatenate([table.rewards, more.rewards]),
        sizes=np.concatenate([table.sizes, more.sizes]),
        models=np.concatenate([table.models, more.models]),
        payments=np.concatenate([table.payments, more.payments]),
    )


def _table_case(rule: _Rule, table: TypeTable, with_sizes: bool) -> _Case:
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
    return _make_case(rule, truth, noisy, report, i, far[j, k])


def _make_case(
    rule: _Rule, truth: Game, noisy: Game, report: Game, i: int, distance: float
) -> _Case:  # fmt: skip
    """Slack of u(report) - u(noisy) <= bound, both at the true type."""
    mechanism = Mechanism.affine_maximizer() if rule.mechanism is None else rule.mechanism
    size = float(truth.sizes[i])
    unit = float(paper_bound(size, distance / rule.excess))
    allowed = float(rule.allowed(size, distance))
    after, before = mechanism.utilities(truth, report)[i], mechanism.utilities(truth, noisy)[i]
    gain = float(after - before)
    error = ERROR * float(max(scale(truth), scale(noisy), scale(report))) / unit

    def recompute() -> float:
        slow = [replayed_utility(rule.mechanism, truth, game, i) for game in (report, noisy)]
        return (allowed - (slow[0] - slow[1])) / unit

    return _Case((allowed - gain) / unit, error, truth, i, report, gain, recompute)


def _tight_case(rule: _Rule, rng: np.random.Generator, continuous: bool, dependent: bool) -> _Case:
    """The truth meets the worst noise, the misreport is turned into the truth by its noise."""
    size, epsilon = float(rng.integers(1, 10, endpoint=True)), float(10 ** rng.uniform(-3, -1))
    epsilon *= rule.excess
    if continuous:
        game: Game = tight_game(sharp_divergence(rng, epsilon, size), epsilon, size)
    else:
        game = _candidates([[(2 - 1e-9) * epsilon, 0.0], [0.5, 0.5]], size, 1.0)
    noise = tight_noise(game, epsilon)
    row = own_row(game, 0) + noise
    noisy, report = game.with_report(0, reward=row), game
    if dependent:
        other = own_row(game, 1)
        noisy = noisy.with_report(1, reward=other + noise)
        report = report.with_report(1, reward=other - noise)
    return _make_case(rule, game, noisy, report, 0, epsilon)


def dependent_noise_witness(epsilon: float, size: float, others: float) -> tuple[Game, Game, Game]:
    """Candidate game, its noisy truthful input, and the input after a misreport (Check 3).

    The others' noise follows group 1's report. Gain: nearly 2 eps (w_1 + 2 w_2), where Theorem 4.12
    with noise that does not follow the report would allow 2 eps w_1.

    >>> game, truth, report = dependent_noise_witness(0.1, 1.0, 3.0)
    >>> mechanism = Mechanism.affine_maximizer()
    >>> gain = mechanism.utilities(game, report) - mechanism.utilities(game, truth)
    >>> gain[0].round(3)
    np.float64(1.4)
    """
    shift = epsilon * np.array([1.0, 1.0, -1.0])  # x1, x2 are what group 1 wants, x3 is not
    step = (2 - 1e-9) * epsilon
    gap = 1.0 + 6 * epsilon * others / size
    rows = [[1 + gap, 1 + gap - step, 1.0], [1.0, 1.0, 1.0 + 3 * epsilon]]
    game = _candidates(rows, size, others)
    own, other = game.values
    truth = game.with_report(0, reward=own + epsilon * np.array([-1.0, 1.0, 0.0]))
    return (
        game,
        truth.with_report(1, reward=other - shift),
        game.with_report(1, reward=other + shift),
    )


def _candidates(rows: list[list[float]], *sizes: float) -> CandidateGame:
    return CandidateGame(np.array(rows), np.array(sizes))


def ir_witness(
    epsilon: float, size: float = 1.0, signed: bool = False
) -> tuple[RLHFGame, RLHFGame]:
    """Game and its noisy input in which a truthful group 1 ends nearly w eps below zero.

    With `signed` noise (rewards below 0) it is nearly 2 w eps. Group 1 wants x3 alone, which has no
    chance; noise makes it pay for a move from x1 to x2 that is worth nothing to it.

    >>> game, noisy = ir_witness(0.1)
    >>> Mechanism.affine_maximizer().utilities(game, noisy)[0].round(3)
    np.float64(-0.1)
    """
    spread = size * epsilon * (2 if signed else 1)
    weight, lam = 2 * size + 1, 1e-6 * size * epsilon
    cost = (spread - 4 * lam) / weight
    rewards = np.array([[0.0, 0.0, 1.0], [1.0, 1.0 - cost, 0.0]])
    game = RLHFGame(
        rewards, np.array([size, weight]), np.full(3, 1 / 3), TotalVariation(lam), "maximum"
    )
    heard = [-epsilon if signed else 0.0, epsilon, 1.0]
    noisy = replace(game, normalization=None).with_report(0, reward=heard)
    return game, noisy


def replayed_utility(mechanism: Mechanism | None, truth: Game, report: Game, i: int) -> float:
    """True utility of group i after a report, by oracles whose digits suffice for tiny references.

    A divergence with a finite slope limit needs about -2 log10 q(x) digits at the best outcome x.

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> round(replayed_utility(None, game, game, 0), 12)
    0.2
    """
    value, pay = _replayed(mechanism, truth, report, i)
    return value - pay


def replayed_payment(mechanism: Mechanism | None, game: Game, i: int) -> float:
    """Payment of group i, as `replayed_utility` computes it.

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> round(replayed_payment(None, game, 0), 12)
    0.4
    """
    return _replayed(mechanism, game, game, i)[1]


def _replayed(
    mechanism: Mechanism | None, truth: Game, report: Game, i: int
) -> tuple[float, float]:
    """w_i v_i and pay_i; whatever is no continuous game under SW-Max goes the usual way."""
    if mechanism is not None or not isinstance(report, RLHFGame):
        pay = slow_payment(mechanism, report, i)
        return slow_utility(mechanism, truth, report, i) + pay, pay
    others = leave_one_out_scores(report.sizes, report.rewards)[i]
    policy, best = slow_optimum(report, report.scores())
    pivot = slow_optimum(report, others)[1]
    heard, own = (float(g.sizes[i]) * own_row(g, i) for g in (report, truth))
    gained, value = (
        sum((p * float(r) for p, r in zip(policy, row, strict=True)), start=0 * best)
        for row in (heard, own)
    )
    return float(value), float(pivot - (best - gained))


def slow_optimum(game: RLHFGame, scores: Floats) -> tuple[list[Any], Any]:
    """Optimal policy and value of given scores (m,) by the oracle, with digits enough.

    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    >>> round(float(slow_optimum(game, game.scores())[1]), 6)
    0.620115
    """
    q = game.reference
    digits = 34 + int(-2 * np.log10(q[scores.argmax()]))
    return oracles.optimum_mpmath(scores.tolist(), q.tolist(), game.divergence, digits)


def expected_gains(
    game: Game, report: Game, i: int, epsilon: float, samples: int, seed: int = 0
) -> Floats:
    """Gains (samples,) of a report over the truth, both through the same uniform noise +-eps.

    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.9]], [1, 1])
    >>> expected_gains(game, game, 0, 0.1, 3)
    array([0., 0., 0.])
    """
    noise = np.random.default_rng(seed).uniform(-epsilon, epsilon, (samples, *_rows(game).shape))
    after, before = (affine_utilities(game, with_noise(said, noise)) for said in (report, game))
    return np.asarray((after - before)[:, i])


def affine_utilities(truth: Game, reported: Game) -> Floats:
    """True utilities (..., n) when the paper's mechanism runs on (noisy) reports, batched.

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> affine_utilities(game, game).round(4)
    array([0.2, 0.2])
    """
    return truth.utilities(sw_max(reported), affine_maximizer_payments(reported))


def with_noise(game: Game, noise: ArrayLike) -> Game:
    """The game whose rewards (or values) have `noise` (..., n, m) added, in no domain.

    >>> with_noise(CandidateGame([[1.0, 0.0]], [1]), [[0.1, -0.1]]).values
    array([[ 1.1, -0.1]])
    """
    rows = _rows(game) + as_floats("noise", noise)
    if isinstance(game, CandidateGame):
        return replace(game, values=rows)
    return replace(game, rewards=rows, normalization=None)


def _rows(game: Game) -> Floats:
    return game.values if isinstance(game, CandidateGame) else game.rewards
