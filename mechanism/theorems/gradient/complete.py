r"""Where truth is optimal without payments, among reports of the reward at the true size.

`check_zero_one`: rewards of zeros and ones. `check_pair`: under summation truth is a stationary
point if and only if a t is the same on the support. `check_kl_complete`: under KL the first order
and the sign of the second settle the question. Source: our own, on Theorem B.2.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, combined, worst_case
from mechanism.attack.games import Family, Setting, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_model
from mechanism.attack.reports import draw_types
from mechanism.attack.spending import Spending
from mechanism.core.divergences import KL, Alpha, JensenShannon, ReverseKL, SquaredHellinger
from mechanism.core.errors import Floats
from mechanism.core.normalization import normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.gradient.check import check_case
from mechanism.theorems.gradient.deviations import Condition, Weights, pair, pull, weights
from mechanism.theorems.misreport.check import CLEAR
from mechanism.theorems.misreport.gains import (
    TrainingRule,
    gain_case,
    gain_error,
    gains,
    oracle_gain,
    replayed,
)

POSITIVE: tuple[Family, ...] = (  # the optimum is positive for all reports
    KL, ReverseKL, SquaredHellinger, JensenShannon,
    lambda lam: Alpha(-1.0, lam), lambda lam: Alpha(0.3, lam),
)  # fmt: skip
Draw = Callable[[np.random.Generator, Setting], RLHFGame]
LARGEST_TRUTH, LARGEST_LIES = 64, 96  # runs of one game: no report may gain, some report must


def zero_one_game(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """Game in which the first group's rewards are 0 or 1, not all alike (summation: a single 1)."""
    if setting.normalization == "summation":
        return _spike(rng, setting)
    game = setting.draw(rng)
    own = (rng.random(game.outcomes) < rng.choice([0.2, 0.5, 0.8])) * 1.0
    first, second = rng.permutation(game.outcomes)[:2]
    own[first], own[second] = 1.0, 0.0
    return game.with_report(0, own)


def _truth_case(
    rng: np.random.Generator, game: RLHFGame, training_rule: TrainingRule, sizes: bool
) -> tuple[Case, int]:
    """Least loss by another report of the reward (with `sizes` also of the size)."""
    rewards, reported = draw_types(rng, game, 0)
    keep = np.full(len(reported), True) if sizes else reported == game.sizes[0]
    report = game.with_report(0, rewards[keep], reported[keep])
    truth = game.with_report(0, np.broadcast_to(game.rewards[0], report.rewards[:, 0].shape))
    gain = gains(truth, report, 0, training_rule)
    k = int(np.argmax(gain))
    worst = game.with_report(0, report.rewards[k, 0], report.sizes[k, 0])
    error = float(gain_error(game, 0)) + float(gain_error(worst, 0))
    case = Case(
        -float(gain[k]), error, game, 0, worst,
        lambda: -replayed(game, worst, training_rule), comparisons=len(gain),
    )  # fmt: skip
    return case, 2 * len(gain)


@checker("prop-zero-one")
def check_zero_one(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0,
    *, draw: Draw = zero_one_game, sizes: bool = False,
) -> ClaimResult:  # fmt: skip
    """Rewards of zeros and ones: no other report of the reward gains, without payments.

    About twenty reports a game, near and far, spikes and corners among them.

    Parameters
    ----------
    draw : callable
        Draws the games, in place of those with rewards of zeros and ones.
    sizes : bool
        Lets the report change the size too: then the statement is false.

    Returns
    -------
    ClaimResult
        `margin` is the least loss by a misreport, reward units.

    Examples
    --------
    >>> check_zero_one(budget=100).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    for setting in Strata(rng, POSITIVE):
        case, spent = _truth_case(rng, draw(rng, setting), training_rule, sizes)
        cases.append(case)
        runs.spend(spent)
        if not runs.room(LARGEST_TRUTH):
            break
    return worst_case("prop-zero-one", cases, runs.spent, origin="rounding of two valuations")


def twin_outcomes(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """Summation: reward one half at two outcomes that nothing tells apart, 0 elsewhere."""
    game = setting.draw(rng) if setting.outcomes > 2 else replace(setting, outcomes=3).draw(rng)
    rewards, q = game.rewards.copy(), game.reference.copy()
    rewards[:, 1] = rewards[:, 0]
    rewards[0] = 0.0
    rewards[0, :2] = 1.0
    q[1] = q[0]
    empty = rewards.sum(axis=-1, keepdims=True) <= 0
    return replace(
        game, rewards=normalize(rewards + empty, "summation"), reference=q / q.sum(),
        normalization="summation",
    )  # fmt: skip


@checker("prop-pair")
def check_pair(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0,
    *, condition: Condition = pair, rule: Weights = weights, twins: Draw = twin_outcomes,
) -> ClaimResult:  # fmt: skip
    """Summation: truth is stationary if and only if a t is the same wherever the reward is > 0.

    Three quarters of the budget: where a t differs, a step gains. The rest: where it does not (one
    outcome alone, or two that nothing tells apart) no direction of the domain has a rising slope.

    Parameters
    ----------
    condition, rule
        As in `check_case`: the direction to be tried, and the weights a.
    twins : callable
        Draws games whose a t is the same on the support.

    Examples
    --------
    >>> check_pair(budget=300).status
    'holds'
    """
    cases = ((condition, "summation"),)
    first = check_case(
        "prop-pair", cases, training_rule, rule, budget=3 * budget // 4, seed=seed  # type: ignore[arg-type]
    )  # fmt: skip
    rng, runs, still = np.random.default_rng(seed), Spending(budget // 4), list[Case]()
    for setting in Strata(rng, POSITIVE, ("summation",)):
        game = twins(rng, setting) if len(still) % 2 else _spike(rng, setting)
        still.append(_still_case(game, training_rule, rule))
        runs.spend(1)
        if not runs.room():
            break
    return combined("prop-pair", [first, worst_case("prop-pair", still, runs.spent)])


def _spike(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    game = setting.draw(rng)
    return game.with_report(0, np.eye(game.outcomes)[int(rng.integers(game.outcomes))])


def _still_case(game: RLHFGame, training_rule: TrainingRule, rule: Weights) -> Case:
    """Least of: how far the support's slope is above any other, and minus its own spread."""

    def slack(policy: Floats) -> float:
        force = rule(game, policy) * pull(game.rewards[0], rule(game, policy))
        on = game.rewards[0] > 0
        unit = float(np.abs(force).max()) or 1.0
        rest = force[~on].max() if (~on).any() else -unit
        return min(-float(np.ptp(force[on])), float(force[on].min() - rest)) / unit

    policy = np.asarray(training_rule(game), dtype=np.float64)
    exact = training_rule is sw_max
    return Case(
        slack(policy), 1e-12, game, 0, None,
        lambda: slack(slow_model(game) if exact else policy),
    )  # fmt: skip


def kl_optimal_game(rng: np.random.Generator, setting: Setting, off: float = 1.0) -> RLHFGame:
    """KL game in which the proposition says that truth is optimal.

    Summation: one outcome alone. Maximum: values 0, 1 and, half of the time, one value in between
    that is the true valuation times `off`.
    """
    if setting.normalization == "summation":
        return _spike(rng, setting)
    game = zero_one_game(rng, setting)
    own = game.rewards[0].copy()
    free = np.flatnonzero(own == 0)[1:]
    if rng.random() < 0.5 or len(free) == 0:
        return game
    middle = free[: 1 + len(free) // 3]
    p = np.asarray(sw_max(game))
    kept = np.delete(np.arange(len(own)), middle)
    own[middle] = min(1.0, off * float(own[kept] @ p[kept] / p[kept].sum()))  # whatever it is
    return game.with_report(0, own)


def _kl_gaining_game(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """KL game in which the proposition says that some report gains."""
    if setting.normalization == "summation" and rng.random() < 0.3:
        return twin_outcomes(rng, setting)
    game = setting.draw(rng) if setting.outcomes > 2 else replace(setting, outcomes=3).draw(rng)
    own = rng.random(game.outcomes)
    own[rng.permutation(game.outcomes)[0]] = 0.0
    return game.with_report(0, normalize(own, setting.normalization))


def _best_reports(rng: np.random.Generator, game: RLHFGame) -> RLHFGame:
    """Reports that should find a gain: moves between two outcomes, each entry to 0 or 1, spikes."""
    own, m = game.rewards[0], game.outcomes
    support = np.flatnonzero(own > 0)
    a = weights(game, np.asarray(sw_max(game)))
    force = a * pull(own, a)
    up, down = support[force[support].argmax()], support[force[support].argmin()]
    if up == down:
        up, down = support[0], support[-1]
    if game.normalization == "summation":
        steps = np.concatenate([10.0 ** np.arange(-6, 0), [0.5, 0.999]])
        shifts = np.eye(m)[up] - np.eye(m)[down]
        rows = [own + s * own[down] * shifts for s in steps]
        rows += [own - s * own[up] * shifts for s in steps]
        rows += [np.eye(m)[x] for x in rng.permutation(support)[:6]]
    else:
        inner = np.flatnonzero((own > 0) & (own < 1))
        best = inner[np.argsort(-np.abs(force[inner]))[:6]]
        rows = []
        for x in best:
            for end in (0.0, 1.0):
                rows += [own + s * (end - own[x]) * np.eye(m)[x] for s in (1e-6, 1e-3, 0.1, 1.0)]
    return game.with_report(0, np.clip(np.array(rows), 0.0, None))


def _gain_cases(
    rng: np.random.Generator, game: RLHFGame, training_rule: TrainingRule
) -> tuple[list[Case], int]:
    """The best of the reports must gain strictly, by more than rounding or by the slow oracle."""
    report = _best_reports(rng, game)
    truth = game.with_report(0, np.broadcast_to(game.rewards[0], report.rewards[:, 0].shape))
    gain, error = gains(truth, report, 0, training_rule), float(gain_error(game, 0))
    k, runs, exact = int(np.argmax(gain)), 2 * len(gain), training_rule is sw_max
    best, value, least = game.with_report(0, report.rewards[k, 0]), float(gain[k]), 2 * error
    if not exact and gains(truth, report, 0).max() <= max(CLEAR, 2 * least):
        return [], runs  # SW-Max gains too little to show, and other rules have no oracle
    if value <= least and exact:
        if game.outcomes > 6:
            return [], runs  # beyond rounding, and too large for the oracle
        for k in np.argsort(-gain)[:12].tolist():  # floats cannot rank what is below rounding
            best = game.with_report(0, report.rewards[k, 0])
            value, sure = oracle_gain(game, best, 0)
            if sure and value > 0:
                break
        if not sure:
            return [], runs
        least = 0.0
    case = gain_case(value, error, least, (game, best), training_rule)
    return [replace(case, comparisons=len(gain))], runs


@checker("prop-kl-complete")
def check_kl_complete(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0,
    *, optimal: Draw = kl_optimal_game, sizes: bool = False,
) -> ClaimResult:  # fmt: skip
    """Under KL truth is optimal among rewards exactly in the two cases of the proposition.

    In turn games of the two cases, where no report may gain, and other games with a least reward of
    0, where one of about twenty reports must gain strictly.

    Parameters
    ----------
    optimal : callable
        Draws the games in which truth is said to be optimal.
    sizes : bool
        Lets reports change the size too: then the statement is false.

    Examples
    --------
    >>> check_kl_complete(budget=200).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    for setting in Strata(rng, (KL,)):
        case, spent = _truth_case(rng, optimal(rng, setting), training_rule, sizes)
        found, more = _gain_cases(rng, _kl_gaining_game(rng, setting), training_rule)
        cases += [case, *found]
        runs.spend(spent + more)
        if not runs.room(LARGEST_TRUTH + LARGEST_LIES):
            break
    return worst_case("prop-kl-complete", cases, runs.spent, origin="rounding of two valuations")
