"""Claim one-run under attack: type tables in expectation, gradient ascent, price by potentials.

A table holds K types of one group; each is reported once and its expected model and payment are
found by quadrature, so that K quadratures test K^2 deviations. The expected payment is also
computed without any rebate, from optimal values alone, and the bound on welfare is checked draw by
draw.
"""

from dataclasses import dataclass

import numpy as np

from mechanism.attack.claim_result import ERROR, Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Game, Games, Strata, sampler
from mechanism.attack.reports import draw_types, own_row
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.theorems.affine_maximizer import QUADRATURE, kinks, size_breakpoints, size_curve
from mechanism.theorems.one_training.climb import climb
from mechanism.theorems.one_training.lottery import (
    Expected,
    Lottery,
    expect,
    expect_all,
    scores_of_others,
    shrunk,
)
from mechanism.theorems.one_training.quadrature import graded_edges, integrate
from mechanism.theorems.one_training.slow import slow_expected_utility, slow_welfare_slack

MOST = 8  # outcomes of the games that are attacked: every report costs an adaptive quadrature
MOST_REPORTS = 2000  # a larger budget buys no more: they take a second for each hundred
LEAST = 1e-6  # share below which a difference of optimal values is mostly rounding
DRAWS = 16  # draws of all shares on which the bound on welfare is checked, a game


@dataclass(frozen=True, eq=False)
class LotteryTable:
    """Types of one group beside the same reports and shares (n - 1,) of the others, in expectation.

    `games` has the group's type k as truth and report; `found` the expectations of those reports.
    """

    lottery: Lottery
    group: int
    others: Floats
    games: list[Game]
    found: list[Expected]

    def slow_utility(self, truth: int, said: int) -> float:
        """Expected utility of one type after the report of another, by the oracle."""
        games, edges = self.games, self.found[said].edges
        return slow_expected_utility(
            self.lottery, games[truth], games[said], self.group, self.others, edges
        )

    def gains(self) -> Floats:
        """(K, K): what type j gains in expectation by reporting type k."""
        rows = np.array([own_row(game, self.group) for game in self.games])
        sizes = np.array([game.sizes[self.group] for game in self.games])
        models = np.array([found.model for found in self.found])
        payments = np.array([found.payment for found in self.found])
        utilities = sizes[:, None] * (rows @ models.T) - payments
        return np.asarray(utilities - utilities.diagonal()[:, None])

    def utility(self, k: int) -> float:
        """Truthful utility of type k."""
        game, found = self.games[k], self.found[k]
        value = game.sizes[self.group] * (found.model @ own_row(game, self.group))
        return float(value) - found.payment


def lottery_table(
    lottery: Lottery, game: Game, i: int, others: Floats, rewards: Floats, sizes: Floats
) -> LotteryTable:
    """Report every type once."""
    games = [game.with_report(i, reward=r, size=w) for r, w in zip(rewards, sizes, strict=True)]
    unit = max(float(scale(one)) for one in games)
    found = expect_all(lottery, games, i, others, unit)
    return LotteryTable(lottery, i, others, games, found)


def price_by_potentials(lottery: Lottery, game: Game, i: int) -> tuple[float, float]:
    r"""Expected payment without a rebate: from the greatest ASW alone; value and error.

    With G(s) the greatest ASW where group i counts with a share s, the truthful utility is
    :math:`E[(G(s) - G(0)) / s]`, and the payment is the expected value less that.

    >>> from mechanism import CandidateGame
    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1])
    >>> round(price_by_potentials(Lottery(0.5, 1.0), game, 0)[0], 6)
    0.423287
    """
    own, others = game.sizes[i] * own_row(game, i), scores_of_others(game, i)

    def utility(share: Floats) -> Floats:
        s = np.maximum(share, LEAST)
        return np.asarray((_optimum(game, others + s[:, None] * own) - nothing) / s)

    nothing = _optimum(game, others[None])[0]
    edges = graded_edges(np.union1d(size_breakpoints(game, i), kinks(game, i)) ** lottery.power)
    mean, error, _, _ = integrate(
        lambda u: utility(lottery.share(u))[:, None], edges, QUADRATURE * float(scale(game))
    )
    earned = lottery.mu * float(mean[0]) + (1.0 - lottery.mu) * float(utility(np.ones(1))[0])
    found = expect(Lottery(lottery.mu, lottery.exponent), game, i)
    value = float(game.sizes[i] * (found.model @ own_row(game, i)))
    ends = size_curve(game, i, np.array([1e-300, LEAST]))  # the mean slope below lies in between
    cut_off = lottery.mu * LEAST**lottery.power * float(np.ptp(ends))
    return value - earned, found.error + error + cut_off


def _optimum(game: Game, scores: Floats) -> Floats:
    if isinstance(game, RLHFGame):
        return optimal_policies(scores, game.reference, game.divergence)[1]
    return np.asarray(scores.max(axis=-1))


def welfare_slack(game: Game, shares: Floats) -> Floats:
    r"""Slack (...) of W(p_1) - W(p_s) <= sum_i (1 - s_i) w_i (v_i(p_1) - v_i(p_s)), s (..., n).

    >>> from mechanism import CandidateGame
    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1])
    >>> welfare_slack(game, np.array([[1.0, 1.0], [0.4, 1.0]])).round(9)
    array([0. , 0.1])
    """
    best, model = sw_max(game), sw_max(shrunk(game, shares))
    lost = game.welfare(best) - game.welfare(model)
    less = game.sizes * (game.valuations(best) - game.valuations(model))
    return np.asarray(((1.0 - shares) * less).sum(axis=-1) - lost)


def check_one_run(
    games: Games = "rlhf", budget: int = 2000, seed: int = 0, lottery: Lottery | None = None
) -> ClaimResult:
    """One training with random shares: truthful in expectation, welfare kept (claim one-run).

    Four statements on every game, for others' shares as drawn: no type gains in expectation by the
    report of another (reward and size); the truth earns at least 0 where rewards are >= 0; the
    expected payment is the one that optimal values give; the loss of welfare is bounded draw by
    draw. Half of the tables belong to games with large payments. From a tenth of them a gradient
    ascent looks for better reports. Games have 2 to 8 outcomes.

    Parameters
    ----------
    games : "rlhf", "candidate" or callable
    budget : int
        Reports whose expectation is computed; each costs some hundred optima.
    seed : int
    lottery : Lottery, optional
        Checked in place of random mu in [0.02, 0.6], half of them with uniform shares.

    Returns
    -------
    ClaimResult
        `margin` in reward units; the tolerance is the error estimate of the quadrature (of both
        reports of a deviation) plus 1e-12 (max |S| + lam).

    Examples
    --------
    >>> check_one_run(games="candidate", budget=60).status
    'holds'
    """
    rng = np.random.default_rng(seed)
    draw = sampler(games, rng, Strata(rng, outcomes=("small", "medium")))
    cases: list[Case] = []
    spent = turn = 0
    budget = min(budget, MOST_REPORTS)
    while spent < budget:
        game = _draw(rng, draw, largest=turn % 2 == 0)
        mu = float(rng.uniform(0.02, 0.6))
        law = lottery or Lottery(mu, None if rng.random() < 0.5 else 1.0)
        payments = affine_maximizer_payments(game)
        i = int(payments.argmax() if turn % 2 == 0 else rng.integers(game.groups))
        cases.append(_welfare_case(law, game, rng))
        shares = Lottery(law.mu, law.exponent).draw(rng, game.groups - 1)
        others = shares if turn % 4 > 1 else np.ones(game.groups - 1)
        table = lottery_table(law, game, i, others, *_types(rng, game, i, budget - spent))
        spent += len(table.games)
        cases += [_gain_case(table), _price_case(table), *_earning_cases(table)]
        if turn % 10 == 0 and isinstance(game, RLHFGame) and game.divergence.strictly_convex:
            table = _climbed(law, game, i, others, seed + turn)
            spent += len(table.games)
            cases.append(_gain_case(table))
        turn += 1
    return worst_case("one-run", cases, spent)


def _draw(rng: np.random.Generator, draw: object, largest: bool) -> Game:
    """One game of few outcomes; of four such the one with the largest payment, if asked for."""
    found: list[Game] = []
    for _ in range(400):
        game: Game = draw(rng)  # type: ignore[operator]
        if own_row(game, 0).shape[-1] <= MOST:
            found.append(game)
        if len(found) == (4 if largest else 1):
            return max(found, key=lambda one: affine_maximizer_payments(one).max() / scale(one))
    rule = f"drew too few games of {MOST} outcomes or fewer"
    raise InvalidInputError("games", "sampler", rule, "shrink")


def _types(rng: np.random.Generator, game: Game, i: int, most: int) -> tuple[Floats, Floats]:
    rewards, sizes = draw_types(rng, game, i)
    kept = np.sort(rng.permutation(np.arange(1, len(sizes)))[: max(2, min(24, most) - 1)])
    kept = np.insert(kept, 0, 0)
    return rewards[kept], sizes[kept]


def _climbed(lottery: Lottery, game: RLHFGame, i: int, others: Floats, seed: int) -> LotteryTable:
    size = float(game.sizes[i])
    tried = (size, 2 * size, size / 2)
    rows = [climb(lottery, game, i, w, others, seed=seed + k)[[0, -1]] for k, w in enumerate(tried)]
    rewards = np.concatenate([own_row(game, i)[None], *rows])
    sizes = np.array([size, *np.repeat(tried, 2)])
    return lottery_table(lottery, game, i, others, rewards, sizes)


def _gain_case(table: LotteryTable) -> Case:
    gains, i = table.gains(), table.group
    errors = np.array([found.error for found in table.found])
    unit = max(float(scale(game)) for game in table.games)
    tolerances = errors[:, None] + errors + ERROR * unit
    np.fill_diagonal(gains, -np.inf)
    j, k = (int(x) for x in np.unravel_index((gains / tolerances).argmax(), gains.shape))

    def recompute() -> float:
        told = [table.slow_utility(j, said) for said in (j, k)]
        return told[0] - told[1]

    truth, report = table.games[j], table.games[k]
    return Case(-float(gains[j, k]), float(tolerances[j, k]), truth, i, report, recompute)


def _earning_cases(table: LotteryTable) -> list[Case]:
    cases = []
    for k, (game, found) in enumerate(zip(table.games, table.found, strict=True)):
        if own_row(game, table.group).min() >= 0:
            tolerance = found.error + ERROR * float(scale(game))
            cases.append(Case(table.utility(k), tolerance, game, table.group, None,
                              lambda k=k: table.slow_utility(k, k)))  # type: ignore[misc] # fmt: skip
    return cases


def _price_case(table: LotteryTable) -> Case:
    game, found, i = table.games[0], table.found[0], table.group
    with_others = shrunk(game, np.insert(table.others, i, 1.0))
    right, error = price_by_potentials(table.lottery, with_others, i)
    size, row = float(game.sizes[i]), own_row(game, i)

    def recompute() -> float:
        slow = size * float(found.model @ row) - table.slow_utility(0, 0)
        return -abs(slow - right)

    tolerance = found.error + error + ERROR * float(scale(game))
    return Case(-abs(found.payment - right), tolerance, game, i, None, recompute)


def _welfare_case(lottery: Lottery, game: Game, rng: np.random.Generator) -> Case:
    shares = Lottery(lottery.mu, lottery.exponent).draw(rng, (DRAWS, game.groups))
    shares[0] = rng.random(game.groups)
    slacks = welfare_slack(game, shares)
    worst = int(slacks.argmin())

    tolerance = 1e-11 * float(scale(game))
    report = shrunk(game, shares[worst])
    return Case(float(slacks[worst]), tolerance, game, 0, report,
                lambda: slow_welfare_slack(game, shares[worst]))  # fmt: skip
