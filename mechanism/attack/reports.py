"""Reports of one group: its row, its domain and projections onto it, types drawn at random."""

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.games import Game
from mechanism.core.errors import Floats, as_floats, group_index
from mechanism.core.normalization import normalize
from mechanism.core.rlhf_game import CandidateGame, RLHFGame

Type = tuple[Floats, float]  # reward (m,), size


def zero_payments(game: Game) -> Floats:
    """Payments (..., n) of the mechanism that charges nothing."""
    return np.zeros((*game.batch_shape, game.groups))


def own_row(game: Game, i: int) -> Floats:
    """Rewards (or candidate values) of group i, shape (..., m)."""
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    return np.asarray(rows[..., group_index(i, game.groups), :])


def report_sizes(game: Game, i: int, largest: int = 10) -> Floats:
    """All sizes that group i may report: 1..max(`largest`, all sizes), and its own.

    >>> report_sizes(CandidateGame([[1.0, 0.0]], [2.5]), 0, largest=3)
    array([1. , 2. , 2.5, 3. ])
    """
    top = max(largest, int(np.ceil(game.sizes.max())))
    return np.union1d(np.arange(1.0, top + 1), game.sizes[..., i])


def project_simplex(points: ArrayLike) -> Floats:
    """Euclidean projection onto {r >= 0, sum r = 1} along the last axis, exact by sorting.

    >>> project_simplex([0.5, 1.0, -3.0])
    array([0.25, 0.75, 0.  ])
    """
    x = as_floats("points", points)
    ordered = -np.sort(-x, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1) / np.arange(1, x.shape[-1] + 1)
    last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
    return np.maximum(x - np.take_along_axis(excess, last, axis=-1), 0.0)


def project_face(points: ArrayLike, face: ArrayLike) -> Floats:
    """Euclidean projection onto {0 <= r <= 1, r[face] = 1}: a face of the maximum domain.

    >>> project_face([0.5, 1.5, -3.0], 0)
    array([1., 1., 0.])
    """
    x = np.clip(as_floats("points", points), 0.0, 1.0)
    return np.where(np.arange(x.shape[-1]) == np.asarray(face)[..., None], 1.0, x)


def project_report(game: Game, i: int, points: ArrayLike, face: ArrayLike | None = None) -> Floats:
    """Bring rows (..., m) into the domain of reports of group i.

    Summation: the simplex. Maximum: the given face, or that of the largest entry. Without
    normalisation and for candidates: the box that holds [0, 1] and all of the group's own values
    (for tiny rewards [0, `reward_unit`]).
    """
    rows = as_floats("points", points)
    how = game.normalization if isinstance(game, RLHFGame) else None
    if how == "summation":
        return project_simplex(rows)
    if how == "maximum":
        return project_face(rows, rows.argmax(axis=-1) if face is None else face)
    return np.clip(rows, *report_box(game, own_row(game, i)))


def reward_unit(game: Game) -> float:
    """1, or less where all rewards of the game are tiny: the size of a report that matters.

    >>> reward_unit(CandidateGame([[1e-12, 0.0]], [1]))
    1e-11
    """
    if isinstance(game, RLHFGame) and game.normalization is not None:
        return 1.0
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    return min(1.0, 10.0 * float(np.abs(rows).max())) or 1.0


def report_box(game: Game, own: Floats) -> tuple[float, float]:
    """Least and greatest reward that a group with rewards `own` may report, if not normalised."""
    return min(0.0, float(own.min())), max(reward_unit(game), float(own.max()))


def is_summation(game: Game) -> bool:
    """Whether reports must sum to 1 (else their greatest entry is 1)."""
    return isinstance(game, RLHFGame) and game.normalization == "summation"


def constant_report(game: Game, i: int) -> Floats:
    """The report that makes the outcome independent of the size: 1/m everywhere, or 1."""
    m = own_row(game, i).shape[-1]
    return np.full(m, 1.0 / m if is_summation(game) else 1.0)


def random_type(rng: np.random.Generator, game: Game, i: int, size: float | None = None) -> Type:
    """A type of group i: even, spiky or near the truth; sizes 1..20."""
    m = own_row(game, i).shape[-1]
    row = rng.random(m) ** float(rng.choice([1.0, 4.0, 20.0])) + 1e-300
    reward = normalize(row, "summation" if is_summation(game) else "maximum")
    if rng.random() < 0.3:
        row = 0.9 * own_row(game, i) + 0.1 * reward
        reward = normalize(row, "summation" if is_summation(game) else "maximum")
    return reward, float(rng.integers(1, 21)) if size is None else size


def twin(game: Game, i: int, type_: Type, size: float) -> Type | None:
    """Type of another size whose w rm differs by a constant; None where the domain has none.

    SW-Max gives both the same model, so a rule that depends on the size otherwise shows here.

    >>> game = CandidateGame([[1.0, 0.5], [0.0, 1.0]], [1, 1])
    >>> twin(game, 0, (np.array([1.0, 0.5]), 1.0), 2.0)[0]
    array([1.  , 0.75])
    """
    row, own_size = type_
    m = len(row)
    shift = (size - own_size) / (m if is_summation(game) else 1.0)
    moved = (own_size * row + shift) / size
    return (moved, size) if moved.min() >= 0 or _free_domain(game) else None


def _free_domain(game: Game) -> bool:
    return isinstance(game, RLHFGame) and game.normalization is None


def draw_types(rng: np.random.Generator, game: Game, i: int) -> tuple[Floats, Floats]:
    """Types to try, the truth first: rewards (K, m) and sizes (K,).

    Near and far mixtures with the constant report (which shrink a group's influence), their
    opposites, random directions, spikes (also at what the others like least), random rewards; then
    the truth at other sizes, and random rewards at random sizes.
    """
    own, m = own_row(game, i), own_row(game, i).shape[-1]
    unit = reward_unit(game)
    constant = np.full(m, 1.0 / m if is_summation(game) else unit)
    steps = np.array([1e-3, 1e-2, 0.1])[:, None]
    away, noise = own - constant, unit * rng.standard_normal((2, m))
    others = game.scores() - game.sizes[i] * own
    spikes = unit * np.eye(m)[[own.argmax(), int(rng.integers(m)), others.argmin()]]
    rows = [
        own[None], own - steps * away, own + steps * away, own + steps * noise[0],
        own - steps[:2] * noise[0], own + steps[:2] * noise[1],
        constant[None], spikes, unit * rng.random((3, m)),
    ]  # fmt: skip
    rewards = project_report(game, i, np.concatenate(rows))
    grid, size = report_sizes(game, i), float(game.sizes[i])
    sizes = np.unique([1.0, max(1.0, size - 1), size + 1, grid[-1], rng.choice(grid)])
    mixed = project_report(game, i, unit * rng.random((2, m)))
    least = rewards[-4:-3]  # the spike that the others like least, as a group of one: IR is tight
    return (
        np.concatenate([rewards, np.tile(own, (len(sizes), 1)), mixed, least]),
        np.concatenate([np.full(len(rewards), size), sizes, rng.choice(grid, 2), [1.0]]),
    )
