r"""Payment equivalence: the training rule alone fixes the payments, up to the others' reports.

Along a path of types the payment difference lies between the sum of l forwards and minus the sum
backwards. On n equal steps of a straight segment at one size these differ by exactly
:math:`\frac{w}{n}\langle rm' - rm, p' - p\rangle` (the sum telescopes), for any rule whatever:
continuity is not needed.
Source: Propositions 4.6 and 4.8, Theorem 4.9, Corollary 4.10, Lemmas B.1, C.1 and C.2,
arXiv:2405.16276v4. Moduli of continuity are in `moduli` and `continuity`.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Game, Games, draw_path_game, sampler
from mechanism.attack.paths import Path, path_payment, ranked_draws
from mechanism.attack.replay import slow_payment
from mechanism.attack.reports import Type, constant_report, is_summation, own_row, random_type
from mechanism.attack.spending import Spending
from mechanism.attack.type_tables import ERROR
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.sw_max import sw_max


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


def weighted(factors: Floats) -> Mechanism:
    """Another implementable, continuous rule: groups count by `factors`, payments are divided.

    >>> from mechanism import CandidateGame
    >>> game = CandidateGame([[1.0, 0.0], [0.0, 1.0]], [1, 1])
    >>> int(weighted(np.array([1.0, 2.0])).training_rule(game))
    1
    """

    def counted(game: Game) -> Game:
        return replace(game, sizes=game.sizes * factors)

    return Mechanism(
        lambda game: sw_max(counted(game)),
        lambda game: affine_maximizer_payments(counted(game)) / factors,
    )


PathMaker = Callable[[np.random.Generator, Game, int], list[Type]]


def _fixed_size_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    start, end = (own_row(game, i), 1.0), random_type(rng, game, i, 1.0)
    return around_constant(game, start, end)


def _size_changing_path(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    truth = own_row(game, i), float(game.sizes[i])
    return through_constant(game, i, random_type(rng, game, i), truth)


def _connected_domain(rng: np.random.Generator, game: Game, i: int) -> list[Type]:
    """A domain that is a random chain of legs and nothing else."""
    path: list[Type] = [(own_row(game, i), float(game.sizes[i]))]
    for _ in range(int(rng.integers(1, 4))):
        path += around_constant(game, path[-1], random_type(rng, game, i, path[-1][1]))[1:]
    return path


def check_prop_4_6(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Sizes public (all 1): payments of a rule differ by a term of the others' reports alone.

    slack = -|payment difference - V|, V along paths that avoid the constant report (claim
    prop-4.6).

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
    draw = sampler(games, draw_path_game)

    def unit(rng: np.random.Generator) -> Game:
        game = draw(rng)
        return replace(game, sizes=np.ones(game.groups))

    return _check_paths("prop-4.6", _fixed_size_path, mechanism, unit, budget, seed)


def check_thm_4_9(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence, sizes private, where some report makes the size irrelevant (thm-4.9).

    Default: affine maximizers that count group i with a factor drawn from 0.3..3. Checks the
    hypothesis too: the constant report's model must be the same at both sizes.

    >>> check_thm_4_9(budget=150).status
    'holds'
    """
    return _check_paths("thm-4.9", _size_changing_path, mechanism, games, budget, seed, True)


def check_cor_4_10(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Payment equivalence of SW-Max across reports and sizes (claim cor-4.10).

    >>> check_cor_4_10(games="candidate", budget=150).status
    'holds'
    """
    return _check_paths("cor-4.10", _size_changing_path, mechanism, games, budget, seed)


def check_lemma_C_1(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Connected domains: here random chains of segments, and no other report (claim lemma-C.1).

    >>> check_lemma_C_1(budget=150).status
    'holds'
    """
    return _check_paths("lemma-C.1", _connected_domain, mechanism, games, budget, seed)


def _check_paths(
    claim: str,
    make: PathMaker,
    mechanism: Mechanism | None,
    games: Games,
    budget: int,
    seed: int,
    reweigh: bool = False,
) -> ClaimResult:
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    chosen = ranked_draws(games, rng, max(4, budget // 20))
    turn = 0
    while runs.room():
        game, i = chosen[turn % len(chosen)]
        rule = mechanism
        if reweigh and mechanism is None:
            rule = weighted(rng.uniform(0.3, 3.0, game.groups))
        case, count = _path_case(game, i, make(rng, game, i), rule)
        cases.append(case)
        runs.spend(count)
        turn += 1
    return worst_case(claim, cases, runs.spent)


def _path_case(game: Game, i: int, path: Path, rule: Mechanism | None) -> tuple[Case, int]:
    start, end = (game.with_report(i, reward=t[0], size=t[1]) for t in (path[0], path[-1]))
    pay = affine_maximizer_payments if rule is None else rule.payment_rule
    along = path_payment(game, i, path, rule)
    slack = -abs(float(pay(end)[i] - pay(start)[i]) - along.value)
    if path[0][1] != path[-1][1]:
        flats = [
            game.with_report(i, reward=constant_report(game, i), size=t[1])
            for t in (path[0], path[-1])
        ]
        switch = -abs(float(pay(flats[1])[i] - pay(flats[0])[i]))
        slack = min(slack, switch)
    else:
        switch = 0.0
    scales = [float(scale(game.with_report(i, reward=r, size=w))) for r, w in path]

    def again() -> float:
        if rule is None:
            paid = slow_payment(None, end, i) - slow_payment(None, start, i)
            return -abs(paid - along.value)
        return min(switch, -abs(float(pay(end)[i] - pay(start)[i]) - _fine(game, i, path, rule)))

    bound = along.error + ERROR * max(scales) * len(path)
    return Case(slack, bound, start, i, end, again), along.evaluations + 4


def _fine(game: Game, i: int, path: Path, rule: Mechanism) -> float:
    """V again with other pieces: every leg cut into three before it is integrated."""
    total = 0.0
    for (r0, w0), (r1, w1) in pairwise(path):
        for a, b in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
            cut = [(r0 + s * (r1 - r0), w0 + s * (w1 - w0)) for s in (a, b)]
            total += path_payment(game, i, cut, rule).value
    return total
