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

import numpy as np

from mechanism.attack.games import Setting, pick
from mechanism.core.divergences import Divergence
from mechanism.core.errors import Floats
from mechanism.core.normalization import normalize
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max

Bound = Callable[[Floats, Floats], Floats]  # (D, lam or modulus) -> greatest change


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
        return Change(pick(self.before, k), pick(self.after, k))


Strength = Callable[[Divergence, Change], Floats]


def policies(game: RLHFGame, mechanism: Mechanism | None) -> Floats:
    """Models (..., m): SW-Max as one batch, any other rule game by game."""
    if mechanism is None:
        return np.asarray(sw_max(game))
    return np.array([mechanism.training_rule(pick(game, k)) for k in range(len(game.sizes))])


def swap_game(change: float, divergence: Divergence) -> Change:
    """Two groups of size 1, q = (1/2, 1/2): they trade places, and the sharp moduli are reached.

    rm_1 = (1, 1/2 + D/2), rm_2 = (1/2 - D/2, 1), and D <= 1 changes sign.

    >>> from mechanism import KL
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


def random_changes(rng: np.random.Generator, setting: Setting, count: int) -> Change:
    """A batch of pairs: far and near reports, sizes changed or not, skewed references."""
    groups, outcomes, how = setting.groups, setting.outcomes, setting.normalization
    shape, divergence = (count, groups, outcomes), setting.divergence
    logs = rng.choice([0.3, 1.0, 4.0, 20.0], (count, 1)) * rng.standard_normal((count, outcomes))
    reference = np.exp(np.maximum(logs - logs.max(axis=-1, keepdims=True), -600.0))
    reference /= reference.sum(axis=-1, keepdims=True)
    first = normalize(rng.random(shape) ** rng.choice([1.0, 5.0]) + 1e-300, how)
    other = normalize(rng.random(shape) ** rng.choice([1.0, 5.0]) + 1e-300, how)
    share = 10 ** rng.uniform(-4, 0, (count, 1, 1))
    second = normalize((1 - share) * first + share * other, how)
    sizes = rng.integers(1, 11, (count, groups)).astype(float)
    changed = np.where(rng.random((count, 1)) < 0.3, rng.permutation(sizes.T).T, sizes)
    return Change(
        RLHFGame(first, sizes, reference, divergence, how),
        RLHFGame(second, changed, reference, divergence, how),
    )


def climb(
    rng: np.random.Generator,
    divergence: Divergence,
    count: int,
    steps: int,
    ratio: Callable[[Change], Floats],
    outcomes: int = 2,
) -> Iterator[Change]:
    """Evolution strategy for the pair that moves the model most against its bound.

    Each of `count` pairs (two groups, sizes 1, maximum normalisation) keeps the best of its own
    perturbations; all are evaluated together. Yields every generation.
    """
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
