r"""Condition OPT with its edge: a model is optimal if and only if no move of mass gains.

With the slopes :math:`g(x) = S(x) - f'(p(x)/q(x))` (at p(x) = 0 the limit of f') the condition says
that no slope exceeds the mean slope under p. Its violation :math:`\max g - E_p g` bounds from above
what any model gains over p, since welfare is concave; so it is 0 exactly at the optimum.
Source: condition OPT, arXiv:2405.16276v4; the inequality at dropped outcomes is our own.
"""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Strata, pick
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum
from mechanism.attack.spending import Spending
from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import solve, sw_max
from mechanism.theorems.misreport import SMOOTH
from mechanism.theorems.sw_max import CERTIFIED, TrainingRule, _run, stationarity

Violation = Callable[[RLHFGame, Floats], Floats]
GAMES = 6  # games of a stratum that are looked at together


def opt_violation(game: RLHFGame, policy: Floats) -> Floats:
    """Greatest slope of welfare less the mean under the policy, shape (...): 0 where OPT holds.

    >>> from mechanism.theorems.rlhf_game import example_game
    >>> bool(opt_violation(example_game(), np.array([4, 4, 1]) / 9) < 1e-14)
    True
    >>> bool(opt_violation(example_game(), np.array([1.0, 0.0, 0.0])) > 1)
    True
    """
    with np.errstate(divide="ignore"):
        slopes = stationarity(game, policy)
    return _above_mean(slopes, slopes.max(axis=-1, keepdims=True), policy)


def _above_mean(slopes: Floats, top: Floats, policy: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        missing = np.where(policy > 0, policy * (top - slopes), 0.0)
    return np.asarray(np.where(np.isinf(top[..., 0]), np.inf, missing.sum(axis=-1)))


@checker("prop-opt")
def check_optimality_condition(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0,
    violation: Violation = opt_violation,
) -> ClaimResult:  # fmt: skip
    """A model is optimal if and only if condition OPT holds, dropped outcomes included.

    Two inequalities, as shares of max |S| + lam. At the rule's model the violation of OPT is 0. At
    other models (mixtures with the initial model, with corners and with noise; the optimum with an
    outcome dropped) the welfare that is lost is at most the violation. `budget` counts models.

    Parameters
    ----------
    training_rule : callable
        Whose model must satisfy the condition.
    violation : callable
        (game, policy) -> how far OPT is from holding.

    Examples
    --------
    >>> check_optimality_condition(budget=100).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    for setting in Strata(rng, SMOOTH):
        games = setting.draw(rng, (GAMES,))
        best = solve(games)
        optimum = _run(training_rule, games)
        others = _other_models(rng, games, best.policy)
        runs.spend(GAMES + others[..., 0].size)
        seen = np.full(GAMES, not games.divergence.interior) | (best.policy.min(axis=-1) > 1e-100)
        for one in np.flatnonzero(seen).tolist():
            cases.append(_optimum_case(pick(games, one), optimum[one], violation))
        lost = best.value - games.welfare_of(others)
        with np.errstate(invalid="ignore"):  # both infinite where a model may not drop an outcome
            slack = (violation(games, others) - lost) / scale(games)
        slack = np.where(np.isinf(lost) & np.isnan(slack), 0.0, slack)
        j, k = (int(x) for x in np.unravel_index(np.nanargmin(slack), slack.shape))
        cases.append(
            _other_case(float(slack[j, k]), pick(games, k), others[j, k], violation, slack.size)
        )
        if not runs.room():
            break
    return worst_case("prop-opt", cases, runs.spent)


def _other_models(rng: np.random.Generator, games: RLHFGame, policy: Floats) -> Floats:
    """Models (8, B, m) that are not optimal."""
    m = games.outcomes
    corner = np.eye(m)[rng.integers(m, size=GAMES)]
    noise = rng.dirichlet(np.full(m, 0.5), size=GAMES)
    dropped = policy * (policy > policy.min(axis=-1, keepdims=True))
    without_best = policy * (policy < policy.max(axis=-1, keepdims=True))
    kept = [np.where(p.sum(axis=-1, keepdims=True) > 0, p, policy) for p in (dropped, without_best)]
    rows = [0.5 * policy + 0.5 * games.reference, 0.99 * policy + 0.01 * noise,
            0.5 * policy + 0.5 * corner, 0.999 * policy + 0.001 * corner, noise, games.reference,
            *kept]  # fmt: skip
    models = np.stack(rows)
    return np.asarray(models / models.sum(axis=-1, keepdims=True))


def _optimum_case(game: RLHFGame, policy: Floats, violation: Violation) -> Case:
    unit = float(scale(game))

    def again() -> float:
        exact = [float(p) for p in slow_optimum(game, game.scores())[0]]
        off = float(np.abs(policy - exact).max())  # a user's model is taken at its word
        return -float(violation(game, np.array(exact) if off < 1e-9 else policy)) / unit

    return Case(-float(violation(game, policy)) / unit, CERTIFIED, game, None, None, again)


def _other_case(
    slack: float, game: RLHFGame, policy: Floats, violation: Violation, count: int
) -> Case:
    def again() -> float:
        lost = float(slow_optimum(game, game.scores())[1]) - float(game.welfare_of(policy))
        return float((violation(game, policy) - lost) / scale(game))

    return Case(slack, CERTIFIED, game, None, None, again, comparisons=count)
