"""The game of the paper: its example by hand, what one misreport does (Figure 1), Lemma D.1.

Source: Sections 2 and 3 and Lemma D.1, arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.claim_result import Case, ClaimResult, worst_case
from mechanism.attack.games import BATCH, Strata, pick
from mechanism.attack.replay import slow_optimum
from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, as_floats
from mechanism.core.generator import Divergence
from mechanism.core.normalization import Normalization
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.samplers import sample_rewards
from mechanism.core.sw_max import sw_max

ROUNDING = 1e-12  # rewards are at most 1 here, so this is absolute


def example_game(divergence: Divergence = KL(1 / np.log(2))) -> RLHFGame:  # noqa: B008 (frozen)
    """Two groups, three outcomes, made for pencil and paper: S = (4, 3, 2), q = (1, 2, 1)/4.

    With the default divergence, KL counted in bits, the optimum is (4, 4, 1)/9.

    >>> sw_max(example_game()) * 9
    array([4., 4., 1.])
    """
    rewards = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    reference = np.array([0.25, 0.5, 0.25])
    return RLHFGame(rewards, np.array([4.0, 2.0]), reference, divergence, "maximum")


def polarised(reward: ArrayLike) -> Floats:
    """Reward model that wants the best outcome of `reward` (..., m) and nothing else.

    It lies in both reward domains. Of equal best outcomes the first is kept.

    >>> polarised([0.2, 0.5, 0.3])
    array([0., 1., 0.])
    """
    values = as_floats("reward", reward)
    best = values.argmax(axis=-1)
    return (np.arange(values.shape[-1]) == best[..., None]).astype(np.float64)


@dataclass(frozen=True)
class ReportEffect:
    """What one report changes, all of it under the true game; batched over leading axes.

    Attributes
    ----------
    game, reported : RLHFGame
        The true game and the reported one.
    group : int
        The group that misreports.
    truthful, misled : ndarray, shape (..., m)
        Models trained on the truth and on the report.
    valuations_before, valuations_after : ndarray, shape (..., n)
        True valuations of one agent under the two models.
    welfare_before, welfare_after : ndarray, shape (...)
        Affine social welfare under the true rewards and sizes.
    """

    game: RLHFGame
    reported: RLHFGame
    group: int
    truthful: Floats
    misled: Floats
    valuations_before: Floats
    valuations_after: Floats
    welfare_before: Floats
    welfare_after: Floats

    @property
    def gain(self) -> Floats:
        """What one agent of the group gains by the report, where nobody pays."""
        return (self.valuations_after - self.valuations_before)[..., self.group]

    @property
    def welfare_loss(self) -> Floats:
        """What the report costs in affine social welfare; never negative, by optimality."""
        return self.welfare_before - self.welfare_after


def report_effect(game: RLHFGame, reported: RLHFGame, group: int) -> ReportEffect:
    """Train on the truth and on the report, and value both models truthfully.

    >>> truth = example_game()
    >>> report_effect(truth, truth.with_report(0, reward=[1, 0, 0]), 0).gain.round(6)
    np.float64(0.083333)
    """
    truthful, misled = as_floats("model", sw_max(game)), as_floats("model", sw_max(reported))
    return ReportEffect(
        game, reported, group, truthful, misled,
        game.valuations(truthful), game.valuations(misled),
        game.welfare(truthful), game.welfare(misled),
    )  # fmt: skip


def largest_difference(difference: Floats) -> Floats:
    """Right-hand side of Lemma D.1: max over x of |rm(x) - rm'(x)|, shape (..., m) -> (...).

    >>> float(largest_difference(np.array([0.1, -0.3])))
    0.3
    """
    return np.asarray(np.abs(difference).max(axis=-1))


def sharp_constant(policy: ArrayLike, normalization: Normalization | None) -> Floats:
    """Best constant c(p) in |v(p; rm) - v(p; rm')| <= c(p) max|rm - rm'|, for a given model.

    1 without a domain; 1 - min p under maximum; sum |p - median(p)| under summation, where the
    difference sums to 0. Our sharpening of Lemma D.1.

    >>> sharp_constant([0.5, 0.3, 0.2], "maximum").round(12)
    np.float64(0.8)
    >>> sharp_constant([0.5, 0.5], "summation")
    np.float64(0.0)
    """
    p = as_floats("policy", policy)
    if normalization is None:
        return np.ones(p.shape[:-1])
    if normalization == "maximum":
        return np.asarray(1.0 - p.min(axis=-1))[()]
    return np.asarray(np.abs(p - np.median(p, axis=-1, keepdims=True)).sum(axis=-1))[()]


def extremal_pair(policy: Floats, normalization: Normalization) -> tuple[Floats, Floats]:
    """Two reward models of the domain that reach `sharp_constant` at the policy (..., m).

    >>> rm, other = extremal_pair(np.array([0.5, 0.3, 0.2]), "summation")
    >>> float(((rm - other) @ [0.5, 0.3, 0.2] / abs(rm - other).max()).round(12))
    0.3
    """
    m = policy.shape[-1]
    rank = policy.argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    if normalization == "maximum":
        least = (rank == 0).astype(np.float64)
        return np.ones(policy.shape), least if m > 1 else np.ones(policy.shape)
    half = np.sign(2.0 * rank - (m - 1.0))  # the upper half gains what the lower half loses
    return (1.0 + half) / m, (1.0 - half) / m


def steered(game: RLHFGame, group: int, outcome: Floats, force: ArrayLike) -> RLHFGame:
    """Let another group push the model towards one outcome (...,) with size `force` (in lam)."""
    other = (group + 1) % game.groups
    wish = (np.arange(game.outcomes) == np.asarray(outcome)[..., None]).astype(np.float64)
    size = as_floats("force", force) * game.divergence.lam
    return game.with_report(other, reward=wish, size=size)


def check_lemma_d_1(
    bound: Callable[[Floats], Floats] = largest_difference, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Lemma D.1: |v(p; rm) - v(p; rm')| <= bound(rm - rm'), by default max |rm - rm'|.

    Half of the games are random. In the other half an adversary takes the pair of rewards that is
    worst for the model, then pushes the model towards the outcome where they differ most.
    The models are SW-Max optima, so that the replay can compute them to 50 digits.

    >>> check_lemma_d_1(budget=200).status
    'holds'
    """
    rng, trials, cases = np.random.default_rng(seed), 0, list[Case]()
    for setting in Strata(rng):
        if trials and trials + BATCH > budget:
            break
        game, normalization = setting.draw(rng, (BATCH,)), setting.normalization
        other = sample_rewards(rng, (BATCH, game.outcomes), normalization)
        if len(cases) % 2:
            first, other = extremal_pair(as_floats("policy", sw_max(game)), normalization)
            outcome = np.abs(first - other).argmax(axis=-1)
            force = 10 ** rng.uniform(-1, 6, size=BATCH)
            game = steered(game.with_report(0, reward=first), 0, outcome, force)
        slack = _slack_d_1(game, other, bound)
        trials += BATCH
        k = int(slack.argmin())
        cases.append(_case_d_1(float(slack[k]), pick(game, k), other[k], bound))
    return worst_case("lemma-D.1", cases, trials)


def _case_d_1(slack: float, game: RLHFGame, row: Floats, bound: Callable[[Floats], Floats]) -> Case:
    report, change = game.with_report(0, reward=row), float(bound(game.rewards[0] - row))
    return Case(
        slack, ROUNDING, game, 0, report, lambda: _replay_d_1(game, row, bound), change - slack,
        comparisons=BATCH,
    )  # fmt: skip


def _slack_d_1(game: RLHFGame, other: Floats, bound: Callable[[Floats], Floats]) -> Floats:
    difference = game.rewards[..., 0, :] - other
    moved = np.vecdot(as_floats("policy", sw_max(game)), difference)
    return np.asarray(bound(difference) - np.abs(moved))


def _replay_d_1(game: RLHFGame, other: Floats, bound: Callable[[Floats], Floats]) -> float:
    policy = slow_optimum(game, game.scores())[0]
    difference = game.rewards[0] - other
    moved = sum(p * float(d) for p, d in zip(policy, difference, strict=True))
    return float(bound(difference)) - abs(float(moved))


def check_sharp_d_1(
    constant: Callable[[Floats, Normalization | None], Floats] = sharp_constant,
    budget: int = 2000, seed: int = 0,
) -> ClaimResult:  # fmt: skip
    """For a given model no pair of rewards moves a valuation by more than c(p), and one does.

    Models are SW-Max optima of games of every stratum; ten random pairs each, and the pair of
     `extremal_pair`, which must reach c(p). `budget` counts models times pairs.

    Parameters
    ----------
    constant : callable
        (policy, normalization) -> c, in place of `sharp_constant`.

    Examples
    --------
    >>> check_sharp_d_1(budget=200).status
    'holds'
    """
    rng, trials, cases = np.random.default_rng(seed), 0, list[Case]()
    for setting in Strata(rng):
        if trials and trials + 11 > budget:
            break
        game, norm = setting.draw(rng), setting.normalization
        policy = as_floats("policy", sw_max(game))
        first, second = (sample_rewards(rng, (10, game.outcomes), norm) for _ in range(2))
        extremal = np.subtract(*extremal_pair(policy, norm))
        rows = np.concatenate([second - first, extremal[None]])
        trials += len(rows)
        cases.append(_sharp_case(game, rows, constant))
    return worst_case("sharp-D.1", cases, trials)


def _sharp_case(
    game: RLHFGame, rows: Floats, constant: Callable[[Floats, Normalization | None], Floats]
) -> Case:
    """Least slack of c(p) max |d| - |<p, d>|, which must be 0 at the last of the rows."""
    unit = np.abs(rows).max(axis=-1)
    scaled = rows[unit > 0] / unit[unit > 0, None]

    def slack(policy: Floats) -> float:
        left = float(constant(policy, game.normalization)) - np.abs(scaled @ policy)
        return float(min(left.min(), -abs(left[-1]))) if game.outcomes > 1 else 0.0

    def again() -> float:
        return slack(np.array([float(p) for p in slow_optimum(game, game.scores())[0]]))

    policy = as_floats("policy", sw_max(game))
    return Case(
        slack(policy), 1e-13 * (1 + game.outcomes), game, 0, None, again, comparisons=len(rows)
    )
