r"""Where no report makes the size irrelevant: what payments may still depend on the own size.

With affine maximizer payments a type s = w rm loses exactly the Bregman gap :math:`B(s, s') =
G(s) - G(s') - \langle s - s', p(s')\rangle \ge 0` by posing as s'. So pay + g is truthful if and
only if :math:`g(t) - g(t') \le B(t, t')` for all pairs, and payment equivalence holds if and only
if all types are joined both ways by chains of vanishing gap. Inside one size such chains are the
straight segments; between sizes everything hangs on the cheapest jump.
Own findings, on Corollary 4.10 and Section 6 (min-max rewards) of arXiv:2405.16276v4.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mechanism.attack.games import Game
from mechanism.attack.type_graph import TypeGraph, type_graph
from mechanism.core.errors import Floats
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame


def bregman_gaps(graph: TypeGraph) -> Floats:
    """(K, K): entry (j, k) is what type k loses by posing as j under affine maximizer payments.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> graph = type_graph(game, 0, np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones(2))
    >>> bregman_gaps(graph).round(4)
    array([[0.    , 0.4338],
           [0.3278, 0.    ]])
    """
    batch = graph.game.with_report(graph.group, reward=graph.rewards, size=graph.sizes)
    pay = affine_maximizer_payments(batch)[:, graph.group]
    return np.asarray(graph.lengths - (pay[None, :] - pay[:, None]))


def min_max_reports(steps: int) -> Floats:
    """All min-max normalised rewards of three outcomes, on a grid: a hexagon (6 steps, 3).

    >>> min_max_reports(1)[:3]
    array([[0., 0., 1.],
           [0., 1., 1.],
           [0., 1., 0.]])
    """
    corners = [(0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 1, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)]
    path = np.array(corners, dtype=np.float64)
    share = np.arange(steps)[:, None] / steps
    return np.concatenate([a + share * (b - a) for a, b in pairwise(path)])


@dataclass(frozen=True)
class SizeFreedom:
    """How far payments may depend on the reported size, with the reports that bound it.

    Attributes
    ----------
    jumps : ndarray, shape (K, K)
        Least gap from any type of size j to any type of size k.
    freedom : ndarray, shape (K, K)
        Greatest g(w_k) - g(w_j) that stays truthful: shortest chains of jumps.
    best : tuple of two ndarrays
        The reports of the cheapest jump from the first size to the second.
    """

    jumps: Floats
    freedom: Floats
    best: tuple[Floats, Floats]

    @property
    def width(self) -> float:
        """Widest range of payment differences between two sizes; 0 under payment equivalence."""
        return float((self.freedom + self.freedom.T).max())


def size_freedom(game: Game, i: int, reports: Floats, sizes: Floats) -> SizeFreedom:
    """Cheapest jumps between sizes over the given reports (K, m), each connected inside a size."""
    k = len(reports)
    rewards, repeated = np.tile(reports, (len(sizes), 1)), np.repeat(sizes, k)
    gaps = bregman_gaps(type_graph(game, i, rewards, repeated))
    blocks = np.maximum(gaps, 0.0).reshape(len(sizes), k, len(sizes), k).transpose(0, 2, 1, 3)
    jumps = blocks.min(axis=(2, 3))
    at = np.unravel_index(blocks[0, 1].argmin(), (k, k))
    best = reports[int(at[0])], reports[int(at[1])]
    freedom = jumps
    for middle in range(len(sizes)):  # Floyd and Warshall; scipy's reads a zero as "no edge"
        freedom = np.minimum(freedom, freedom[:, [middle]] + freedom[[middle]])
    return SizeFreedom(jumps, freedom, best)


def rough_arc(t: Floats, levels: int = 12) -> Floats:
    r"""Types on an arc as rough as a Brownian path: 16 rewards that sum to 1, for each t in [0, 1].

    :math:`\gamma(t) = \sum_k 2^{-k} e^{i 4^k t}`, level k in plane k mod 4 of R^8, each coordinate
    entered with both signs. For :math:`|t - u| \ge 4^{-levels}`:
    :math:`|\gamma(t) - \gamma(u)|^2 \ge 0.4\,|t - u|`.

    >>> rough_arc(np.array([0.0, 1.0])).sum(axis=-1).round(12)
    array([1., 1.])
    """
    k = np.arange(levels)
    angles = np.asarray(t)[..., None] * 4.0**k
    planes = np.eye(4)[k % 4] * 2.0 ** -k[:, None]
    curve = np.concatenate([np.cos(angles) @ planes, np.sin(angles) @ planes], axis=-1)
    return np.asarray((1 + np.concatenate([curve, -curve], axis=-1) / 1.1) / 16)


def rough_arc_game(lam: float = 1.0) -> RLHFGame:
    """Chi-squared, uniform reference, public sizes 1; group 1's types lie on `rough_arc`."""
    from mechanism.core.divergences import ChiSquared

    uniform = np.full(16, 1 / 16)
    rewards = np.array([rough_arc(np.zeros(())), np.eye(16)[0]])
    return RLHFGame(rewards, np.ones(2), uniform, ChiSquared(lam), "summation")
