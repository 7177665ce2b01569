"""Checkers of Theorems 4.3 and B.2: where a condition holds, its deviation gains strictly."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mechanism.attack.claim_result import UNIT, Case, ClaimResult, worst_case
from mechanism.attack.games import Family, Strata, pick
from mechanism.attack.outputs import checker
from mechanism.attack.spending import Spending
from mechanism.core.normalization import Normalization
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.gradient.deviations import (
    STEPS,
    Condition,
    Deviation,
    Weights,
    case_1,
    case_2,
    case_3,
    epsilons,
    reports,
    slope,
    weights,
)
from mechanism.theorems.gradient.games import draw, near_edge, near_twins, worst_drive
from mechanism.theorems.misreport.check import CLEAR
from mechanism.theorems.misreport.gains import (
    TrainingRule,
    gain_case,
    gain_error,
    gains,
    models,
    oracle_gain,
)
from mechanism.theorems.misreport.games import BATCH, SMOOTH

LARGEST_PIECE = BATCH * (16 + 1 + len(STEPS))


def judge(
    game: RLHFGame,
    deviation: Deviation,
    training_rule: TrainingRule = sw_max,
    settled: bool = False,
) -> list[Case]:
    """Slack, error, game and report of every game of a batch at its best epsilon.

    A gain counts as strict above twice its rounding error. Below, slow optima decide, up to six
    outcomes; larger games within rounding are left out, and all of them once a violation has
    `settled` the matter. So are games whose sign no oracle can tell; a gain of exactly 0 counts.
    """
    report = reports(game, deviation, 0, epsilons(game, deviation, 0))
    exact = training_rule is sw_max
    gain, error = gains(game, report, 0, training_rule), np.atleast_1d(gain_error(game, 0))
    moved = np.abs(slope(game, game, 0) * deviation.direction).sum(axis=-1)
    judged, blur = list[Case](), np.atleast_1d(4 * UNIT * moved)
    for k in range(gain.shape[-1]):
        truth, best = pick(game, (k,)), int(gain[:, k].argmax())
        e, value, least = float(error[k]), float(gain[best, k]), 0.0
        if not exact:
            e = max(e, 1e-9 * float(truth.sizes[0]))
            least = 2 * e
        elif value <= 2 * e and game.outcomes <= 6 and not settled:
            value, best, sure = _slow_best(truth, report, k)
            if (not sure and value != 0) or -float(blur[k]) <= value < 0:
                continue  # beyond all digits, or below the rounding of the report itself
            least = 0.0 if sure else 2 * e
        elif value <= 2 * e:
            if value >= -2 * e:
                continue
        pair = truth, pick(report, (best, k))
        judged.append(gain_case(value, e, least, pair, training_rule))
        settled = settled or judged[-1].slack < -e
    return judged


def _slow_best(truth: RLHFGame, report: RLHFGame, k: int) -> tuple[float, int, bool]:
    """Gain by slow optima at the first epsilon that gains, of three; else the least loss."""
    found = []
    for step in (1, 4, 0):
        if np.array_equal(pick(report, (step, k)).rewards, truth.rewards):
            continue  # epsilon is lost in rounding
        gain, sure = oracle_gain(truth, pick(report, (step, k)), 0)
        if sure and gain > 0:
            return gain, step, True
        found.append((gain, step, sure))
    return max(found, default=(np.nan, 0, False))


@checker()
def check_case(
    claim: str, cases: tuple[tuple[Condition, Normalization], ...],
    training_rule: TrainingRule = sw_max, rule: Weights = weights,
    families: tuple[Family, ...] = SMOOTH, budget: int = 2000, seed: int = 0,
    interior: bool = True,
) -> ClaimResult:  # fmt: skip
    """Where a case's condition holds, its deviation gains strictly for some small epsilon.

    Parameters
    ----------
    claim : str
        Id of the result.
    cases : tuple of (Condition, normalization)
        Conditions and domains, drawn in turn.
    training_rule, rule
        The rule under test; the weights a by which conditions are judged.
    interior : bool
        Keep to games whose optimum is positive, as the theorem does.

    Returns
    -------
    ClaimResult
        Margin: least gain, at the best epsilon of a decreasing grid, over random games and the
        games of an adversary. Tolerance: rounding error of that gain.
    """
    rng, found, turn = np.random.default_rng(seed), list[Case](), 0
    runs = Spending(budget // 4 * 3)
    strata = [Strata(rng, families, (norm,)) for _, norm in cases]
    while runs.room(LARGEST_PIECE if runs.spent >= budget // 3 else 0):
        made = 0
        case, norm = cases[turn % len(cases)]
        game = draw(rng, next(strata[turn % len(cases)]))
        turn += 1
        rank = rng.random((len(game.sizes), game.outcomes))
        if runs.spent >= budget // 3 and turn % 2:  # the edges of the conditions
            game, rank, spent = (
                near_twins(rng, game) if norm == "summation" and case not in (case_1, case_2)
                else near_edge(rng, game, rule, training_rule)
            )  # fmt: skip
            made += spent
        policy = models(training_rule, game)
        made += len(policy)
        deviation = case(game, 0, rule(game, policy), rank)
        keep = deviation.applies & (deviation.room > 0)
        if interior:  # visibly positive: 150 digits must tell it from 0
            keep &= policy.min(axis=-1) > 1e-100
        if keep.any():
            game, deviation = _subset(game, deviation, keep)
            pairs = _clear(game, deviation, training_rule)
            found += judge(*pairs, training_rule, any(one.ratio < -1 for one in found))
            made += len(STEPS) * int(keep.sum())
        runs.spend(made)
    trials = runs.spent
    for turn, (case, norm) in enumerate(cases * (2 // len(cases) or 1)):
        family, share = (
            families[int(rng.integers(len(families)))],
            budget // 4 // max(len(cases), 2),
        )
        game, deviation = worst_drive(case, norm, family, share, seed + turn, training_rule, rule)
        trials += share
        batch = replace(game, rewards=game.rewards[None], sizes=game.sizes[None])
        batch = replace(batch, reference=game.reference[None])
        deviation = Deviation(*(np.asarray(v)[None] for v in vars(deviation).values()))
        if deviation.applies.all() and (not interior or sw_max(batch).min() > 1e-100):
            found += judge(*_clear(batch, deviation, training_rule), training_rule)
    return worst_case(claim, found, trials, by="slack")


def _subset(
    game: RLHFGame, deviation: Deviation, keep: NDArray[np.bool_]
) -> tuple[RLHFGame, Deviation]:
    parts = {name: getattr(game, name)[keep] for name in ("rewards", "sizes", "reference")}
    return replace(game, **parts), Deviation(*(v[keep] for v in vars(deviation).values()))


def _clear(
    game: RLHFGame, deviation: Deviation, training_rule: TrainingRule
) -> tuple[RLHFGame, Deviation]:
    """For a rule with rounding of its own: games where SW-Max gains clearly."""
    if training_rule is sw_max:
        return game, deviation
    report = reports(game, deviation, 0, epsilons(game, deviation, 0))
    return _subset(game, deviation, gains(game, report, 0).max(axis=0) > CLEAR)


CASES: dict[str, tuple[tuple[Condition, Normalization], ...]] = {
    "thm-B.2-1": ((case_1, "maximum"),),
    "thm-B.2-2": ((case_2, "summation"),),
    "thm-B.2-3": ((case_3, "summation"),),
    "thm-4.3": ((case_1, "maximum"), (case_2, "summation"), (case_3, "summation")),
}


def check_thm_B_2_1(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Theorem B.2 (1), maximum normalisation: raise or lower one reward."""
    return check_case("thm-B.2-1", CASES["thm-B.2-1"], training_rule, budget=budget, seed=seed)


def check_thm_B_2_2(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Theorem B.2 (2), summation: take from an outcome that pulls down."""
    return check_case("thm-B.2-2", CASES["thm-B.2-2"], training_rule, budget=budget, seed=seed)


def check_thm_B_2_3(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Theorem B.2 (3), summation: give to the better and heavier of two outcomes."""
    return check_case("thm-B.2-3", CASES["thm-B.2-3"], training_rule, budget=budget, seed=seed)


def check_thm_4_3(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Theorem 4.3: where any of the three conditions holds, truth is not optimal."""
    return check_case("thm-4.3", CASES["thm-4.3"], training_rule, budget=budget, seed=seed)
