r"""How far a model moves when reports move: sharp moduli for Proposition 4.8 and Lemma B.1.

With :math:`D = \max_x |\sum_i w_i rm_i(x) - \sum_i w'_i rm'_i(x)|` the paper bounds
:math:`\max_x |p'(x) - p(x)|`. The sharp constants, which bound even the total variation distance
:math:`\tfrac12\sum_x |p' - p|`, are :math:`\tanh(D/2\lambda)` for KL, :math:`\min(1, D/4\lambda)`
for chi-squared (every lam, optimum interior or not), :math:`\min(1, D/2\alpha)` for f strongly
convex with modulus alpha (differentiable or not).
Source: Proposition 4.8 and Lemma B.1, arXiv:2405.16276v4; the constants are our own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mechanism import oracles
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
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.claim_result import ClaimResult
from mechanism.theorems.type_graph import Case, worst_case

Bound = Callable[[Floats, Floats], Floats]  # (D, lam or modulus) -> greatest change
Family = Callable[[np.random.Generator], Divergence]


def kl_paper(change: Floats, lam: Floats) -> Floats:
    """The proof's modulus: max(exp(2D/lam) - 1, 1 - exp(-2D/lam))."""
    return np.asarray(np.expm1(np.minimum(2 * change / lam, 600.0)))


def kl_sharp(change: Floats, lam: Floats) -> Floats:
    """tanh(D / (2 lam)).

    >>> float(kl_sharp(np.array(1.0), np.array(0.5)).round(4))
    0.7616
    """
    return np.tanh(change / (2 * lam))


def chi2_paper(change: Floats, lam: Floats) -> Floats:
    """The proof's modulus: D / lam, for lam so large that the optimum is positive."""
    return change / lam


def chi2_sharp(change: Floats, lam: Floats) -> Floats:
    """min(1, D / (4 lam)), for every lam."""
    return np.minimum(1.0, change / (4 * lam))


def strong_paper(change: Floats, modulus: Floats) -> Floats:
    """Lemma B.1: 2 D / alpha."""
    return 2 * change / modulus


def strong_sharp(change: Floats, modulus: Floats) -> Floats:
    """min(1, D / (2 alpha))."""
    return np.minimum(1.0, change / (2 * modulus))


@dataclass(frozen=True)
class Change:
    """Two reported games that differ in the reports alone (leading axis: a batch of pairs)."""

    before: RLHFGame
    after: RLHFGame

    @property
    def size(self) -> Floats:
        """D, the greatest change of the total reward, shape (...)."""
        return np.asarray(np.abs(self.after.scores() - self.before.scores()).max(axis=-1))

    def pair(self, k: int) -> "Change":
        """The k-th pair of a batch."""
        return Change(_one(self.before, k), _one(self.after, k))


def _one(game: RLHFGame, k: int) -> RLHFGame:
    parts = game.rewards[k], game.sizes[k], game.reference[k]
    return RLHFGame(*parts, game.divergence, game.normalization)


def policies(game: RLHFGame, mechanism: Mechanism | None) -> Floats:
    """Models (..., m): SW-Max as one batch, any other rule game by game."""
    if mechanism is None:
        return np.asarray(sw_max(game))
    return np.array([mechanism.training_rule(_one(game, k)) for k in range(len(game.sizes))])


def swap_game(change: float, divergence: Divergence) -> Change:
    """Two groups of size 1, q = (1/2, 1/2): they trade places, and the sharp moduli are reached.

    rm_1 = (1, 1/2 + D/2), rm_2 = (1/2 - D/2, 1), and D <= 1 changes sign.

    >>> move = swap_game(0.5, KL(0.3))
    >>> moved = np.abs(sw_max(move.after) - sw_max(move.before)).max()
    >>> bool(abs(moved - kl_sharp(np.array(0.5), np.array(0.3))) < 1e-12)
    True
    """

    def game(sign: float) -> RLHFGame:
        high, low = (1 + sign * change) / 2, (1 - sign * change) / 2
        rows = np.array([[1.0, high], [low, 1.0]])
        return RLHFGame(rows, np.ones(2), np.full(2, 0.5), divergence, "maximum")

    return Change(game(1.0), game(-1.0))


def random_changes(
    rng: np.random.Generator, family: Family, count: int, outcomes: int, how: Normalization
) -> Change:
    """A batch of pairs: far and near reports, sizes changed or not, skewed references."""
    groups = int(rng.integers(2, 6))
    shape = (count, groups, outcomes)
    logs = rng.choice([0.3, 1.0, 4.0, 20.0], (count, 1)) * rng.standard_normal((count, outcomes))
    reference = np.exp(np.maximum(logs - logs.max(axis=-1, keepdims=True), -600.0))
    reference /= reference.sum(axis=-1, keepdims=True)
    first = normalize(rng.random(shape) ** rng.choice([1.0, 5.0]) + 1e-300, how)
    other = normalize(rng.random(shape) ** rng.choice([1.0, 5.0]) + 1e-300, how)
    share = 10 ** rng.uniform(-4, 0, (count, 1, 1))
    second = normalize((1 - share) * first + share * other, how)
    sizes = rng.integers(1, 11, (count, groups)).astype(float)
    changed = np.where(rng.random((count, 1)) < 0.3, rng.permutation(sizes.T).T, sizes)
    divergence = family(rng)
    return Change(
        RLHFGame(first, sizes, reference, divergence, how),
        RLHFGame(second, changed, reference, divergence, how),
    )


def climb(
    rng: np.random.Generator,
    family: Family,
    count: int,
    steps: int,
    ratio: Callable[[Change], Floats],
    outcomes: int = 2,
) -> Iterator[Change]:
    """Evolution strategy for the pair that moves the model most against its bound.

    Each of `count` pairs (two groups, sizes 1, maximum normalisation) keeps the best of its own
    perturbations; all are evaluated together. Yields every generation.
    """
    divergence = family(rng)
    x = rng.random((count, 4 * outcomes + outcomes))
    best, width = np.full(count, -np.inf), 0.3
    for step in range(steps):
        trial = np.clip(x + (step > 0) * width * rng.standard_normal(x.shape), 1e-9, 1.0)
        move = _decode(trial, divergence, outcomes)
        yield move
        found = ratio(move)
        better = found > best
        x, best = np.where(better[:, None], trial, x), np.where(better, found, best)
        if step % 3 == 2:  # the worse half starts again from the better half
            order = np.argsort(-best)
            x[order[count // 2 :]] = x[order[: count - count // 2]]
            best[order[count // 2 :]] = best[order[: count - count // 2]]
            width *= 0.7


def _decode(x: Floats, divergence: Divergence, m: int) -> Change:
    rows = normalize(x[:, : 4 * m].reshape(-1, 4, m), "maximum")
    weights = np.exp(12 * (x[:, 4 * m :] - 0.5))
    q = weights / weights.sum(axis=-1, keepdims=True)
    sizes = np.ones((len(x), 2))
    return Change(
        RLHFGame(rows[:, :2], sizes, q, divergence, "maximum"),
        RLHFGame(rows[:, 2:], sizes, q, divergence, "maximum"),
    )


def _lam(divergence: Divergence, change: Change) -> Floats:
    return np.full(change.size.shape, divergence.lam)


def _modulus(divergence: Divergence, change: Change) -> Floats:
    """Strong convexity on the ratios that can occur, 0 < p/q <= 1 / min q."""
    largest = 1 / change.before.reference.min(axis=-1)
    return np.vectorize(divergence.modulus, otypes=[float])(largest)


Strength = Callable[[Divergence, Change], Floats]


def _kl(rng: np.random.Generator) -> Divergence:
    return KL(float(10 ** rng.uniform(-2, 2)))


def _chi2(rng: np.random.Generator) -> Divergence:
    return ChiSquared(float(10 ** rng.uniform(-2, 2)))


def _strongly_convex(rng: np.random.Generator) -> Divergence:
    lam = float(10 ** rng.uniform(-1.5, 1.5))
    kinds = (ChiSquared, KL, ReverseKL, SquaredHellinger, JensenShannon)
    kind = int(rng.integers(len(kinds) + 3))
    named = kinds[min(kind, len(kinds) - 1)]
    return Alpha(float(rng.choice([0.5, 1.5, 2.0])), lam) if kind > len(kinds) else named(lam)


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
    return _check("prop-4.8-kl", mechanism, _kl, bound, _lam, budget, seed)


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
    return _check("prop-4.8-chi2", mechanism, _chi2, bound, _lam, budget, seed)


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
    return _check("lemma-B.1", mechanism, _strongly_convex, bound, _modulus, budget, seed)


def _check(
    claim: str,
    mechanism: Mechanism | None,
    family: Family,
    bound: Bound,
    strength: Strength,
    budget: int,
    seed: int,
) -> ClaimResult:
    rng, trials, cases = np.random.default_rng(seed), 0, list[Case]()
    turn = 0
    while trials < budget:
        how: Normalization = "summation" if turn % 2 else "maximum"
        if turn % 4 < 2:
            outcomes = min(1000, 2 + int(3 * rng.pareto(1.2)))
            moves = iter([random_changes(rng, family, 20, outcomes, how)])
        elif turn % 4 == 2:
            known = [swap_game(float(rng.uniform(0.01, 1)), family(rng)) for _ in range(8)]
            moves = iter([Change(_batched(k.before), _batched(k.after)) for k in known])
        else:
            moves = climb(rng, family, 12, 12, lambda m: _ratios(m, mechanism, bound, strength))
        for move in moves:
            cases.append(_case(move, mechanism, bound, strength))
            trials += 2 * len(move.before.sizes)
        turn += 1
    return worst_case(claim, cases, trials)


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
        first, second = (
            oracles.optimum_mpmath(g.scores().tolist(), g.reference.tolist(), divergence, 50)[0]
            for g in (worst.before, worst.after)
        )
        return float(limit - max(abs(a - b) for a, b in zip(first, second, strict=True)))

    return Case(float(slack[k]), float(tolerance[k]), worst.before, None, worst.after, again)


@dataclass(frozen=True)
class Tightness:
    """Largest change over a bound that a search reached, and the pair that reached it."""

    ratio: float
    change: Change


def tightness(
    name: Literal["kl", "chi2"], bound: Bound, seed: int = 0, steps: int = 40, outcomes: int = 2
) -> Tightness:
    """Climb towards the worst pair of reports for KL or chi-squared against `bound`."""
    family, best = (_kl if name == "kl" else _chi2), Tightness(0.0, swap_game(0.5, KL(1.0)))
    rng = np.random.default_rng(seed)

    def ratios(change: Change) -> Floats:
        return _ratios(change, None, bound, _lam)

    for _ in range(4):
        for move in climb(rng, family, 60, steps, ratios, outcomes):
            found = ratios(move)
            k = int(found.argmax())
            if found[k] > best.ratio:
                best = Tightness(float(found[k]), move.pair(k))
    return best
