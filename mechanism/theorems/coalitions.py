r"""False names and collusion: what affine maximizer payments do not stop, as checked statements.

With :math:`h(t) = C(S - tR) - C(S) + t\langle R, p(S)\rangle`, as in `attack.joint_reports`, a
group that is split into shares :math:`t_a` pays :math:`\sum_a h(t_a)`. h is convex, since C is,
and h(0) = 0; so :math:`h(t_a) \le t_a h(1)`, and the total is at most h(1).
Source: Equation (1), arXiv:2405.16276v4; statements and proofs are our own.
"""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Game, Games, Strata, sampler
from mechanism.attack.joint_reports import (
    false_name_payments,
    joint_gains,
    names_bound,
    overwhelming_report,
    pair_gains,
    split_group,
)
from mechanism.attack.replay import slow_payment, slow_utility
from mechanism.core.divergences import KL
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max

ROUNDING = 1e-12  # of the reward scale, a payment
FINE = 1e-14  # the same where a closed form or a maximum over candidates is compared
MOST_NAMES = 6
OVERWHELMING = 1e3  # size of a joint report, in units of all sizes together
Payments = Callable[[RLHFGame, int, Floats], Floats]
Bound = Callable[[RLHFGame, int, Floats], Floats]


def check_false_names(
    mechanism: Mechanism | None = None, games: Games = "rlhf", budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Splitting a group's size over names of the same reward never raises its total payment.

    Random games of all divergences, 2 to 6 names, shares from even to very uneven. Cost: two runs
    of the payment rule a game; `budget` counts runs. Utilities are compared: with one model that is
    the same, and where candidates tie, shares that are rounded may tip the choice, which moves
    valuation and payment alike.

    Returns
    -------
    ClaimResult
        `margin` is the least of (utility under several names) - (under one), reward units.

    Examples
    --------
    >>> check_false_names(budget=40).status
    'holds'
    """
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    rng = np.random.default_rng(seed)
    draw = sampler(games, rng)
    cases = [_names_case(rule, mechanism, draw(rng), rng) for _ in range(max(1, budget // 2))]
    return worst_case("false-names", cases, 2 * len(cases))


def _names_case(
    rule: Mechanism, asked: Mechanism | None, game: Game, rng: np.random.Generator
) -> Case:
    i, names = int(rng.integers(game.groups)), int(rng.integers(2, MOST_NAMES + 1))
    shares = rng.dirichlet(np.full(names, rng.choice([0.5, 1.0, 50.0]))) + 1e-9
    split: Game = split_group(game, i, shares / shares.sum())  # type: ignore[type-var]
    one, several = (g.utilities(rule.training_rule(g), rule.payment_rule(g)) for g in (game, split))

    def recompute() -> float:
        total = sum(slow_utility(asked, split, split, j) for j in range(i, i + names))
        return total - slow_utility(asked, game, game, i)

    tolerance = ROUNDING * names * float(scale(game))
    saved = float(np.sum(several[i : i + names]) - one[i])
    return Case(saved, tolerance, game, i, split, recompute)


def check_false_names_rate(
    payments: Payments = false_name_payments, bound: Bound = names_bound, budget: int = 2000,
    seed: int = 0,
) -> ClaimResult:  # fmt: skip
    r"""Under KL, m equal names pay at most :math:`(w\,span)^2 / (8 \lambda m)` together.

    KL games of every stratum, and as many two-outcome games whose optimum is even and whose
    divergence is strong: there the bound is nearly reached. m from 1 to 100.

    Returns
    -------
    ClaimResult
        `margin` is the least of 1 - payment / bound: a share of the bound.

    Examples
    --------
    >>> check_false_names_rate(budget=40).status
    'holds'
    """
    rng = np.random.default_rng(seed)
    names = np.array([1.0, 2.0, 5.0, 10.0, 100.0])
    draw, cases = sampler("rlhf", rng, Strata(rng, (KL,))), []
    for number in range(max(2, budget // len(names))):
        game = _even_game(rng) if number % 2 else draw(rng)
        assert isinstance(game, RLHFGame)
        cases += _rate_cases(game, int(rng.integers(game.groups)), names, payments, bound)
    return worst_case("false-names-rate", cases, len(cases), by="slack")


def _even_game(rng: np.random.Generator) -> RLHFGame:
    """Two groups that want opposite outcomes equally: the optimum is (1/2, 1/2)."""
    size, lam = float(rng.integers(1, 10)), float(10 ** rng.uniform(0, 2))
    return RLHFGame(np.eye(2), np.full(2, size), np.full(2, 0.5), KL(lam * size))


def _rate_cases(
    game: RLHFGame, i: int, names: Floats, payments: Payments, bound: Bound
) -> list[Case]:
    most, paid = bound(game, i, names), payments(game, i, names)
    if not most[0] > 0:  # a constant reward: nothing is paid, and no share of nothing is compared
        return []

    def case(k: int) -> Case:
        def recompute() -> float:
            count = int(names[k])
            split = split_group(game, i, np.full(count, 1 / count)) if count <= MOST_NAMES else None
            if split is None:  # hundreds of names: the closed form stands for itself
                return float(1 - paid[k] / most[k])
            ratio = paid[k] / false_name_payments(game, i, names[k : k + 1])[0]  # a control's own
            total = sum(slow_payment(None, split, j) for j in range(i, i + count))
            return float(1 - ratio * total / most[k])

        tolerance = FINE * float(scale(game)) * names[k] / float(most[k])
        return Case(float(1 - paid[k] / most[k]), tolerance, game, i, None, recompute)

    return [case(k) for k in range(len(names))]


def check_collusion(
    mechanism: Mechanism | None = None, members: int = 2, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Two groups can have any candidate for nothing, and no joint report gains them more.

    Candidate games; a random pair asks for a random candidate with overwhelming size, and reports
    at random. Each part takes half the runs. `members` 1 is a group alone, which pays.

    Returns
    -------
    ClaimResult
        `margin` is the least slack, in reward units: minus what the pair pays for the candidate,
        or the bound of `pair_gains` less the joint gain of a random report.

    Examples
    --------
    >>> check_collusion(budget=40).status
    'holds'
    """
    rule = Mechanism.affine_maximizer() if mechanism is None else mechanism
    rng, cases = np.random.default_rng(seed), []
    draw = sampler("candidate", rng)
    for number in range(max(2, budget // 2)):
        game = draw(rng)
        assert isinstance(game, CandidateGame)
        pair = tuple(int(i) for i in rng.permutation(game.groups)[:members])
        asked = _asked_case if number % 2 else _random_case
        cases.append(asked(rule, mechanism, game, pair, rng))
    return worst_case("collusion", cases, 2 * len(cases))


def _asked_case(
    rule: Mechanism, asked: Mechanism | None, game: CandidateGame, pair: tuple[int, ...],
    rng: np.random.Generator,
) -> Case:  # fmt: skip
    wish = int(rng.integers(game.candidates))
    spread = float(np.ptp(game.scores())) + float(game.sizes.sum())
    said = overwhelming_report(game, pair, wish, OVERWHELMING * spread)
    paid = float(np.asarray(rule.payment_rule(said))[list(pair)].sum())
    missed = 0.0 if int(rule.training_rule(said)) == wish else float(scale(said))

    def recompute() -> float:
        return -sum(slow_payment(asked, said, i) for i in pair) - missed

    return Case(-paid - missed, FINE * float(scale(said)), game, pair[0], said, recompute)


def _random_case(
    rule: Mechanism, asked: Mechanism | None, game: CandidateGame, pair: tuple[int, ...],
    rng: np.random.Generator,
) -> Case:  # fmt: skip
    said = game
    for i in pair:
        reward = rng.random(game.candidates) ** rng.choice([0.1, 1.0, 10.0])
        said = said.with_report(i, reward=reward, size=float(game.sizes[i] * 4 ** rng.normal()))
    bound = float(pair_gains(game, pair[0], pair[-1]).max()) if len(pair) == 2 else np.inf

    def gained() -> float:
        model, paid = rule.training_rule(said), np.asarray(rule.payment_rule(said))
        worth = game.sizes * game.valuations(model) - paid
        truth = game.utilities(sw_max(game), affine_maximizer_payments(game))
        return float((worth - truth)[list(pair)].sum())

    def recompute() -> float:
        if asked is None:
            return bound - float(joint_gains(game, pair, said).sum())
        return bound - gained()

    tolerance = FINE * float(scale(said) + scale(game))
    return Case(bound - gained(), tolerance, game, pair[0], said, recompute)
