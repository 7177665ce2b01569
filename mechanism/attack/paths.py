"""V along paths of types: the payment at the end less that at the start.

Along a straight segment of types the sums of l tend to an integral of the model, which is computed
exactly where the model moves in steps and by adaptive quadrature elsewhere.
Source: Appendix C, arXiv:2405.16276v4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mechanism.attack.claim_result import scale
from mechanism.attack.games import Game
from mechanism.attack.reports import Type
from mechanism.attack.type_graph import run_rule
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max


@dataclass(frozen=True)
class PathPayment:
    """V along ever finer steps of a path, which is the payment at its end less that at its start.

    Attributes
    ----------
    value, error : float
        The limit, and the quadrature's own error estimate (0 where it is a finite sum).
    evaluations : int
        Runs of the training rule.
    """

    value: float
    error: float
    evaluations: int

    def __add__(self, other: "PathPayment") -> "PathPayment":
        """Join two paths."""
        return PathPayment(
            self.value + other.value,
            self.error + other.error,
            self.evaluations + other.evaluations,
        )


NODES = 2000  # a segment that is not settled by then counts with its bound
_LEGENDRE = np.polynomial.Legendre.basis(9)  # ten Lobatto nodes: both ends are among them
_NODES = np.concatenate([[-1.0], np.sort(_LEGENDRE.deriv().roots().real), [1.0]])
_WEIGHTS = 2 / (90 * _LEGENDRE(_NODES) ** 2)


def segment_payment(
    game: Game,
    i: int,
    start: Type,
    end: Type,
    mechanism: Mechanism | None = None,
    rounds: int = 13,
    nodes: int = NODES,
) -> PathPayment:
    r"""V along the straight segment between two types that share their size or their reward.

    With :math:`s = w\,rm` the sums of l tend to :math:`\int\langle s, dp\rangle = [\langle s,
    p\rangle] - \int\langle p, ds\rangle`. The last integral is what is computed: exactly between
    the points where the model changes (candidate sets and total variation under SW-Max), else by
    Gauss-Lobatto pieces that are halved until they agree. A piece that never agrees counts with
    its width times the range of the integrand, which bounds its error if the integrand is monotone
    (as it is for every rule that some payment makes truthful).
    """
    if mechanism is not None and mechanism.training_rule is sw_max:
        mechanism = None  # known exactly
    (r0, w0), (r1, w1) = start, end
    direction = w1 * r1 - w0 * r0

    def models(share: Floats) -> Any:
        rewards = r0 + share[:, None] * (r1 - r0)
        return run_rule(game, i, rewards, w0 + share * (w1 - w0), mechanism)

    ends = models(np.array([0.0, 1.0]))
    gained = float(expected(ends[1:], w1 * r1)[0] - expected(ends[:1], w0 * r0)[0])
    edges, exact = _edges(game, i, start, direction, mechanism)
    tolerance = 1e-12 * float(scale(game))
    area, error, count = _integrate(
        lambda share: expected(models(share), direction), edges, exact, tolerance, rounds, nodes
    )
    return PathPayment(gained - area, error, count + 2)


def expected(models: Any, row: Floats) -> Floats:
    """Expectation of `row` (m,) under each of K models."""
    return np.asarray(row[models] if np.ndim(models) == 1 else models @ row)


def _edges(
    game: Game, i: int, start: Type, direction: Floats, mechanism: Mechanism | None
) -> tuple[Floats, bool]:
    """Ends of the pieces, and whether SW-Max's model is constant on each."""
    if mechanism is not None:
        return np.linspace(0.0, 1.0, 3), False
    base = game.with_report(i, reward=start[0], size=start[1]).scores()
    steps = isinstance(game, CandidateGame) or isinstance(game.divergence, TotalVariation)
    return turning_points(game, base, direction), steps


def turning_points(game: Game, base: Floats, slopes: Floats) -> Floats:
    """Points s in [0, 1], both ends too, where the best outcome of base + s slopes (m,) changes.

    Walks the upper envelope of m lines. For total variation the points are added where mass starts
    or stops to move (max S - S(x) = 2 lam), so that with these, as for candidate sets, the model is
    constant in between.
    """
    moving = game.divergence if isinstance(game, RLHFGame) else None
    reach = 2 * moving.lam if isinstance(moving, TotalVariation) else np.inf
    s, points, top = 0.0, [np.zeros(1)], int(np.lexsort((slopes, base))[-1])
    while s < 1:
        rise = slopes - slopes[top]
        with np.errstate(all="ignore"):
            crossings = np.where(rise > 0, (base[top] - base) / rise, np.inf)
            jumps = (base[top] - base - reach) / rise
        following = int(crossings.argmin())
        end = min(1.0, max(s, float(crossings[following])))
        points += [jumps[np.isfinite(jumps) & (jumps > s) & (jumps < end)], np.array([end])]
        s, top = end, following
    return np.unique(np.concatenate(points))


def _integrate(
    at: Callable[[Floats], Floats],
    edges: Floats,
    exact: bool,
    tolerance: float,
    rounds: int,
    nodes: int,
) -> tuple[float, float, int]:
    if exact:
        heights = at((edges[1:] + edges[:-1]) / 2)
        return float(heights @ np.diff(edges)), 0.0, len(heights)

    def lobatto(low: Floats, high: Floats) -> tuple[Floats, Floats]:
        nodes = (low + high)[:, None] / 2 + np.outer((high - low) / 2, _NODES)
        values = at(nodes.ravel()).reshape(nodes.shape)
        ranges = np.ptp(values, axis=1) * (high - low)
        return np.asarray(values @ _WEIGHTS * (high - low) / 2), ranges

    low, high = edges[:-1], edges[1:]
    whole, total, error = lobatto(low, high)[0], 0.0, 0.0
    count = len(low) * len(_NODES)
    for turn in range(rounds):
        middle = (low + high) / 2
        ends = np.concatenate([low, middle]), np.concatenate([middle, high])
        halves, ranges = lobatto(*ends)
        count += 2 * len(low) * len(_NODES)
        left, right = np.split(halves, 2)
        gap = np.abs(left + right - whole)
        agree = gap <= tolerance
        done = agree | (turn == rounds - 1) | (count >= nodes)
        total += float((left + right)[done].sum())
        bounds = np.where(agree, gap, ranges[: len(gap)] + ranges[len(gap) :])
        error += float(bounds[done].sum())
        if done.all():
            break
        low, high = (
            np.concatenate([low[~done], middle[~done]]),
            np.concatenate([middle[~done], high[~done]]),
        )
        whole = np.concatenate([left[~done], right[~done]])
    return total, error, count


Path = Sequence[Type]


def path_payment(
    game: Game, i: int, path: Path, mechanism: Mechanism | None = None, nodes: int = NODES
) -> PathPayment:
    """V along a path of straight legs: the payment at its end less that at its start.

    >>> from mechanism import KL, RLHFGame
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0), "maximum")
    >>> start, end = (np.ones(2), 1.0), (np.array([1.0, 0.0]), 1.0)
    >>> round(path_payment(game, 0, [start, end]).value, 4)  # a constant report pays nothing
    0.1201
    """
    total = PathPayment(0.0, 0.0, 0)
    for first, last in pairwise(path):
        if first[1] == last[1] or np.ptp(first[0]) > 0:
            total += segment_payment(game, i, first, last, mechanism, nodes=nodes)
    return total
