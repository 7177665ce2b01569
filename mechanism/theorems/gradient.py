r"""Theorems 4.3 and B.2: the slope of a group's true valuation in its own report, without payments.

With :math:`a(x) = q(x)/f''(p(x)/q(x))` and :math:`t(x) = \sum_z (rm_i(x) - rm_i(z))\,a(z)`, raising
the report at x by epsilon changes :math:`v(p; rm_i)` by
:math:`w_i\,\varepsilon\,a(x)\,t(x)/\sum a + O(\varepsilon^2)`. Three sufficient conditions follow
for truth not to be optimal where :math:`\min rm_i = 0`. Gains are in reward units, w_i times v.
Source: Theorems 4.3 and B.2, arXiv:2405.16276v4; `pair` and `critical` are our own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems import misreport
from mechanism.theorems.claim_result import ClaimResult, Witness
from mechanism.theorems.misreport import SMOOTH, Family, TrainingRule, gain_error, gains, single

Weights: TypeAlias = Callable[[RLHFGame, Floats], Floats]
Judged: TypeAlias = tuple[float, float, RLHFGame, RLHFGame]
STEPS = (0.1, 1e-2, 1e-4, 1e-6, 1e-8)  # the decreasing grid of epsilon, in natural units
NOTABLE = 1e-9  # a condition counts as met where it is met by this share of its scale


@dataclass(frozen=True)
class Deviation:
    """A direction in which a group may change its report.

    Attributes
    ----------
    direction : array, shape (..., m)
        +1 where the report rises by epsilon, -1 where it falls.
    room : array, shape (...)
        Greatest epsilon that stays in the domain.
    drive : array, shape (...)
        How strongly the first-order condition is met, in [0, 1]; 0 where it is not.
    """

    direction: Floats
    room: Floats
    drive: Floats

    @property
    def applies(self) -> NDArray[np.bool_]:
        """Whether the condition is met, beyond rounding."""
        return np.asarray(self.drive > NOTABLE)


Case: TypeAlias = Callable[[RLHFGame, int, Floats, Floats], Deviation]


def weights(game: RLHFGame, policy: Floats) -> Floats:
    r"""Theorem B.2's a = q / f''(p/q), shape (..., m); 0 where p = 0. Units: 1 / reward.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(2.0))
    >>> weights(game, np.array([0.25, 0.75]))
    array([0.125, 0.375])
    """
    with np.errstate(all="ignore"):  # ratios of tiny numbers: what is not finite moves nothing
        a = game.reference / game.divergence.d2f(policy / game.reference)
    return np.where((policy > 0) & np.isfinite(a), a, 0.0)


def pull(rewards: Floats, a: Floats) -> Floats:
    r"""Theorem B.2's :math:`t(x) = \sum_z (rm(x) - rm(z))\,a(z)`, shape (..., m).

    Rewards are taken relative to the heaviest outcome, so that its own t keeps its digits.

    >>> pull(np.array([1.0, 0.0]), np.array([0.1, 0.3]))
    array([ 0.3, -0.1])
    """
    rewards, a = np.broadcast_arrays(rewards, a)
    heaviest = a.argmax(axis=-1)[..., None]
    relative = rewards - np.take_along_axis(rewards, heaviest, axis=-1)
    return relative * a.sum(axis=-1, keepdims=True) - (a * relative).sum(axis=-1, keepdims=True)


def slope(game: RLHFGame, reported: RLHFGame, i: int) -> Floats:
    r"""Exact gradient (..., m) of :math:`w_i v(\psi(r'); rm_i)` in the report r'(x).

    :math:`w_i w'_i\, a(x) t(x)/\sum a`, with a at the model that the report brings about.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> slope(game, game, 0)
    array([ 0.25, -0.25])
    """
    a = weights(reported, np.asarray(sw_max(reported)))
    total = a.sum(axis=-1, keepdims=True)
    size = (game.sizes[..., i] * reported.sizes[..., i])[..., None]
    return size * a * pull(game.rewards[..., i, :], a) / np.where(total > 0, total, 1.0)


def _pick(eligible: NDArray[np.bool_], rank: Floats) -> NDArray[np.intp]:
    """Index (..., 1) of the eligible entry of highest rank."""
    return np.asarray(np.where(eligible, rank, -np.inf).argmax(axis=-1)[..., None])


def _at(values: Floats, index: NDArray[np.intp]) -> Floats:
    return np.take_along_axis(values, index, axis=-1)[..., 0]


def _move(
    game: RLHFGame, own: Floats, up: NDArray[np.intp], down: NDArray[np.intp], drive: Floats
) -> Deviation:
    """Take epsilon from `down` and give it to `up`."""
    places = np.arange(game.outcomes)
    direction = 1.0 * (places == up) - 1.0 * (places == down)
    return Deviation(direction, np.minimum(1 - _at(own, up), _at(own, down)), drive)


def case_1(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Maximum: some x1 with 0 < rm(x1) < 1 and t(x1) not 0; raise it if t > 0, else lower it."""
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((own > 0) & (own < 1) & (t != 0) & (a > 0), rank)
    inside = (_at(own, x1) > 0) & (_at(own, x1) < 1) & (_at(a, x1) > 0)
    sign = np.sign(_at(t, x1))
    direction = sign[..., None] * (np.arange(game.outcomes) == x1)
    room = np.where(sign > 0, 1 - _at(own, x1), _at(own, x1))
    return Deviation(direction, room, np.where(inside, abs(_at(t, x1)) / a.sum(axis=-1), 0.0))


def case_2(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Summation: some x1 with t(x1) < 0 < rm(x1) < 1; move epsilon from it to an argmax."""
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((own > 0) & (own < 1) & (t < 0) & (a > 0), rank)
    inside = (_at(own, x1) > 0) & (_at(own, x1) < 1) & (_at(a, x1) > 0)
    drive = np.where(inside, np.maximum(-_at(t, x1), 0) / a.sum(axis=-1), 0.0)
    return _move(game, own, own.argmax(axis=-1)[..., None], x1, drive)


def case_3(game: RLHFGame, i: int, a: Floats, rank: Floats, curvature: bool = True) -> Deviation:
    """Summation: t(x1) > 0, 1 > rm(x1) >= rm(x2) > 0, a(x1) > a(x2); move epsilon to x1 from x2.

    `curvature=False` leaves out a(x1) > a(x2).
    """
    own, t = game.rewards[..., i, :], pull(game.rewards[..., i, :], a)
    x1 = _pick((t > 0) & (own > 0) & (own < 1) & (a > 0), rank)
    lower = (own > 0) & (own <= _at(own, x1)[..., None]) & (np.arange(game.outcomes) != x1)
    lighter = a < _at(a, x1)[..., None] * (1 - NOTABLE)
    x2 = _pick(lower & lighter if curvature else lower, rank)
    inside = (_at(own, x1) < 1) & (_at(own, x2) > 0) & (_at(own, x1) >= _at(own, x2))
    inside &= (_at(a, x1) > _at(a, x2)) if curvature else (x1 != x2)[..., 0]
    most = np.where(inside & (_at(a, x1) > 0), _at(a, x1) * a.sum(axis=-1), 1.0)
    force = abs(_at(a * t, x1) - _at(a * t, x2)) / most
    drive = np.where(inside & (_at(t, x1) > 0), np.minimum(force, 1.0), 0.0)
    return _move(game, own, x1, x2, drive)


def pair(game: RLHFGame, i: int, a: Floats, rank: Floats) -> Deviation:
    """Summation, our own: a t takes two values on {rm > 0}; move epsilon from the lower one.

    This is all that the first order can say: otherwise truth is a stationary point.
    """
    own = game.rewards[..., i, :]
    force = a * pull(own, a)
    up, down = (_pick(own > 0, rank_) for rank_ in (force, -force))
    total = a.sum(axis=-1)
    largest = abs(force).max(axis=-1)
    differ = (_at(force, up) - _at(force, down)) / np.where(largest > 0, largest, 1.0)
    drive = np.where(largest > NOTABLE * total**2, differ, 0.0)
    return _move(game, own, up, down, drive)


def game_with_optimum(
    policy: Floats, rewards: Floats, sizes: Floats, divergence: Divergence, norm: Normalization
) -> RLHFGame:
    """Game whose SW-Max model is `policy` > 0: the initial model is solved for.

    >>> from mechanism import KL
    >>> rewards = [[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]
    >>> wish = np.array([0.5, 0.25, 0.25])
    >>> game = game_with_optimum(wish, rewards, [1, 1], KL(1.0), "summation")
    >>> sw_max(game).round(12)
    array([0.5 , 0.25, 0.25])
    """
    total = np.asarray(sizes, float) @ np.asarray(rewards, float)

    def reference(shift: float) -> Floats:
        return policy / divergence.df_inverse(total - total.max() + divergence.df(1.0) - shift)

    def excess(shift: float) -> float:
        return float(np.log(reference(shift).sum()))

    width = float(np.ptp(total)) + 1e-9
    q = reference(brentq(excess, -width, 1e-9, xtol=1e-15))
    return RLHFGame(rewards, sizes, q / q.sum(), divergence, norm)


def draw(rng: np.random.Generator, families: tuple[Family, ...], norm: Normalization) -> RLHFGame:
    """Batch of games of `misreport.draw` with three outcomes or more, and min rm_0 = 0."""
    game = misreport.draw(rng, families)
    while game.outcomes < 3:
        game = misreport.draw(rng, families)
    rewards = game.rewards.copy()
    keep = rng.random((*game.batch_shape, game.outcomes)) < rng.choice([0.3, 0.6, 1.0])
    own = rewards[:, 0] * keep
    order = rng.permuted(np.tile(np.arange(game.outcomes), (misreport.BATCH, 1)), axis=-1)
    np.put_along_axis(own, order[:, 1:2], 1.0 + rewards[:, 0].max(), axis=-1)
    np.put_along_axis(own, order[:, :1], 0.0, axis=-1)  # at least one zero and one that is not
    rewards[:, 0] = own
    return replace(game, rewards=normalize(rewards, norm), normalization=norm)


def epsilons(game: RLHFGame, deviation: Deviation, i: int) -> Floats:
    """Decreasing epsilons (len(STEPS), ...), in units of drive x lam / w_i, within the room."""
    unit = deviation.drive * game.divergence.lam / game.sizes[..., i]
    return np.minimum(np.multiply.outer(STEPS, unit), 0.999 * deviation.room)


def reports(game: RLHFGame, deviation: Deviation, i: int, epsilon: Floats) -> RLHFGame:
    """Reported games, one for each epsilon (..., batch); the core checks that they are allowed."""
    rewards = game.rewards[..., i, :] + epsilon[..., None] * deviation.direction
    return game.with_report(i, reward=np.maximum(rewards, 0.0))


def judge(
    game: RLHFGame,
    deviation: Deviation,
    training_rule: TrainingRule = sw_max,
    settled: bool = False,
) -> list[Judged]:
    """Slack, error, game and report of every game of a batch at its best epsilon.

    A gain counts as strict above twice its rounding error. Below, slow optima decide, up to six
    outcomes; larger games within rounding are left out, and all of them once a violation has
    `settled` the matter.
    """
    report = reports(game, deviation, 0, epsilons(game, deviation, 0))
    exact = training_rule is sw_max
    gain, error = gains(game, report, 0, training_rule), np.atleast_1d(gain_error(game, 0))
    judged: list[Judged] = []
    for k in range(gain.shape[-1]):
        truth, best = single(game, (k,)), int(gain[:, k].argmax())
        e, value, least = float(error[k]), float(gain[best, k]), 0.0
        if not exact:
            e = max(e, 1e-9 * float(truth.sizes[0]))
            least = 2 * e
        elif value <= 2 * e and game.outcomes <= 6 and not settled:
            value, best, sure = _slow_best(truth, report, k)
            least = 0.0 if sure else 2 * e
        elif value <= 2 * e:
            if value >= -2 * e:
                continue
        judged.append((strict(value, e, least), e, truth, single(report, (best, k))))
        settled = settled or judged[-1][0] < -e
    return judged


def _slow_best(truth: RLHFGame, report: RLHFGame, k: int) -> tuple[float, int, bool]:
    """Gain by slow optima at the first epsilon that gains, of three; else the least loss."""
    found = []
    for step in (1, 4, 0):
        gain, sure = misreport.oracle_gain(truth, single(report, (step, k)), 0)
        if sure and gain > 0:
            return gain, step, True
        found.append((gain, step, sure))
    return max(found)


def strict(gain: float, error: float, least: float) -> float:
    """Slack of "gain > 0": a gain not above `least`, and not clearly negative, is a violation."""
    return gain if gain > least or gain < -2 * error else gain - 2 * error


def all_reports(norm: Normalization, steps: int = 40) -> Floats:
    """Grid (K, 3) over the whole domain of reports on three outcomes.

    >>> all_reports("summation", 2).tolist()[:2]
    [[0.0, 0.0, 1.0], [0.0, 0.5, 0.5]]
    """
    if norm == "summation":
        rows = [(a, b, steps - a - b) for a in range(steps + 1) for b in range(steps + 1 - a)]
        return np.array(rows) / steps
    line = np.arange(steps + 1) / steps
    face = np.stack(np.meshgrid([1.0], line, line), axis=-1).reshape(-1, 3)
    return np.concatenate([np.roll(face, k, axis=-1) for k in range(3)])


def survey(
    family: Family, norm: Normalization, games: int, seed: int = 0, steps: int = 40
) -> dict[str, tuple[int, int]]:
    """Sort random games of three outcomes with min rm = 0 by the condition they meet.

    Returns, for each class, the number of games and in how many the grid of all reports, or the
    deviation of `pair`, gains above rounding.
    """
    rng, counts = np.random.default_rng(seed), dict[str, tuple[int, int]]()
    grid = all_reports(norm, steps)
    for _ in range(games):
        own = np.array([1.0, rng.random() * rng.integers(2), 0.0])
        if rng.random() < 0.2:
            own[1] = 1.0
        rewards = normalize(np.stack([own, rng.random(3)]), norm)
        reference, sizes = rng.dirichlet(np.ones(3)), rng.integers(1, 11, 2).astype(float)
        game = RLHFGame(rewards, sizes, reference, family(10 ** rng.uniform(-0.5, 1.5)), norm)
        a, rank = weights(game, np.asarray(sw_max(game))), np.zeros(3)
        most = gains(game, game.with_report(0, grid), 0).max()
        cases = [(case_1, "case 1")] if norm == "maximum" else [
            (case_2, "case 2"), (case_3, "case 3"), (pair, "none, but a t differs"),
        ]  # fmt: skip
        met = [name for case, name in cases if case(game, 0, a, rank).applies]
        if norm == "summation":
            move = pair(game, 0, a, rank)
            if move.applies:
                report = reports(game, move, 0, epsilons(game, move, 0))
                most = max(most, gains(game, report, 0).max())
        name = met[0] if met else "nothing left to claim"
        total, gained = counts.get(name, (0, 0))
        counts[name] = (total + 1, gained + int(most > 2 * gain_error(game, 0)))
    return dict(sorted(counts.items()))


def near_edge(
    rng: np.random.Generator, game: RLHFGame, rule: Weights, training_rule: TrainingRule
) -> tuple[RLHFGame, Floats, int]:
    """Bisect one reward of group 0 towards t(x1) = 0: games, ranks that prefer x1, evaluations."""
    assert game.normalization is not None
    base, place = game.rewards[:, 0].copy(), _middle(game)
    low, high = np.zeros((len(base), 1)), base.max(axis=-1, keepdims=True)
    steps = int(rng.integers(8, 17))
    for _ in range(steps):
        np.put_along_axis(base, place, (low + high) / 2, axis=-1)
        game = game.with_report(0, normalize(base, game.normalization))
        a = rule(game, misreport.models(training_rule, game))
        below = np.take_along_axis(pull(game.rewards[:, 0], a), place, axis=-1) < 0
        middle = (low + high) / 2
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return game, 1.0 * (np.arange(game.outcomes) == place), steps * len(base)


def near_twins(rng: np.random.Generator, game: RLHFGame) -> tuple[RLHFGame, Floats, int]:
    """Make one outcome nearly a copy of group 0's best: same rewards, slightly less likely."""
    assert game.normalization is not None
    rewards, reference = game.rewards.copy(), game.reference.copy()
    best, place = rewards[:, 0].argmax(axis=-1)[:, None], _middle(game)
    column = np.take_along_axis(rewards, best[:, None], axis=-1)
    np.put_along_axis(rewards, place[:, None], column, axis=-1)
    share = 1 - 10.0 ** rng.uniform(-5, -1, place.shape)
    np.put_along_axis(reference, place, share * _at(reference, best)[:, None], axis=-1)
    rewards = rewards + (rewards.max(axis=-1, keepdims=True) <= 0)  # its one wish was overwritten
    rewards = normalize(rewards, game.normalization)
    reference = normalize(reference, "summation")
    twins = (np.arange(game.outcomes) == place) | (np.arange(game.outcomes) == best)
    return (
        replace(game, rewards=rewards, reference=reference),
        twins + 0.1 * rng.random(reference.shape), 0,
    )  # fmt: skip


def _middle(game: RLHFGame) -> NDArray[np.intp]:
    """An outcome (..., 1) that is neither group 0's first best nor its first worst."""
    own = game.rewards[:, 0]
    ends = (own.argmax(axis=-1)[:, None], own.argmin(axis=-1)[:, None])
    places = np.arange(game.outcomes)
    return np.asarray(((places != ends[0]) & (places != ends[1])).argmax(axis=-1)[:, None])


def small_game(x: Floats, family: Family, norm: Normalization) -> RLHFGame:
    """Decode points (..., 13) as games of four outcomes, one worthless, against one opponent."""
    own = np.concatenate([np.exp(2.5 * x[..., :3]), np.zeros_like(x[..., :1])], axis=-1)
    rewards = normalize(np.stack([own, np.exp(6.0 * x[..., 3:7])], axis=-2), norm)
    reference = normalize(np.exp(3.0 * x[..., 7:11]), "summation")
    return RLHFGame(rewards, np.exp(2.0 * x[..., 11:13]), reference, family(1.0), norm)


def worst_drive(
    case: Case, norm: Normalization, family: Family, evaluations: int, seed: int,
    training_rule: TrainingRule = sw_max, rule: Weights = weights,
) -> tuple[RLHFGame, Deviation]:  # fmt: skip
    """Game that meets the condition and gains least for its movement, by differential evolution.

    The alignment of `misreport` is minimised at an epsilon of a hundredth of the natural unit.
    """

    def decode(x: Floats) -> tuple[RLHFGame, Deviation]:
        game = small_game(x, family, norm)
        a = rule(game, misreport.models(training_rule, game))
        weakest = -abs(a * pull(game.rewards[..., 0, :], a))
        return game, case(game, 0, a, weakest)

    def objective(x: Floats) -> Floats:
        game, deviation = decode(x)
        report = reports(game, deviation, 0, 0.1 * epsilons(game, deviation, 0)[0])
        value = misreport.alignment(game, report, 0, training_rule)
        return np.where(deviation.drive > 1e-4, value, 1.0)

    return decode(misreport.attack(objective, 13, evaluations // 2, seed))


def check_case(
    claim: str, cases: tuple[tuple[Case, Normalization], ...],
    training_rule: TrainingRule = sw_max, rule: Weights = weights,
    families: tuple[Family, ...] = SMOOTH, budget: int = 2000, seed: int = 0,
    interior: bool = True,
) -> ClaimResult:  # fmt: skip
    """Where a case's condition holds, its deviation gains strictly for some small epsilon.

    Parameters
    ----------
    claim : str
        Id of the result.
    cases : tuple of (Case, normalization)
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
    rng, found, trials, turn = np.random.default_rng(seed), list[Judged](), 0, 0
    while trials < budget // 4 * 3:
        case, norm = cases[turn % len(cases)]
        turn, game = turn + 1, draw(rng, families, norm)
        rank = rng.random((len(game.sizes), game.outcomes))
        if trials >= budget // 3:  # the edges of the conditions
            game, rank, spent = (
                near_twins(rng, game) if norm == "summation" and case not in (case_1, case_2)
                else near_edge(rng, game, rule, training_rule)
            )  # fmt: skip
            trials += spent
        policy = misreport.models(training_rule, game)
        trials += len(policy)
        deviation = case(game, 0, rule(game, policy), rank)
        keep = deviation.applies & (deviation.room > 0)
        if interior:  # visibly positive: 150 digits must tell it from 0
            keep &= policy.min(axis=-1) > 1e-100
        if keep.any():
            game, deviation = _subset(game, deviation, keep)
            pairs = _clear(game, deviation, training_rule)
            found += judge(*pairs, training_rule, any(one[0] < -one[1] for one in found))
            trials += len(STEPS) * int(keep.sum())
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
    slack, error, game, report = min(found, key=lambda one: one[0])
    exact = training_rule is sw_max

    def recompute() -> float:
        gain = misreport.replayed(game, report, training_rule)
        return strict(gain, error, 0.0 if exact else 2 * error)

    witness = Witness(game, 0, report, float(gains(game, report, 0, training_rule)), recompute)
    return ClaimResult(claim, slack, error, trials, witness, abs(slack - witness.replay()))


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
    return _subset(game, deviation, gains(game, report, 0).max(axis=0) > misreport.CLEAR)


CASES: dict[str, tuple[tuple[Case, Normalization], ...]] = {
    "thm-B.2-1": ((case_1, "maximum"),),
    "thm-B.2-2": ((case_2, "summation"),),
    "thm-B.2-3": ((case_3, "summation"),),
    "thm-4.3": ((case_1, "maximum"), (case_2, "summation"), (case_3, "summation")),
}


def check_thm_B_2_1(budget: int = 2000, seed: int = 0, **broken: Any) -> ClaimResult:
    """Theorem B.2 (1), maximum normalisation; `broken` goes to `check_case`."""
    return check_case("thm-B.2-1", CASES["thm-B.2-1"], budget=budget, seed=seed, **broken)


def check_thm_B_2_2(budget: int = 2000, seed: int = 0, **broken: Any) -> ClaimResult:
    """Theorem B.2 (2), summation: take from an outcome that pulls down."""
    return check_case("thm-B.2-2", CASES["thm-B.2-2"], budget=budget, seed=seed, **broken)


def check_thm_B_2_3(budget: int = 2000, seed: int = 0, **broken: Any) -> ClaimResult:
    """Theorem B.2 (3), summation: give to the better and heavier of two outcomes."""
    return check_case("thm-B.2-3", CASES["thm-B.2-3"], budget=budget, seed=seed, **broken)


def check_thm_4_3(budget: int = 2000, seed: int = 0, **broken: Any) -> ClaimResult:
    """Theorem 4.3: where any of the three conditions holds, truth is not optimal."""
    return check_case("thm-4.3", CASES["thm-4.3"], budget=budget, seed=seed, **broken)
