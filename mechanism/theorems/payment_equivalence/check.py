r"""Checkers of Proposition 4.6, Theorem 4.9, Corollary 4.10 and Lemma C.1.

The payment difference between two types is held against V in two ways. Finite steps along the path
bracket it (for every rule that a payment implements). And the limit itself is known for SW-Max and
for rules that count groups by factors: :math:`\int\langle s, dp\rangle = -[ASW_{-i}(p)]` by the
envelope theorem, from the models at both ends, so that rounding is the only error. Any other rule
is integrated, and the quadrature's bound is the tolerance.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mechanism.attack.claim_result import (
    ERROR,
    ROUNDED,
    Case,
    ClaimResult,
    payment_rounding,
    scale,
    worst_case,
)
from mechanism.attack.games import Draws, Game, Games
from mechanism.attack.outputs import checker
from mechanism.attack.paths import Path, path_payment
from mechanism.attack.replay import slow_payment
from mechanism.attack.reports import Type, constant_report, is_summation, own_row, random_type
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.sw_max import sw_max
from mechanism.theorems.payment_equivalence.brackets import refine
from mechanism.theorems.payment_equivalence.weighted import (
    Weighted,
    closed_form,
    factors_of,
    others_welfare,
    weighted,
)

STEPS = 4  # steps a leg of the bracket
INTEGRATED = "rounding; rules without a closed form: bound of the quadrature"


def through_constant(game: Game, i: int, start: Type, end: Type) -> list[Type]:
    """Path of Theorem 4.9: mix into the constant report, switch the size there, mix out."""
    flat = constant_report(game, i)
    return [start, (flat, start[1]), (flat, end[1]), end]


def around_constant(game: Game, start: Type, end: Type) -> list[Type]:
    """Path at one size that avoids the constant report.

    Summation: the straight segment. Maximum: first raise the end's best outcome to 1.
    """
    if is_summation(game):
        return [start, end]
    raised = start[0].copy()
    raised[end[0].argmax()] = 1.0
    return [start, (raised, start[1]), end]


PathMaker = Callable[[np.random.Generator, Game, int], list[Type]]


def _fixed_size_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    start, end = (own_row(game, i), 1.0), random_type(rng, game, i, 1.0)
    return around_constant(game, start, end)


def _size_changing_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    truth = own_row(game, i), float(game.sizes[i])
    return through_constant(game, i, random_type(rng, game, i), truth)


def _chain(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    """A domain that is a random chain of straight legs and nothing else."""
    path: list[Type] = [(own_row(game, i), float(game.sizes[i]))]
    for _ in range(int(rng.integers(1, 4))):
        path += around_constant(game, path[-1], random_type(rng, game, i, path[-1][1]))[1:]
    return path


@checker("prop-4.6")
def check_prop_4_6(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Sizes public (all 1): payments of a rule differ by a term of the others' reports alone.

    slack: how far the payment difference is from V, and how far inside its brackets, along paths
    that avoid the constant report (claim prop-4.6).

    Parameters
    ----------
    mechanism : Mechanism, optional
        Its payments are held against V of its own training rule; None: the paper's.
    games : "rlhf", "candidate" or callable
        Where games come from.
    budget, seed : int
        Runs of the training rule; seed of all draws.

    Examples
    --------
    >>> check_prop_4_6(budget=150).status
    'holds'
    """
    return _check_paths("prop-4.6", _fixed_size_path, mechanism, games, budget, seed)


@checker("thm-4.9")
def check_thm_4_9(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence, sizes private, where some report makes the size irrelevant (thm-4.9).

    Default: affine maximizers that count groups by factors drawn from 0.3..3. The hypothesis is
    checked too: with the constant report the models of both sizes are worth the same to the others.

    >>> check_thm_4_9(budget=150).status
    'holds'
    """
    return _check_paths("thm-4.9", _size_changing_path, mechanism, games, budget, seed)


@checker("cor-4.10")
def check_cor_4_10(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence of SW-Max across reports and sizes (claim cor-4.10).

    >>> check_cor_4_10(games="candidate", budget=150).status
    'holds'
    """
    return _check_paths("cor-4.10", _size_changing_path, mechanism, games, budget, seed)


@checker("lemma-C.1")
def check_lemma_C_1(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Domains joined by straight segments: random chains, and no other report (claim lemma-C.1).

    Connected domains in general are not enough where all distributions are models (`rough_arc`).

    >>> check_lemma_C_1(budget=150).status
    'holds'
    """
    return _check_paths("lemma-C.1", _chain, mechanism, games, budget, seed)


def _check_paths(
    claim: str, make: PathMaker, mechanism: Mechanism | None, games: Games, budget: int, seed: int
) -> ClaimResult:
    rng, cases = np.random.default_rng(seed), list[Case]()
    draws = Draws(games, rng, budget)
    for drawn, i in draws.ranked():
        public = claim == "prop-4.6"
        game = replace(drawn, sizes=np.ones(drawn.groups)) if public else drawn
        rule = mechanism
        if claim == "thm-4.9" and mechanism is None:
            rule = weighted(rng.uniform(0.3, 3.0, game.groups))
        path = make(rng, game, i)
        case, count = _path_case(game, i, path, rule)
        cases.append(case)
        draws.spend(count)
        if claim == "thm-4.9":
            cases.append(_hypothesis_case(game, i, path, rule))
            draws.spend(2)
    return worst_case(claim, cases, draws.spent, origin=INTEGRATED if mechanism else ROUNDED)


def _path_case(game: Game, i: int, path: Path, rule: Mechanism | None) -> tuple[Case, int]:
    """Payment difference of the ends against V and its brackets, the worst of them."""
    reported = [game.with_report(i, reward=r, size=w) for r, w in path]
    start, end = reported[0], reported[-1]
    pay = affine_maximizer_payments if rule is None else rule.payment_rule
    pays = [pay(one) for one in (start, end)]
    paid, factors = float(pays[1][i] - pays[0][i]), factors_of(rule, game)
    bracket = refine(game, i, path, STEPS, rule)
    inside = min(paid + bracket.backward, bracket.forward - paid)
    along, bound, count = _limit(game, i, path, rule, factors)
    slack = min(inside, -abs(paid - along))

    def again() -> float:
        slow, value = paid, 0.0
        if rule is None:
            slow = slow_payment(None, end, i) - slow_payment(None, start, i)
        if factors is None:
            assert rule is not None
            value = _fine(game, i, path, rule)
        else:
            value = closed_form(game, i, path[0], path[-1], factors, slow=True)
        return min(inside, -abs(slow - value))

    size = max(float(scale(one)) for one in reported)
    least = 1.0 if factors is None else min(1.0, float(factors[i]))
    error = 2 * ERROR * size * STEPS * len(path) / least
    error += bound + payment_rounding(np.concatenate(pays))
    case = Case(slack, error, start, i, end, again, comparisons=1 + 2)
    return case, count + 2 + (STEPS + 1) * (len(path) - 1)


def _limit(
    game: Game, i: int, path: Path, rule: Mechanism | None, factors: Floats | None
) -> tuple[float, float, int]:
    """V along the path, what the quadrature leaves open, and evaluations."""
    if factors is not None:
        return closed_form(game, i, path[0], path[-1], factors), 0.0, 2
    along = path_payment(game, i, path, rule, nodes=120)
    return along.value, along.error, along.evaluations


def _hypothesis_case(game: Game, i: int, path: Path, rule: Mechanism | None) -> Case:
    """With the constant report both sizes must lead to the same worth for the others."""
    flat = constant_report(game, i)
    first, last = (game.with_report(i, reward=flat, size=t[1]) for t in (path[0], path[-1]))
    train = sw_max if rule is None else rule.training_rule
    factors = factors_of(rule, game)
    counted = Weighted(np.ones(game.groups) if factors is None else factors).counted(first)

    def slack() -> float:
        worth = [others_welfare(counted, i, np.asarray(train(one))) for one in (first, last)]
        return -abs(worth[1] - worth[0])

    error = 4 * ERROR * float(max(scale(counted), scale(first), scale(last)))
    return Case(slack(), error, first, i, last, slack)


def _fine(game: Game, i: int, path: Path, rule: Mechanism) -> float:
    """V again with other pieces: every leg cut into three before it is integrated."""
    total = 0.0
    for (r0, w0), (r1, w1) in pairwise(path):
        for a, b in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
            cut = [(r0 + s * (r1 - r0), w0 + s * (w1 - w0)) for s in (a, b)]
            total += path_payment(game, i, cut, rule, nodes=120).value
    return total
