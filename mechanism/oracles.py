"""Slow, independent references for everything that the library computes fast.

This module imports nothing of what it checks. A divergence is told by its class name and its
numbers `lam` and `alpha` alone; generators and slopes are written down here a second time.

Three kinds of oracle: `optimum_cvxpy` (a conic solver, about 1e-8), `optimum_mpmath` (bisection of
the multiplier in 50-digit arithmetic, every named divergence), and brute force over candidates.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
DIGITS = 50
Scalar = Callable[[mp.mpf], mp.mpf]


def optimum_cvxpy(scores: ArrayLike, reference: ArrayLike, divergence: Any) -> tuple[Floats, float]:
    r"""Solve :math:`\max_p \langle S, p\rangle - D_f(p\|q)` with Clarabel; one game.

    Parameters
    ----------
    scores, reference : array_like, shape (m,)
        S = sum_i w_i rm_i, and q.
    divergence
        Object with `lam` (and `alpha`) whose class name is one of the named divergences.

    Returns
    -------
    policy (m,), value
        Accurate to about 1e-8 of the reward scale.

    Examples
    --------
    >>> KL = type("KL", (), {"lam": 1.0})
    >>> optimum_cvxpy([1.0, 0.0], [0.5, 0.5], KL())[0].round(5)
    array([0.73106, 0.26894])
    """
    import cvxpy as cp

    score, q = np.asarray(scores, float), np.asarray(reference, float)
    p = cp.Variable(len(q), nonneg=True)
    cost = _conic_divergence(p, q, divergence)
    problem = cp.Problem(cp.Maximize(score @ p - divergence.lam * cost), [cp.sum(p) == 1])
    with warnings.catch_warnings():  # powers become rational, which loses nothing: 0.3 is 3/10
        warnings.filterwarnings("ignore", "Power atom with exponent", UserWarning)
        problem.solve(solver=cp.CLARABEL)
    return np.asarray(p.value), float(problem.value)


def _conic_divergence(p: Any, q: Floats, divergence: Any) -> Any:
    import cvxpy as cp

    match type(divergence).__name__:
        case "KL":
            return cp.sum(cp.rel_entr(p, q))
        case "ReverseKL":
            return cp.sum(cp.rel_entr(q, p))
        case "ChiSquared":
            return cp.sum(cp.multiply(1 / q, cp.square(p - q)))
        case "TotalVariation":
            return cp.norm1(p - q)
        case "SquaredHellinger":
            return 2 - 2 * cp.sum(cp.multiply(np.sqrt(q), cp.sqrt(p)))
        case "JensenShannon":
            return cp.sum(cp.rel_entr(p, (p + q) / 2) + cp.rel_entr(q, (p + q) / 2))
        case "Alpha":
            a = divergence.alpha
            if a in (0, 1):
                return cp.sum(cp.rel_entr(p, q) if a == 1 else cp.rel_entr(q, p))
            powers = cp.multiply(q ** (1 - a), cp.power(p, a))
            return (cp.sum(powers) - 1) / (a * (a - 1))
        case name:
            raise ValueError(f"divergence = {name}: no conic form is known here")


def optimum_mpmath(
    scores: Sequence[float], reference: Sequence[float], divergence: Any, digits: int = DIGITS
) -> tuple[list[mp.mpf], mp.mpf]:
    """Solve the same problem by bisecting the multiplier in `digits`-digit arithmetic.

    Total variation has no interior condition: mass moves where max S - S(x) > 2 lam.

    >>> ChiSquared = type("ChiSquared", (), {"lam": 1.0})
    >>> [float(p) for p in optimum_mpmath([1.0, 0.0], [0.5, 0.5], ChiSquared())[0]]
    [0.625, 0.375]
    """
    with mp.workdps(digits):
        s = [mp.mpf(float(x)) / mp.mpf(divergence.lam) for x in scores]
        q = [mp.mpf(float(x)) for x in reference]
        generator, inverse, limit = _generator(divergence)
        policy = _transfer(s, q) if inverse is None else _bisect(s, q, inverse, limit)
        gain = mp.fsum(a * b for a, b in zip(s, policy, strict=True))
        cost = mp.fsum(b * generator(a / b) for a, b in zip(policy, q, strict=True))
        return policy, mp.mpf(divergence.lam) * (gain - cost)


def _transfer(s: list[mp.mpf], q: list[mp.mpf]) -> list[mp.mpf]:
    top = max(s)
    policy = [mp.mpf(0) if top - a > 2 else b for a, b in zip(s, q, strict=True)]
    policy[s.index(top)] += mp.fsum(q) - mp.fsum(policy)
    return policy


def _bisect(
    s: list[mp.mpf], q: list[mp.mpf], inverse: Callable[[mp.mpf], mp.mpf], limit: mp.mpf
) -> list[mp.mpf]:
    """Bisect the slope at the best outcome; its deficit from a finite limit, on a log scale."""
    gaps = [max(s) - a for a in s]

    @cache
    def at(depth: mp.mpf) -> list[mp.mpf]:
        if mp.isinf(limit):
            return [b * inverse(depth - g) for g, b in zip(gaps, q, strict=True)]
        return [b * inverse(mp.exp(-depth) + g) for g, b in zip(gaps, q, strict=True)]

    low, high = mp.mpf(-2), mp.mpf(2)
    while mp.fsum(at(low)) > 1:
        low *= 2
    while mp.fsum(at(high)) < 1:
        high *= 2
    high = _crossing(lambda depth: mp.fsum(at(depth)), low, high)
    policy = at(high)
    total = mp.fsum(policy)
    return [a / total for a in policy]


def _crossing(mass: Scalar, low: mp.mpf, high: mp.mpf) -> mp.mpf:
    """Where an increasing mass is 1: secants of its logarithm through the last two points.

    The middle of the bracket takes their place where they leave it, and in every fourth step if
    the bracket is still wider than an eighth of what it was. Ends where the mass is right to five
    digits less than are carried, or where no number is left inside the bracket.
    """

    def excess(depth: mp.mpf) -> mp.mpf:
        total = mass(depth)
        return mp.log(total) if total > 0 else mp.mpf(-1)

    before, last, width, step = (low, excess(low)), (high, excess(high)), high - low, 0
    while True:
        step += 1
        rise = last[1] - before[1]
        point = last[0] - last[1] * (last[0] - before[0]) / rise if rise else low
        slow = step % 4 == 0 and high - low > width / 8
        width = high - low if step % 4 == 0 else width
        if slow or not low < point < high:
            point = (low + high) / 2
        found = excess(point)
        if abs(found) <= mp.mpf(10) ** (5 - mp.mp.dps) or not low < point < high:
            return point
        low, high = (point, high) if found < 0 else (low, point)
        before, last = last, (point, found)


def _generator(divergence: Any) -> tuple[Scalar, Scalar | None, mp.mpf]:
    """Generator, inverse slope, and the least upper bound of slopes.

    Where slopes are bounded the inverse takes the deficit from the bound, which may be tiny, in
    place of the slope. Total variation has no inverse.
    """

    def entropy(x: mp.mpf) -> mp.mpf:
        return x * mp.log(x) if x > 0 else mp.mpf(0)

    match type(divergence).__name__:
        case "KL":
            return entropy, lambda y: mp.exp(y - 1), mp.inf
        case "ChiSquared":
            return lambda x: (x - 1) ** 2, lambda y: max(1 + y / 2, mp.mpf(0)), mp.inf
        case "TotalVariation":
            return lambda x: abs(x - 1), None, mp.mpf(1)
        case "ReverseKL":
            return lambda x: -mp.log(x), lambda u: 1 / u, mp.mpf(0)
        case "SquaredHellinger":
            return lambda x: (mp.sqrt(x) - 1) ** 2, lambda u: u**-2, mp.mpf(1)
        case "JensenShannon":
            return (
                lambda x: entropy(x) - (1 + x) * mp.log((1 + x) / 2),
                lambda u: 1 / mp.expm1(u),
                mp.log(2),
            )
        case "Alpha":
            return _alpha_generator(mp.mpf(divergence.alpha))
        case name:
            raise ValueError(f"divergence = {name}: this oracle knows named divergences only")


def _alpha_generator(a: mp.mpf) -> tuple[Scalar, Scalar | None, mp.mpf]:
    if a == 1:
        return lambda x: x * mp.log(x) - x + 1 if x > 0 else mp.mpf(1), mp.exp, mp.inf
    if a == 0:
        return lambda x: x - 1 - mp.log(x), lambda u: 1 / u, mp.mpf(1)

    def inverse(y: mp.mpf) -> mp.mpf:
        base = 1 + (a - 1) * y if a > 1 else (1 - a) * y
        return base ** (1 / (a - 1)) if base > 0 else mp.mpf(0)

    limit = 1 / (1 - a) if a < 1 else mp.inf
    return lambda x: (x**a - a * x + a - 1) / (a * (a - 1)), inverse, limit


def payments_mpmath(game: Any, digits: int = DIGITS) -> list[mp.mpf]:
    """Affine maximizer payments of one continuous game from n + 1 slow optima.

    `game` has `rewards` (n, m), `sizes` (n,), `reference` (m,) and `divergence`.
    """
    with mp.workdps(digits):
        rewards = [[mp.mpf(float(x)) for x in row] for row in np.asarray(game.rewards)]
        sizes = [mp.mpf(float(w)) for w in np.asarray(game.sizes)]

        def optimum(members: Sequence[int]) -> tuple[list[mp.mpf], mp.mpf]:
            total = [mp.fsum(sizes[i] * rewards[i][x] for i in members) for x in range(m)]
            return _optimum_of(total, game, digits)

        n, m = len(rewards), len(rewards[0])
        policy, best = optimum(range(n))
        payments = []
        for i in range(n):
            own = sizes[i] * mp.fsum(a * b for a, b in zip(policy, rewards[i], strict=True))
            payments.append(optimum([j for j in range(n) if j != i])[1] - (best - own))
        return payments


def _optimum_of(total: list[mp.mpf], game: Any, digits: int) -> tuple[list[mp.mpf], mp.mpf]:
    lam = mp.mpf(game.divergence.lam)
    s, q = [a / lam for a in total], [mp.mpf(float(x)) for x in np.asarray(game.reference)]
    generator, inverse, limit = _generator(game.divergence)
    policy = _transfer(s, q) if inverse is None else _bisect(s, q, inverse, limit)
    gain = mp.fsum(a * b for a, b in zip(s, policy, strict=True))
    cost = mp.fsum(b * generator(a / b) for a, b in zip(policy, q, strict=True))
    return policy, lam * (gain - cost)


def utility_after_report(true_game: Any, reported_game: Any, i: int) -> float:
    """True utility of group i when the affine maximizer mechanism runs on the reported game.

    One game each, continuous or a candidate set, by 50-digit arithmetic or exact enumeration.
    """
    if hasattr(true_game, "values"):
        index, payments = brute_force_candidates(reported_game)
        value = float(true_game.sizes[i]) * float(true_game.values[i][index])
        return value - payments[i]
    with mp.workdps(DIGITS):
        sizes = [mp.mpf(float(w)) for w in np.asarray(reported_game.sizes)]
        rows = np.asarray(reported_game.rewards)
        total = [
            mp.fsum(w * mp.mpf(float(row[x])) for w, row in zip(sizes, rows, strict=True))
            for x in range(rows.shape[1])
        ]
        policy, _ = _optimum_of(total, reported_game, DIGITS)
        truth = np.asarray(true_game.rewards)[i]
        value = mp.fsum(a * mp.mpf(float(b)) for a, b in zip(policy, truth, strict=True))
        pay = payments_mpmath(reported_game)[i]
        return float(mp.mpf(float(true_game.sizes[i])) * value - pay)


def brute_force_candidates(game: Any) -> tuple[int, list[float]]:
    """Chosen index and payments of one candidate game, by plain loops over candidates.

    `game` has `values` (n, k), `sizes` (n,) and `divergences` (k,) or None.

    >>> Game = type("Game", (), dict(values=[[1, 0.6, 0], [0, 0.6, 1]], sizes=[1, 1],
    ...                              divergences=None))
    >>> brute_force_candidates(Game())
    (1, [0.4, 0.4])
    """
    values = [[float(v) for v in row] for row in game.values]
    sizes = [float(w) for w in game.sizes]
    costs = [0.0] * len(values[0]) if game.divergences is None else list(game.divergences)

    def welfare(k: int, members: Sequence[int]) -> float:
        return sum(sizes[i] * values[i][k] for i in members) - float(costs[k])

    everyone, indices = range(len(sizes)), range(len(costs))
    chosen = max(indices, key=lambda k: (welfare(k, everyone), -k))
    payments = []
    for i in everyone:
        others = [j for j in everyone if j != i]
        payments.append(max(welfare(k, others) for k in indices) - welfare(chosen, others))
    return chosen, payments
