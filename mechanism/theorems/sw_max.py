"""The SW-Max rule under attack: paths of the optimum, dual bounds, challengers, slow oracles.

Source: Definition 4.1 and condition OPT, arXiv:2405.16276v4.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechanism import oracles
from mechanism.attack.claim_result import Case, ClaimResult, scale, worst_case
from mechanism.attack.games import BATCH, FAMILIES, Strata, draw_games, draw_rlhf_game, pick
from mechanism.attack.outputs import checker
from mechanism.attack.replay import oracle_digits, slow_optimum
from mechanism.core.errors import Floats, as_floats
from mechanism.core.normalization import normalize
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import solve, sw_max

TrainingRule = Callable[[RLHFGame], ArrayLike]
CERTIFIED = 1e-12  # margin of the exact optimum, as a share of max |S| + lam
_STEPS = 10.0 ** np.arange(-7, 2)  # sizes of a challenger's step; shares above 1 are not used


def policy_path(game: RLHFGame, name: str, strengths: ArrayLike) -> Floats:
    """Optima (k, m) of one game as lam runs through `strengths` (k,), for a named divergence.

    >>> from mechanism.theorems.rlhf_game import example_game
    >>> policy_path(example_game(), "chi-squared", [1.0, 0.25]).round(3)
    array([[0.375, 0.5  , 0.125],
           [0.667, 0.333, 0.   ]])
    """
    lams = as_floats("strengths", strengths)
    return np.stack([sw_max(replace(game, divergence=FAMILIES[name](lam))) for lam in lams])


def dual_bound(game: RLHFGame, multiplier: ArrayLike) -> Floats:
    r"""Upper bound :math:`\mu + \sum_x q(x) f^*(S(x) - \mu)` on ASW at any mu (...), by duality.

    Built from f and the inverse of f' alone: f*(y) = x y - f(x) at x = (f')^{-1}(y). Infinite where
    y reaches the slope limit of f.

    >>> from mechanism.theorems.rlhf_game import example_game
    >>> game = example_game()
    >>> bool(abs(dual_bound(game, solve(game).multiplier) - np.log2(9)) < 1e-14)
    True
    """
    mu = as_floats("multiplier", multiplier)
    y = game.scores() - mu[..., None]
    ratio = game.divergence.df_inverse(y)
    with np.errstate(invalid="ignore"):
        finite = np.where(np.isinf(ratio), 0.0, ratio)
    conjugate = np.where(np.isinf(ratio), np.inf, finite * y - game.divergence.f(finite))
    return np.asarray(mu + (game.reference * conjugate).sum(axis=-1))[()]


def stationarity(game: RLHFGame, policy: ArrayLike) -> Floats:
    """S - f'(p/q), shape (..., m): constant over outcomes where condition OPT holds.

    >>> from mechanism.theorems.rlhf_game import example_game
    >>> bool(np.ptp(stationarity(example_game(), np.array([4, 4, 1]) / 9)) < 1e-14)
    True
    """
    return game.scores() - game.divergence.df(as_floats("policy", policy) / game.reference)


def project_to_simplex(points: ArrayLike) -> Floats:
    """Nearest distributions, in Euclidean distance, to points (..., m).

    >>> project_to_simplex([0.5, 1.5, -3.0])
    array([0., 1., 0.])
    """
    x = as_floats("points", points)
    x = x - x.max(axis=-1, keepdims=True)
    falling = -np.sort(-x, axis=-1)
    excess = (np.cumsum(falling, axis=-1) - 1.0) / np.arange(1, x.shape[-1] + 1)
    last = (falling > excess).sum(axis=-1, keepdims=True) - 1
    near = np.maximum(x - np.take_along_axis(excess, last, axis=-1), 0.0)
    return near / near.sum(axis=-1, keepdims=True)  # the running sum leaves about m roundings


def challenge(game: RLHFGame, policy: Floats, rng: np.random.Generator, rounds: int = 2) -> Floats:
    """Best ASW (B,) that an attacker of the policies (B, m) finds, knowing nothing of the solver.

    Each round tries projected gradient steps, steps towards the vertex of steepest ascent, mixtures
    with Dirichlet draws, and transfers from the least to the greatest total reward (what a kink of
    f asks for), at nine step sizes each, and goes on from the best.
    """
    best, value = policy, np.full(policy.shape[:-1], -np.inf)
    shares, score = np.minimum(_STEPS, 1.0)[:, None, None], game.scores()
    target = (np.arange(game.outcomes) == score.argmax(axis=-1)[..., None]) * 1.0
    for _ in range(rounds):
        with np.errstate(all="ignore"):
            slope = np.nan_to_num(stationarity(game, best), posinf=1e300, neginf=-1e300)
        steep = slope / np.maximum(np.ptp(slope, axis=-1, keepdims=True), 1e-300)
        vertex = (np.arange(game.outcomes) == slope.argmax(axis=-1)[..., None]) * 1.0
        worst = np.where(best > 0, score, np.inf).argmin(axis=-1)[..., None]
        source, taken = np.arange(game.outcomes) == worst, np.take_along_axis(best, worst, axis=-1)
        noise = rng.dirichlet(np.full(game.outcomes, 0.5), size=(len(_STEPS), *policy.shape[:-1]))
        tries = np.concatenate(
            [
                project_to_simplex(best + _STEPS[:, None, None] * steep),
                best + shares * (vertex - best),
                best + shares * (noise - best),
                best + shares * taken * (target - source),
            ]
        )
        values = np.nan_to_num(_welfare(game, tries), nan=-np.inf, neginf=-np.inf)
        k = values.argmax(axis=0)
        found = np.take_along_axis(values, k[None], axis=0)[0]
        better = found > value
        value = np.where(better, found, value)
        move = np.take_along_axis(tries, k[None, :, None], axis=0)[0]
        best = np.where(better[..., None], move, best)
    return value


def _welfare(game: RLHFGame, policy: Floats) -> Floats:
    with np.errstate(over="ignore"):  # a bad model may cost more than a float can say
        return np.asarray(game.welfare_of(policy))


def extreme_games(rng: np.random.Generator, count: int, name: str | None = None) -> RLHFGame:
    """Draw games at the edge of the supported range, with any real rewards.

    lam from 1e-6 to 1e6, rewards up to 1e6 in size and partly tied, references down to 1e-300.
    """
    family = FAMILIES[name or str(rng.choice(list(FAMILIES)))]
    n, m = int(rng.integers(1, 4)), int(rng.integers(1, 9))
    rewards = rng.normal(size=(count, n, m)) * 10 ** rng.uniform(-6, 5, size=(count, 1, 1))
    rewards = np.where(rng.random((count, 1, m)) < 0.2, rewards[..., :1], rewards)
    logs = -rng.uniform(0, rng.choice([1.0, 30.0, 300.0]), size=(count, m))
    reference = 10 ** (logs - logs.max(axis=-1, keepdims=True))
    reference /= reference.sum(axis=-1, keepdims=True)
    sizes = rng.integers(1, 10, endpoint=True, size=(count, n)).astype(float)
    return RLHFGame(rewards, sizes, reference, family(float(10 ** rng.uniform(-6, 6))))


def mutated(rng: np.random.Generator, game: RLHFGame, count: int) -> RLHFGame:
    """Draw `count` neighbours of one game: rewards and reference multiplied by noise."""
    noise = rng.choice([0.01, 0.3]) * rng.normal(size=(count, *game.rewards.shape))
    rewards = game.rewards * np.exp(noise)
    if game.normalization is not None:
        rewards = normalize(rewards, game.normalization)
    logs = np.log(game.reference) * np.exp(0.1 * rng.normal(size=(count, game.outcomes)))
    reference = np.exp(np.maximum(logs - logs.max(axis=-1, keepdims=True), -690.0))
    reference /= reference.sum(axis=-1, keepdims=True)
    return replace(game, rewards=rewards, reference=reference)


@checker("def-4.1")
def check_optimality(
    training_rule: TrainingRule = sw_max, budget: int = 2000, seed: int = 0
) -> ClaimResult:
    """Definition 4.1: no distribution has more affine social welfare than the rule's model.

    The margin is ASW(rule) - ASW(best challenger), as a share of max |S| + lam. Challengers are
    the upper bound that `solve` certifies and what `challenge` finds from the rule's own model. A
    fifth of the games are extreme, a fifth are neighbours of the worst game so far. `budget` counts
    runs of the rule; a rule other than `sw_max` is called on one game at a time.

    >>> check_optimality(budget=100).status
    'holds'
    """
    rng, trials, margin, cases = np.random.default_rng(seed), 0, np.inf, list[Case]()
    strata = Strata(rng)
    worst = draw_rlhf_game(rng)
    while trials + BATCH <= budget or not cases:
        kind = trials // BATCH % 5
        if kind == 4:
            games = mutated(rng, worst, BATCH)
        else:
            drawn = kind < 3
            games = next(strata).draw(rng, (BATCH,)) if drawn else extreme_games(rng, BATCH)
        policy = _run(training_rule, games)
        slack = _slack(games, policy, rng)
        trials += BATCH
        k = int(slack.argmin())
        cases.append(_optimum_case(float(slack[k]), pick(games, k), policy[k]))
        if slack[k] < margin:
            margin, worst = float(slack[k]), pick(games, k)
    return worst_case("def-4.1", cases, trials)


def _optimum_case(slack: float, game: RLHFGame, policy: Floats) -> Case:
    gain = -slack * float(scale(game))
    return Case(
        slack, CERTIFIED, game, None, None, lambda: _replay(game, policy), gain, comparisons=BATCH
    )


def _run(rule: TrainingRule, games: RLHFGame) -> Floats:
    if rule is sw_max:
        return as_floats("model", sw_max(games))
    count = games.batch_shape[0]
    return np.stack([as_floats("model", rule(pick(games, k))) for k in range(count)])


def _slack(games: RLHFGame, policy: Floats, rng: np.random.Generator) -> Floats:
    certified = solve(games)  # by duality no distribution has more than value + dual gap
    best = np.maximum(certified.value + certified.dual_gap, challenge(games, policy, rng))
    return (_welfare(games, policy) - best) / scale(games)


def _replay(game: RLHFGame, policy: Floats) -> float:
    return float((float(_welfare(game, policy)) - _slow(game)) / scale(game))


def _slow(game: RLHFGame) -> Any:
    """Optimal ASW by bisection in enough digits to tell a slope from its limit."""
    return slow_optimum(game, game.scores())[1]


def _conic(game: RLHFGame) -> Any:
    return oracles.optimum_cvxpy(game.scores(), game.reference, game.divergence)[1]


@dataclass(frozen=True)
class OracleTable:
    """Worst gaps over games of one divergence, each as a share of max |S| + lam.

    Attributes
    ----------
    divergence : str
    games : int
        Certified by the dual gap and attacked by `challenge`, a fifth of them extreme.
    dual_gap, beaten_by : float
        Greatest certified gap; greatest lead of a challenger (negative: none came close).
    by_mpmath, by_mpmath_extreme, by_cvxpy : float
        Greatest distance of the value from the 50-digit oracle and from the conic solver.
    oracle_games : int
        Games put to each of the three.
    """

    divergence: str
    games: int
    dual_gap: float
    beaten_by: float
    by_mpmath: float
    by_mpmath_extreme: float
    by_cvxpy: float
    oracle_games: int


def compare_with_oracles(
    name: str, games: int = 200, oracle_games: int = 6, seed: int = 0
) -> OracleTable:
    """Certify, attack and recompute random games of one divergence.

    >>> compare_with_oracles("KL", games=50, oracle_games=1).dual_gap < 1e-14
    True
    """
    rng = np.random.default_rng(seed)
    gap, lead, seen = 0.0, -np.inf, 0
    while seen < games:
        draw = extreme_games if seen // BATCH % 5 == 4 else draw_games
        batch = draw(rng, BATCH, name)
        solution, size = solve(batch), scale(batch)
        gap = max(gap, float((solution.dual_gap / size).max()))
        found = challenge(batch, solution.policy, rng)
        lead = max(lead, float(((found - solution.value) / size).max()))
        seen += BATCH
    mild = [_mild_game(rng, name) for _ in range(oracle_games)]
    wild = [_wild_game(rng, name) for _ in range(oracle_games)]
    return OracleTable(
        name, seen, gap, lead,
        _distance(mild, _slow), _distance(wild, _slow), _distance(mild, _conic), oracle_games,
    )  # fmt: skip


def _mild_game(rng: np.random.Generator, name: str) -> RLHFGame:
    """One small game that a conic solver can scale: moderate lam, no outcome below 1e-3."""
    n, m = int(rng.integers(2, 5)), int(rng.integers(2, 7))
    reference = rng.dirichlet(np.ones(m)) + 1e-3
    divergence = FAMILIES[name](float(10 ** rng.uniform(-1, 1)))
    rewards, sizes = rng.random((n, m)), rng.integers(1, 4, size=n).astype(float)
    return RLHFGame(rewards, sizes, reference / reference.sum(), divergence)


def _wild_game(rng: np.random.Generator, name: str) -> RLHFGame:
    """One extreme game that the oracle can solve within a second: 250 digits at most."""
    while oracle_digits(game := pick(extreme_games(rng, 1, name), 0)) > 250:
        pass
    return game


def _distance(games: list[RLHFGame], oracle: Callable[[RLHFGame], Any]) -> float:
    return max(abs(float(oracle(g) - solve(g).value)) / float(scale(g)) for g in games)
