r"""Theorem 4.2: where nobody pays, only an indifferent group has no reason to misreport.

Part 1: a constant reward model makes every model worth the same. Part 2: any other reward model
without a zero gains strictly by the construction `misreports.theorem_4_2`, whatever the others
report. Everything here is without payments; gains are in reward units, :math:`w_i\,\Delta v_i`.
Source: Theorem 4.2, arXiv:2405.16276v4.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from mechanism import oracles
from mechanism.core import misreports
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
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.samplers import sample_game
from mechanism.core.sw_max import sw_max
from mechanism.theorems.claim_result import ClaimResult, Witness

Pair: TypeAlias = tuple[RLHFGame, RLHFGame]
TrainingRule: TypeAlias = Callable[[RLHFGame], Any]
Family: TypeAlias = Callable[[float], Divergence]
SMOOTH: tuple[Family, ...] = (
    KL, ReverseKL, SquaredHellinger, JensenShannon, ChiSquared,
    partial(Alpha, -1.0), partial(Alpha, 0.3), partial(Alpha, 1.5), partial(Alpha, 3.0),
)  # fmt: skip
BATCH = 8
CLEAR = 1e-6  # a rule with its own rounding is judged where SW-Max's gain exceeds this share
UNIT = float(np.finfo(float).eps)


def gains(game: RLHFGame, report: RLHFGame, i: int, training_rule: TrainingRule = sw_max) -> Floats:
    r"""True gain :math:`w_i [v_i(\psi(report)) - v_i(\psi(game))]` of group i, shape (...).

    >>> game = RLHFGame([[0.7, 0.3], [0.5, 0.5]], [1, 1], [0.5, 0.5], KL(1.0), "summation")
    >>> gains(game, misreports.theorem_4_2(game, 0, 0.1), 0).round(4)
    np.float64(0.0188)
    """
    before, after = models(training_rule, game), models(training_rule, report)
    change = game.valuations(after)[..., i] - game.valuations(before)[..., i]
    return np.asarray(game.sizes[..., i] * change)[()]


def gain_error(game: RLHFGame, i: int, policy: Floats | None = None) -> Floats:
    r"""Bound on the rounding error of `gains`, shape (...): first order, times 4.

    Scores carry an error of at most :math:`\eta = (n+4)\,u\max|S|`, which moves the optimum by at
    most :math:`2\eta\sum_x a(x)` in total, with :math:`a = q/f''(p/q)` (Theorem B.2's weights).
    """
    p = sw_max(game) if policy is None else policy
    with np.errstate(all="ignore"):
        curvature = game.divergence.d2f(p / game.reference)
        weights = np.where(curvature > 0, game.reference / curvature, 0.0)
    total = weights.sum(axis=-1)
    free = np.minimum(total, 2 * (total - weights.max(axis=-1)))  # the largest is fixed by the sum
    scores = (game.groups + 4) * UNIT * np.abs(game.scores()).max(axis=-1)
    moved = np.minimum(2.0 * scores * free, 2.0) + (game.outcomes + 8) * UNIT
    rewards = game.rewards[..., i, :]
    return np.asarray(4.0 * game.sizes[..., i] * np.abs(rewards).max(axis=-1) * moved)[()]


def alignment(
    game: RLHFGame, report: RLHFGame, i: int, training_rule: TrainingRule = sw_max
) -> Floats:
    r"""How well the model moves for i: gain over the most that this much movement can gain.

    :math:`\langle p'-p, rm_i\rangle / (\tfrac12|p'-p|_1 (\max rm_i - \min rm_i))`, in [-1, 1];
    1 where the movement, or the spread of the reward model, is below 1e-8: nothing to judge.
    """
    p, moved = models(training_rule, game), models(training_rule, report)
    rewards = game.rewards[..., i, :]
    most = np.abs(moved - p).sum(axis=-1) / 2 * np.ptp(rewards, axis=-1)
    gain = np.vecdot(moved - p, rewards)
    return np.where(most > 1e-8, gain / np.maximum(most, 1e-8), 1.0)


def oracle_gain(game: RLHFGame, report: RLHFGame, i: int) -> tuple[float, bool]:
    """Gain of one game from slow optima, and whether its sign is certain; 50 digits, then 150.

    Rewards are taken relative to the most likely outcome, so that no small change is subtracted
    from a probability near 1. A positive gain below the least float is returned as that float.
    """
    if np.ptp(game.rewards[i]) == 0:  # relative to any outcome all rewards are 0
        return 0.0, True
    for digits in (50, 150):
        p, moved = (
            oracles.optimum_mpmath(list(g.scores()), list(g.reference), g.divergence, digits)[0]
            for g in (game, report)
        )
        top = p.index(max(p))
        rewards = [float(r) - float(game.rewards[i, top]) for r in game.rewards[i]]
        terms = [(b - a) * r for a, b, r in zip(p, moved, rewards, strict=True)]
        noise = sum(a for x, a in enumerate(p) if x != top) / 10 ** (digits - 5)
        gain, floor = sum(terms), max(abs(t) for t in terms) * 1e-12
        if abs(gain) > max(noise, floor):
            value = float(game.sizes[i]) * float(gain)
            return value or float(np.sign(gain)) * 5e-324, True
    return float(game.sizes[i]) * float(gain), False


def models(training_rule: TrainingRule, game: RLHFGame) -> Floats:
    """Models (..., m) of a rule; a user's rule sees one game at a time."""
    if training_rule is sw_max:
        return np.asarray(sw_max(game))
    rows = [np.asarray(training_rule(single(game, k))) for k in np.ndindex(game.batch_shape)]
    return np.reshape(rows, (*game.batch_shape, game.outcomes))


def single(game: RLHFGame, k: tuple[int, ...]) -> RLHFGame:
    """Game k of a batch."""
    batch = game.batch_shape
    rewards = np.broadcast_to(game.rewards, (*batch, *game.rewards.shape[-2:]))[k]
    sizes = np.broadcast_to(game.sizes, (*batch, game.groups))[k]
    reference = np.broadcast_to(game.reference, (*batch, game.outcomes))[k]
    return RLHFGame(rewards, sizes, reference, game.divergence, game.normalization)


def draw(
    rng: np.random.Generator, families: tuple[Family, ...], constant: bool = False
) -> RLHFGame:
    """Batch of games for group 0: lam from 1e-3 to 1e3, skewed references, ties, others extreme."""
    norm: Normalization = "maximum" if rng.random() < 0.5 else "summation"
    groups = int(rng.integers(2, 11))
    outcomes = int(rng.integers(2, 7)) if rng.random() < 0.9 else int(10 ** rng.uniform(1, 3))
    family = families[int(rng.integers(len(families)))]
    skew = float(rng.choice([1.0, 3.0, 10.0], p=[0.6, 0.3, 0.1]))
    large = outcomes > 6  # beyond the oracle's reach: keep gains visible in floats
    game = sample_game(rng, groups, outcomes, KL(1.0), norm, (BATCH,), 1.0 if large else skew)
    lam = 10.0 ** (rng.uniform(-0.5, 0.5) if large else rng.uniform(-3, 3))
    divergence = family(lam * (float(np.ptp(game.scores(), axis=-1).mean()) if large else 1.0))
    rewards = game.rewards.copy()
    if rng.random() < 0.3:  # few levels, so that best and worst outcomes tie
        rewards = normalize(np.ceil(3 * rewards / rewards.max(axis=-1, keepdims=True)), norm)
    if rng.random() < 0.3:  # the others care for one outcome each
        rewards[:, 1:] = np.eye(outcomes)[rng.integers(outcomes, size=(BATCH, groups - 1))]
    if constant:
        rewards[:, 0] = 1.0 if norm == "maximum" else 1.0 / outcomes
    return RLHFGame(rewards, game.sizes, game.reference, divergence, norm)


def attack(
    objective: Callable[[Floats], Floats], dimension: int, evaluations: int, seed: int
) -> NDArray[np.float64]:
    """Least point in [-1, 1]^d by scipy's differential evolution, whole populations at once."""
    population = max(8, min(15 * dimension, evaluations // 8))
    found = differential_evolution(
        lambda x: objective(x.T) if x.ndim > 1 else objective(x[None])[0],
        [(-1.0, 1.0)] * dimension, popsize=max(1, population // dimension), polish=False,
        maxiter=max(1, evaluations // population - 1), tol=0.0, vectorized=True,
        updating="deferred", rng=np.random.default_rng(seed),
    )  # fmt: skip
    return np.asarray(found.x)


def small_game(x: Floats, family: Family, norm: Normalization) -> RLHFGame:
    """Decode points (..., 11) as games of three outcomes against one other group.

    One opponent of any real size stands for any others, since only S matters, up to a constant.
    """
    own, other = np.exp(2.5 * x[..., 0:3]), np.exp(8.0 * x[..., 3:6])
    rewards = normalize(np.stack([own, other], axis=-2), norm)
    reference = normalize(np.exp(4.0 * x[..., 6:9]), "summation")
    return RLHFGame(rewards, np.exp(2.0 * x[..., 9:11]), reference, family(1.0), norm)


def exaggerated(game: RLHFGame, share: Floats, i: int = 0) -> RLHFGame:
    """The construction with a share in (0, 1) of the largest epsilon."""
    assert game.normalization is not None
    limit = misreports.largest_epsilon(game.rewards[..., i, :], game.normalization)
    return misreports.theorem_4_2(game, i, np.clip(share, 1e-6, 1 - 1e-6) * limit)


def worst_alignment(
    family: Family,
    norm: Normalization,
    evaluations: int,
    seed: int,
    training_rule: TrainingRule = sw_max,
) -> Pair:
    """Game and report of the construction at the least `alignment` that the search finds."""

    def pair(x: Floats) -> Pair:
        game = small_game(x, family, norm)
        return game, exaggerated(game, 0.5 + 0.499 * x[..., 11])

    def objective(x: Floats) -> Floats:
        game, report = pair(x)
        value = alignment(game, report, 0, training_rule)
        return np.where(np.asarray(sw_max(game)).min(axis=-1) > 0, value, 1.0)

    return pair(attack(objective, 12, evaluations // 2, seed))


def best_lie_of_the_indifferent(
    family: Family,
    norm: Normalization,
    evaluations: int,
    seed: int,
    training_rule: TrainingRule = sw_max,
) -> Pair:
    """Game with a constant reward model, and the report of reward and size that gains it most."""

    def pair(x: Floats) -> Pair:
        game = small_game(x, family, norm)
        flat = np.full_like(game.rewards[..., 0, :], 1.0 if norm == "maximum" else 1.0 / 3.0)
        lie = normalize(np.exp(8.0 * x[..., 11:14]), norm)
        return game.with_report(0, flat), game.with_report(0, lie, np.exp(4.0 * x[..., 14]))

    return pair(attack(lambda x: -gains(*pair(x), 0, training_rule), 15, evaluations // 2, seed))


def replayed(game: RLHFGame, report: RLHFGame, training_rule: TrainingRule) -> float:
    """Gain of group 0 by the slow oracle; for a user's rule, its models in exact summation."""
    if training_rule is sw_max:
        return oracle_gain(game, report, 0)[0]
    before, after = models(training_rule, game), models(training_rule, report)
    terms = np.concatenate([after * game.rewards[0], -before * game.rewards[0]])
    return float(game.sizes[0]) * math.fsum(terms)


def check_part_1(
    training_rule: TrainingRule = sw_max,
    families: tuple[Family, ...] = (*SMOOTH, TotalVariation),
    budget: int = 2000,
    seed: int = 0,
) -> ClaimResult:
    """A group with a constant reward model gains nothing by any report of rewards and size.

    Margin: least w_i [v_i(truth) - v_i(report)], over random games and an adversary's. Its true
    value is 0 for every rule that returns distributions. Tolerance: rounding of two mean values.
    """
    rng, cases, trials = np.random.default_rng(seed), [], 0
    while trials < budget // 2:
        game = draw(rng, families, constant=True)
        own = rng.random((BATCH, game.outcomes)) ** rng.choice([0.1, 1.0, 100.0]) + 1e-300
        size = game.sizes[:, 0] * 10.0 ** rng.uniform(-2, 2, BATCH)
        report = game.with_report(0, normalize(own, game.normalization or "maximum"), size)
        gain, trials = gains(game, report, 0, training_rule), trials + 2 * BATCH
        k = int(np.argmax(gain))
        cases.append((single(game, (k,)), single(report, (k,))))
    norms: tuple[Normalization, ...] = ("summation", "maximum")
    for norm in norms:
        family, share = families[int(rng.integers(len(families)))], budget // 4
        cases.append(best_lie_of_the_indifferent(family, norm, share, seed, training_rule))
        trials += share
    slacks = [-float(gains(game, report, 0, training_rule)) for game, report in cases]
    scales = [float(g.sizes[0] * g.rewards[0, 0] * (g.outcomes + 8)) for g, _ in cases]
    k = int(np.argmin(slacks))

    def recompute() -> float:
        return -replayed(*cases[k], training_rule)

    witness = Witness(cases[k][0], 0, cases[k][1], -slacks[k], recompute)
    gap = abs(slacks[k] - witness.replay())
    return ClaimResult("thm-4.2-1", slacks[k], 4 * UNIT * max(scales), trials, witness, gap)


def check_part_2(
    training_rule: TrainingRule = sw_max,
    families: tuple[Family, ...] = SMOOTH,
    budget: int = 2000,
    seed: int = 0,
    interior: bool = True,
) -> ClaimResult:
    """The construction gains strictly; `interior` keeps to games whose optimum is positive.

    Margin: least gain in reward units. A gain must exceed its rounding error to count as strict:
    where the float gain does not, 50-digit optima decide, and a gain that is still not positive
    counts as gain - 2 error, so that a gain of exactly 0 is a violation. A user's rule, whose
    rounding is unknown, is judged on games where SW-Max gains clearly, with error 1e-9 w_i.
    """
    rng, found, trials = np.random.default_rng(seed), [], 0
    exact = training_rule is sw_max
    while trials < budget // 2:
        game = draw(rng, families)
        report = _admissible(game, 10.0 ** rng.uniform(-3, -0.001, BATCH), interior, exact)
        trials += 2 * BATCH
        if report is not None:
            found += _judged(*report, training_rule)
    norms: tuple[Normalization, ...] = ("summation", "maximum")
    for norm in norms:
        family, share = families[int(rng.integers(len(families)))], budget // 4
        game, report_ = worst_alignment(family, norm, share, seed, training_rule)
        trials += share
        if not interior or np.asarray(sw_max(game)).min() > 0:
            found += _judged(game, report_, training_rule)
    slack, error, game, report_ = min(found, key=lambda case: case[0])

    def recompute() -> float:
        gain = replayed(game, report_, training_rule)
        return _strict(gain, error, 0.0 if exact else 2 * error)

    witness = Witness(game, 0, report_, float(gains(game, report_, 0, training_rule)), recompute)
    gap = abs(slack - witness.replay())
    return ClaimResult("thm-4.2-2", slack, error, trials, witness, gap)


def _admissible(game: RLHFGame, share: Floats, interior: bool, exact: bool) -> Pair | None:
    """Games of a batch that meet the assumptions, with their reports."""
    assert game.normalization is not None
    rewards = game.rewards[:, 0]
    keep = (rewards.min(axis=-1) > 0) & (np.ptp(rewards, axis=-1) > 0)
    if interior:  # positive, and visibly so: 150 digits must tell it from 0
        keep &= np.asarray(sw_max(game)).min(axis=-1) > 1e-100
    if not keep.any():
        return None
    game = RLHFGame(
        game.rewards[keep], game.sizes[keep], game.reference[keep], game.divergence,
        game.normalization,
    )  # fmt: skip
    report = exaggerated(game, share[keep])
    gain = gains(game, report, 0)
    clear = gain > CLEAR
    if exact:  # where no oracle can help, a gain within its own rounding says nothing
        clear = (np.abs(gain) > 2 * gain_error(game, 0)) | (game.outcomes <= 6)
    if not clear.any():
        return None
    fields = ("rewards", "sizes", "reference")
    game, report = (
        replace(g, **{name: getattr(g, name)[clear] for name in fields})
        for g in (game, replace(report, reference=game.reference))
    )
    return game, report


def _judged(
    game: RLHFGame, report: RLHFGame, training_rule: TrainingRule
) -> list[tuple[float, float, RLHFGame, RLHFGame]]:
    """Slack and error of every game of a batch."""
    gain = np.atleast_1d(gains(game, report, 0, training_rule))
    error = np.atleast_1d(gain_error(game, 0))
    exact = training_rule is sw_max
    judged = []
    for k, index in enumerate(np.ndindex(game.batch_shape)):
        pair, e = (single(game, index), single(report, index)), float(error[k])
        e = e if exact else max(e, 1e-9 * float(pair[0].sizes[0]))
        value, least = float(gain[k]), 2 * e
        if exact and abs(value) <= 2 * e:
            value, sure = oracle_gain(*pair, 0)
            least = 0.0 if sure else least
        slack = _strict(value, e, least)
        judged.append((slack, e, *pair))
    return judged


def _strict(gain: float, error: float, least: float) -> float:
    """Slack of "gain > 0": a gain not above `least`, and not clearly negative, is a violation."""
    return gain if gain > least or gain < -2 * error else gain - 2 * error
