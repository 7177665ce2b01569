"""Negative controls of Theorems 4.3 and B.2: broken rules, weights and directions."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Setting
from mechanism.core.divergences import KL, Alpha, ChiSquared
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems import gradient, misreport
from mechanism.theorems.gradient import Condition, Deviation, Weights, check_case, weights

Control = Callable[[int, int], ClaimResult]


# broken training rules


def frozen(game: RLHFGame) -> Floats:
    """Never trains."""
    return game.reference


def coarse(game: RLHFGame) -> Floats:
    """Sees rewards in steps of one tenth only."""
    return np.asarray(sw_max(replace(game, rewards=game.rewards.round(1), normalization=None)))


def reversed_sign(game: RLHFGame) -> Floats:
    """Minimises the rewards."""
    return np.asarray(sw_max(replace(game, rewards=-game.rewards, normalization=None)))


def deaf_to_small_changes(game: RLHFGame) -> Floats:
    """Ignores the part of a reward that is below a hundredth of its largest."""
    kept = game.rewards * (game.rewards > 0.01 * game.rewards.max(axis=-1, keepdims=True))
    step = np.floor(kept * 100) / 100
    return np.asarray(sw_max(replace(game, rewards=step, normalization=None)))


# broken weights


def at_reference(game: RLHFGame, policy: Floats) -> Floats:
    """a at the initial model instead of the optimum."""
    return weights(game, np.broadcast_to(game.reference, policy.shape))


def other_curvature(game: RLHFGame, policy: Floats) -> Floats:
    """a of the square root of the ratio: f'' halfway between 1 and the ratio."""
    return weights(game, np.sqrt(policy * game.reference))


def one_per_cent(game: RLHFGame, policy: Floats) -> Floats:
    """a that is 1 % too large at the first half of the outcomes."""
    first = np.arange(game.outcomes) < (game.outcomes + 1) // 2
    return weights(game, policy) * np.where(first, 1.01, 1.0)


def one_per_cent_model(game: RLHFGame, policy: Floats) -> Floats:
    """a at a model mixed with 1 % of the initial one."""
    return weights(game, 0.99 * policy + 0.01 * game.reference)


# broken directions


def _reversed(case: Condition) -> Condition:
    def broken(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
        """t with its sign flipped: epsilon goes the other way, within the room there."""
        found = case(game, i, a, rank)
        own, way = game.rewards[..., i, :], -found.direction
        room = np.where(way > 0, 1 - own, np.where(way < 0, own, np.inf)).min(axis=-1)
        return Deviation(way, room, np.where(np.isfinite(room), found.drive, 0.0))

    return broken


def to_any_better(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Case 2 with epsilon moved to the least of the better outcomes, not to an argmax."""
    found = gradient.case_2(game, i, a, rank)
    own = game.rewards[..., i, :]
    x1 = found.direction.argmin(axis=-1)[..., None]
    better = own > np.take_along_axis(own, x1, axis=-1)
    to = np.where(better, own, np.inf).argmin(axis=-1)[..., None]
    direction = np.where(found.direction > 0, 0.0, found.direction)
    np.put_along_axis(direction, to, 1.0, axis=-1)
    return Deviation(direction, found.room, np.where(better.any(axis=-1), found.drive, 0.0))


def from_positive(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Case 2 without t(x1) < 0: the least outcome with a positive reward, whatever its t."""
    own = game.rewards[..., i, :]
    x1 = np.where(own > 0, own, np.inf).argmin(axis=-1)[..., None]
    best = own.argmax(axis=-1)[..., None]
    places = np.arange(game.outcomes)
    direction = 1.0 * (places == best) - 1.0 * (places == x1)
    apart = (x1 != best)[..., 0]
    room = np.where(apart, np.take_along_axis(own, x1, axis=-1)[..., 0], 0.0)
    return Deviation(direction, room, np.where(apart, 0.1, 0.0))


def any_rewards(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """Games whose rewards are not only zeros and ones."""
    return replace(setting, outcomes=max(3, setting.outcomes)).draw(rng)


def first_order_only(rng: np.random.Generator, setting: Setting) -> RLHFGame:
    """Summation: stationary truths that the second order turns into a least point."""
    summation = setting.normalization == "summation"
    return (gradient.twin_outcomes if summation else gradient.kl_optimal_game)(rng, setting)


def as_chi_squared(game: RLHFGame) -> Floats:
    """Chi-squared in place of KL."""
    return np.asarray(sw_max(replace(game, divergence=ChiSquared(game.divergence.lam))))


def _case(claim: str, case: Condition, norm: Normalization) -> Control:
    return lambda budget, seed: check_case(claim, ((case, norm),), budget=budget, seed=seed)


def _rule(claim: str, training_rule: misreport.TrainingRule) -> Control:
    cases = gradient.CASES[claim]
    return lambda budget, seed: check_case(
        claim, cases, training_rule=training_rule, budget=budget, seed=seed
    )


def _weights(claim: str, rule: Weights) -> Control:
    cases = gradient.CASES[claim]
    return lambda budget, seed: check_case(claim, cases, rule=rule, budget=budget, seed=seed)


def _kl_read_as(claim: str, order: float) -> Control:
    """The rule of KL; the weights of Alpha(order), 1 % off KL for an order of 1.01."""

    def rule(game: RLHFGame, policy: Floats) -> Floats:
        return weights(replace(game, divergence=Alpha(order, game.divergence.lam)), policy)

    cases = gradient.CASES[claim]
    return lambda budget, seed: check_case(
        claim, cases, rule=rule, families=(KL,), budget=budget, seed=seed
    )


def _boundary(claim: str) -> Control:
    """Positivity dropped: a = q / f'' also where p = 0, chi-squared."""

    def rule(game: RLHFGame, policy: Floats) -> Floats:
        return game.reference / game.divergence.d2f(policy / game.reference)

    cases = gradient.CASES[claim]
    return lambda budget, seed: check_case(
        claim, cases, rule=rule, families=(ChiSquared,), budget=budget, seed=seed, interior=False
    )


def _common(claim: str) -> dict[str, Control]:
    return {
        "frozen rule": _rule(claim, frozen),
        "coarse rule": _rule(claim, coarse),
        "reversed rule": _rule(claim, reversed_sign),
        "rule that rounds to 1 %": _rule(claim, deaf_to_small_changes),
        "a at the reference": _weights(claim, at_reference),
        "a of chi-squared for KL": _kl_read_as(claim, 2.0),
        "boundary": _boundary(claim),
    }


CONTROLS: dict[str, dict[str, Control]] = {
    "thm-B.2-1": {
        **_common("thm-B.2-1"),
        "t with its sign flipped": _case("thm-B.2-1", _reversed(gradient.case_1), "maximum"),
        "a halfway to the reference": _weights("thm-B.2-1", other_curvature),
        "a 1 % off": _weights("thm-B.2-1", one_per_cent),
        "a at a model 1 % off": _weights("thm-B.2-1", one_per_cent_model),
        "a of an order 1 % off": _kl_read_as("thm-B.2-1", 1.01),
    },
    "thm-B.2-2": {
        **_common("thm-B.2-2"),
        "t with its sign flipped": _case("thm-B.2-2", _reversed(gradient.case_2), "summation"),
        "to a better outcome that is not best": _case("thm-B.2-2", to_any_better, "summation"),
        "whatever the sign of t": _case("thm-B.2-2", from_positive, "summation"),
    },
    "thm-B.2-3": {
        **_common("thm-B.2-3"),
        "t with its sign flipped": _case("thm-B.2-3", _reversed(gradient.case_3), "summation"),
        "without a(x1) > a(x2)": _case(
            "thm-B.2-3", partial(gradient.case_3, curvature=False), "summation"
        ),
        "a halfway to the reference": _weights("thm-B.2-3", other_curvature),
        "a 1 % off": _weights("thm-B.2-3", one_per_cent),
    },
    "thm-4.3": {
        **_common("thm-4.3"),
        "t with its sign flipped": _case("thm-4.3", _reversed(gradient.case_1), "maximum"),
        "a halfway to the reference": _weights("thm-4.3", other_curvature),
        "a 1 % off": _weights("thm-4.3", one_per_cent),
    },
    "prop-zero-one": {
        "reports of the size too": lambda budget, seed: gradient.check_zero_one(
            budget=budget, seed=seed, sizes=True
        ),
        "rewards of any value": lambda budget, seed: gradient.check_zero_one(
            budget=budget, seed=seed, draw=any_rewards
        ),
        "reversed rule": lambda budget, seed: gradient.check_zero_one(reversed_sign, budget, seed),
    },
    "prop-pair": {
        "a at the reference": lambda budget, seed: gradient.check_pair(
            budget=budget, seed=seed, rule=at_reference
        ),
        "from the greater a t to the lower": lambda budget, seed: gradient.check_pair(
            budget=budget, seed=seed, condition=_reversed(gradient.pair)
        ),
        "games whose a t differs": lambda budget, seed: gradient.check_pair(
            budget=budget, seed=seed, twins=any_rewards
        ),
        "frozen rule": lambda budget, seed: gradient.check_pair(frozen, budget, seed),
    },
    "prop-kl-complete": {
        "reports of the size too": lambda budget, seed: gradient.check_kl_complete(
            budget=budget, seed=seed, sizes=True
        ),
        "a middle value 5 % below the valuation": lambda budget, seed: gradient.check_kl_complete(
            budget=budget, seed=seed, optimal=partial(gradient.kl_optimal_game, off=0.95)
        ),
        "any support where a t is constant": lambda budget, seed: gradient.check_kl_complete(
            budget=budget, seed=seed, optimal=first_order_only
        ),
        "chi-squared in its place": lambda budget, seed: gradient.check_kl_complete(
            as_chi_squared, budget, seed
        ),
    },
}
