"""Checkers of Proposition 4.8 and Lemma B.1, and how tightly each modulus is reached."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, worst_case
from mechanism.attack.games import Family, Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum
from mechanism.attack.spending import Spending
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
)
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.payment_equivalence.moduli import (
    Bound,
    Change,
    Strength,
    chi2_paper,
    chi2_sharp,
    climb,
    kl_paper,
    kl_sharp,
    policies,
    random_changes,
    strong_paper,
    strong_sharp,
    swap_game,
)


def _lam(divergence: Divergence, change: Change) -> Floats:
    return np.full(change.size.shape, divergence.lam)


def _modulus(divergence: Divergence, change: Change) -> Floats:
    """Strong convexity on the ratios that can occur, 0 < p/q <= 1 / min q."""
    largest = 1 / change.before.reference.min(axis=-1)
    return np.vectorize(divergence.modulus, otypes=[float])(largest)


STRONGLY_CONVEX: tuple[Family, ...] = (  # on the ratios that can occur
    KL, ChiSquared, ReverseKL, SquaredHellinger, JensenShannon,
    partial(Alpha, 0.5), partial(Alpha, 1.5), partial(Alpha, 2.0),
)  # fmt: skip


@checker("prop-4.8-kl")
def check_prop_4_8_kl(
    mechanism: Mechanism | None = None,
    budget: int = 2000,
    seed: int = 0,
    bound: Bound | None = None,
) -> ClaimResult:
    """KL: max |p' - p| against its modulus (claim prop-4.8-kl).

    Parameters
    ----------
    mechanism : Mechanism, optional
        Its training rule is checked on games with KL; against the paper's modulus, where SW-Max is
        held to the sharp one (which implies the paper's).
    budget, seed : int
        Runs of the training rule; seed of all draws.
    bound : callable, optional
        Another modulus, a function of D and lam.

    Examples
    --------
    >>> check_prop_4_8_kl(budget=200).status
    'holds'
    """
    bound = bound or (kl_sharp if mechanism is None else kl_paper)
    return _check("prop-4.8-kl", mechanism, (KL,), bound, _lam, budget, seed)


@checker("prop-4.8-chi2")
def check_prop_4_8_chi2(
    mechanism: Mechanism | None = None,
    budget: int = 2000,
    seed: int = 0,
    bound: Bound | None = None,
) -> ClaimResult:
    """Chi-squared: max |p' - p| against its modulus, small lam included (claim prop-4.8-chi2).

    >>> check_prop_4_8_chi2(budget=200).status
    'holds'
    """
    bound = bound or (chi2_sharp if mechanism is None else chi2_paper)
    return _check("prop-4.8-chi2", mechanism, (ChiSquared,), bound, _lam, budget, seed)


@checker("lemma-B.1")
def check_lemma_B_1(
    mechanism: Mechanism | None = None,
    budget: int = 2000,
    seed: int = 0,
    bound: Bound | None = None,
) -> ClaimResult:
    """Strongly convex f, modulus on the ratios that can occur (claim lemma-B.1).

    >>> check_lemma_B_1(budget=200).status
    'holds'
    """
    bound = bound or (strong_sharp if mechanism is None else strong_paper)
    return _check("lemma-B.1", mechanism, STRONGLY_CONVEX, bound, _modulus, budget, seed)


def _check(
    claim: str,
    mechanism: Mechanism | None,
    families: tuple[Family, ...],
    bound: Bound,
    strength: Strength,
    budget: int,
    seed: int,
) -> ClaimResult:
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    strata, turn = Strata(rng, families), 0
    while runs.room(40):
        if turn % 4 < 2 or turn < len(strata):
            moves = iter([random_changes(rng, next(strata), 20)])
        elif turn % 4 == 2:
            known = [
                swap_game(float(rng.uniform(0.01, 1)), next(strata).divergence) for _ in range(8)
            ]
            moves = iter([Change(_batched(k.before), _batched(k.after)) for k in known])
        else:
            ratio = partial(_ratios, mechanism=mechanism, bound=bound, strength=strength)
            moves = climb(rng, next(strata).divergence, 12, 12, ratio)
        for move in moves:
            pairs = 2 * len(move.before.sizes)
            if not runs.room(pairs):
                break
            cases.append(_case(move, mechanism, bound, strength))
            runs.spend(pairs)
        turn += 1
    return worst_case(claim, cases, runs.spent)


def _batched(game: RLHFGame) -> RLHFGame:
    parts = game.rewards[None], game.sizes[None], game.reference[None]
    return RLHFGame(*parts, game.divergence, game.normalization)


def _moved(change: Change, mechanism: Mechanism | None) -> Floats:
    gap = policies(change.after, mechanism) - policies(change.before, mechanism)
    return np.asarray(np.abs(gap).max(axis=-1))


def _ratios(
    change: Change, mechanism: Mechanism | None, bound: Bound, strength: Strength
) -> Floats:
    allowed = bound(change.size, strength(change.before.divergence, change))
    return np.asarray(_moved(change, mechanism) / np.maximum(allowed, 1e-12))


def _case(change: Change, mechanism: Mechanism | None, bound: Bound, strength: Strength) -> Case:
    """Least slack of a batch; the tolerance is what rounding of S / lam does to a policy."""
    divergence = change.before.divergence
    allowed = bound(change.size, strength(divergence, change))
    slack = allowed - _moved(change, mechanism)
    scores = np.maximum(np.abs(change.before.scores()), np.abs(change.after.scores()))
    tolerance = 1e-13 * (1 + scores.max(axis=-1) / divergence.lam)
    with np.errstate(over="ignore"):  # a slack of very many tolerances is not the least
        k = int((slack / tolerance).argmin())
    worst, limit = change.pair(k), float(allowed[k])

    def again() -> float:
        if mechanism is not None:
            ends = [np.asarray(mechanism.training_rule(g)) for g in (worst.after, worst.before)]
            return float(limit - np.abs(ends[0] - ends[1]).max())
        first, second = (slow_optimum(g, g.scores())[0] for g in (worst.before, worst.after))
        return float(limit - max(abs(a - b) for a, b in zip(first, second, strict=True)))

    return Case(
        float(slack[k]), float(tolerance[k]), worst.before, None, worst.after, again,
        comparisons=len(slack),
    )  # fmt: skip


@dataclass(frozen=True)
class Tightness:
    """Largest change over a bound that a search reached, and the pair that reached it."""

    ratio: float
    change: Change


def tightness(
    name: Literal["kl", "chi2"], bound: Bound, seed: int = 0, steps: int = 40, outcomes: int = 2
) -> Tightness:
    """Climb towards the worst pair of reports for KL or chi-squared against `bound`."""
    family, best = (KL if name == "kl" else ChiSquared), Tightness(0.0, swap_game(0.5, KL(1.0)))
    rng = np.random.default_rng(seed)

    def ratios(change: Change) -> Floats:
        return _ratios(change, None, bound, _lam)

    for _ in range(4):
        divergence = family(float(10 ** rng.uniform(-2, 2)))
        for move in climb(rng, divergence, 60, steps, ratios, outcomes):
            found = ratios(move)
            k = int(found.argmax())
            if found[k] > best.ratio:
                best = Tightness(float(found[k]), move.pair(k))
    return best
