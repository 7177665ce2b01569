"""Checkers of Theorem 4.2, without payments; gains are in reward units."""

from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, worst_case
from mechanism.attack.games import Family, Strata, pick
from mechanism.attack.outputs import checker
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.misreport.gains import (
    UNIT,
    Pair,
    TrainingRule,
    gain_case,
    gain_error,
    gains,
    oracle_gain,
    replayed,
)
from mechanism.theorems.misreport.games import (
    BATCH,
    SMOOTH,
    best_lie_of_the_indifferent,
    draw_batch,
    exaggerated,
    worst_alignment,
)

CLEAR = 1e-6  # a rule with its own rounding is judged where SW-Max's gain exceeds this share


@checker("thm-4.2-1")
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
    rng, pairs, trials = np.random.default_rng(seed), [], 0
    for setting in Strata(rng, families):
        if trials and trials + 2 * BATCH > budget // 2:
            break
        game = draw_batch(rng, setting, constant=True)
        own = rng.random((BATCH, game.outcomes)) ** rng.choice([0.1, 1.0, 100.0]) + 1e-300
        size = game.sizes[:, 0] * 10.0 ** rng.uniform(-2, 2, BATCH)
        report = game.with_report(0, normalize(own, game.normalization or "maximum"), size)
        gain, trials = gains(game, report, 0, training_rule), trials + 2 * BATCH
        k = int(np.argmax(gain))
        pairs.append((pick(game, (k,)), pick(report, (k,))))
    norms: tuple[Normalization, ...] = ("summation", "maximum")
    for norm in norms:
        family, share = families[int(rng.integers(len(families)))], budget // 4
        pairs.append(best_lie_of_the_indifferent(family, norm, share, seed, training_rule))
        trials += share
    scales = [float(g.sizes[0] * g.rewards[0, 0] * (g.outcomes + 8)) for g, _ in pairs]
    tolerance = 4 * UNIT * max(scales)
    cases = [_indifferent_case(*pair, training_rule, tolerance) for pair in pairs]
    return worst_case("thm-4.2-1", cases, trials)


def _indifferent_case(
    game: RLHFGame, report: RLHFGame, training_rule: TrainingRule, tolerance: float
) -> Case:
    slack = -float(gains(game, report, 0, training_rule))
    return Case(slack, tolerance, game, 0, report, lambda: -replayed(game, report, training_rule))


@checker("thm-4.2-2")
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
    for setting in Strata(rng, families):
        if trials and trials + 2 * BATCH > budget // 2:
            break
        game = draw_batch(rng, setting)
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
    return worst_case("thm-4.2-2", found, trials, by="slack")


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


def _judged(game: RLHFGame, report: RLHFGame, training_rule: TrainingRule) -> list[Case]:
    """Slack and error of every game of a batch."""
    gain = np.atleast_1d(gains(game, report, 0, training_rule))
    error = np.atleast_1d(gain_error(game, 0))
    exact = training_rule is sw_max
    judged = []
    for k, index in enumerate(np.ndindex(game.batch_shape)):
        pair, e = (pick(game, index), pick(report, index)), float(error[k])
        e = e if exact else max(e, 1e-9 * float(pair[0].sizes[0]))
        value, least = float(gain[k]), 2 * e
        if exact and abs(value) <= 2 * e:
            value, sure = oracle_gain(*pair, 0)
            least = 0.0 if sure else least
        judged.append(gain_case(value, e, least, pair, training_rule))
    return judged
