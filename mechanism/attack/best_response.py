r"""Best misreports of one group, in rewards and size.

`gradient_search` climbs the exact gradient of the utility under the SW-Max rule. Condition OPT at
the reported model p says :math:`S' - f'(p/q) = \mu` where p > 0, so that with
:math:`a = q / f''(p/q)` (a = 0 where p = 0) and :math:`\bar g = \sum_x a g / \sum_x a`

.. math:: \partial p(x) / \partial r'(y) = w'_i [a(x) 1_{x = y} - a(x) a(y) / \textstyle\sum a],
          \qquad \partial u_i / \partial r'(y) = w'_i a(y) (g(y) - \bar g).

Without payments g = w_i rm_i: the factor of Theorem B.2, since t = (rm_i - mean) sum a. Affine
maximizer payments add :math:`\sum_{j \ne i} w_j v_j(p) - D(p)` to the utility, whose slope in p is
:math:`\mu + w_i rm_i - w'_i r'_i` together with the own term, hence g = w_i rm_i - w'_i r'_i: it
vanishes at the truth. `derivative_free_search` takes any mechanism.
Source: Theorem B.2 and Equation (1), arXiv:2405.16276v4; the gradient with payments is our own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import differential_evolution, minimize

from mechanism.attack.games import Game
from mechanism.attack.reports import (
    own_row,
    project_report,
    report_box,
    report_sizes,
    zero_payments,
)
from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max


@dataclass(frozen=True)
class BestResponse:
    """The best report that a search found.

    Attributes
    ----------
    game : RLHFGame or CandidateGame
        The true game.
    group : int
        The group that deviates.
    report : RLHFGame or CandidateGame
        The game as reported.
    gain : float
        True utility after the report less true utility after the truth, reward units.
    evaluations : int
        Games on which the mechanism was run.
    method : str
        Name of the search.
    """

    game: Game
    group: int
    report: Game
    gain: float
    evaluations: int
    method: str


def utility_gradient(game: RLHFGame, reported: RLHFGame, i: int, payments: bool = True) -> Floats:
    """Slope (..., m) of group i's true utility in its reported reward, at the reported game(s).

    Parameters
    ----------
    game, reported : RLHFGame
        The truth (one game), and what is reported (leading axes allowed).
    i : int
        The group that reports.
    payments : bool
        With affine maximizer payments, or with none.

    Examples
    --------
    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    >>> utility_gradient(game, game, 0, payments=False)
    array([ 0.25, -0.25])
    >>> float(abs(utility_gradient(game, game, 0)).max())
    0.0
    """
    return _slope(game, reported, i, payments, np.asarray(sw_max(reported), dtype=np.float64))


def _slope(game: RLHFGame, reported: RLHFGame, i: int, payments: bool, policy: Floats) -> Floats:
    with np.errstate(all="ignore"):  # ratios of tiny numbers: what is not finite moves nothing
        a = reported.reference / reported.divergence.d2f(policy / reported.reference)
    a = np.where((policy > 0) & np.isfinite(a), a, 0.0)
    size = reported.sizes[..., i, None]
    g = game.sizes[i] * own_row(game, i) - (size * own_row(reported, i) if payments else 0.0)
    total = a.sum(axis=-1, keepdims=True)
    mean = (a * g).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1.0)
    return np.asarray(size * a * (g - mean))


def gradient_search(
    game: RLHFGame,
    i: int,
    payments: bool = True,
    sizes: ArrayLike | None = None,
    starts: int = 16,
    steps: int = 60,
    seed: int = 0,
) -> BestResponse:
    """Projected gradient ascent on the utility over all rewards of the domain and all `sizes`.

    All starts and sizes climb together as one batch, each with its own step length (longer after a
    rise, shorter after a fall). Under the maximum normalisation the domain is a union of m faces,
    each searched by itself (`starts` is raised to m, up to m = 64).
    Cost: (steps + 1) x starts x len(sizes) games.

    Raises
    ------
    InvalidInputError
        A batch of games, or a divergence whose rule has no slope (total variation).

    Examples
    --------
    >>> from mechanism import KL
    >>> game = RLHFGame([[0.7, 0.3], [0.4, 0.6]], [2, 3], [0.5, 0.5], KL(1.0), "summation")
    >>> gradient_search(game, 0, payments=False).report.rewards[0]
    array([1., 0.])
    >>> gradient_search(game, 0).gain < 1e-12
    True
    """
    _check_single(game)
    if not (isinstance(game, RLHFGame) and game.divergence.strictly_convex):
        fix = "use derivative_free_search"
        raise InvalidInputError("game", type(game).__name__, "its rule has no gradient", fix)
    grid = report_sizes(game, i) if sizes is None else np.atleast_1d(as_floats("sizes", sizes))
    rewards, faces = _starts(np.random.default_rng(seed), game, i, starts)
    starts = len(rewards)
    rewards, faces = np.tile(rewards, (len(grid), 1)), np.tile(faces, len(grid))
    reported_sizes, pace = np.repeat(grid, starts), np.full(len(rewards), 0.3)

    def evaluate(rows: Floats) -> tuple[Floats, Floats]:
        reported = game.with_report(i, reward=rows, size=reported_sizes)
        policy = np.asarray(sw_max(reported), dtype=np.float64)
        own = game.sizes[i] * game.valuations(policy)[..., i]
        # the pivot term is the same for all reports, so welfare is utility up to a constant
        value = game.welfare(policy) if payments else own
        return np.asarray(value), _slope(game, reported, i, payments, policy)

    value, slope = evaluate(rewards)
    for _ in range(steps):
        length = np.abs(slope).max(axis=-1)
        move = (pace / np.where(length > 0, length, 1.0))[:, None] * slope
        proposal = project_report(game, i, rewards + move, faces)
        new_value, new_slope = evaluate(proposal)
        up = new_value > value
        value = np.where(up, new_value, value)
        rewards = np.where(up[:, None], proposal, rewards)
        slope = np.where(up[:, None], new_slope, slope)
        pace = pace * np.where(up, 1.5, 0.3)
    best = int(value.argmax())
    report = game.with_report(i, reward=rewards[best], size=reported_sizes[best])
    mechanism = Mechanism.affine_maximizer() if payments else Mechanism(sw_max, zero_payments)
    method = f"projected gradient, {starts} starts x {len(grid)} sizes"
    return BestResponse(
        game, i, report, _gain(mechanism, game, report, i), (steps + 1) * len(rewards), method
    )


def _starts(
    rng: np.random.Generator, game: RLHFGame, i: int, starts: int
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    """Rows (starts, m) and their faces (starts,): random, but the last is the truth itself."""
    own, m = own_row(game, i), game.outcomes
    if game.normalization == "maximum":
        starts = max(starts, min(m, 64))
    low, high = report_box(game, own)
    rows = low + (high - low) * rng.random((starts, m))
    rows[-1] = own
    order = np.argsort(-own, kind="stable")
    faces = order[np.arange(starts) % m]
    faces[-1] = order[0]
    return project_report(game, i, rows, faces), faces


def derivative_free_search(
    game: Game,
    i: int,
    mechanism: Mechanism,
    sizes: ArrayLike | None = None,
    budget: int = 400,
    seed: int = 0,
) -> BestResponse:
    """Search for a gainful report under any mechanism, called on one game at a time.

    Continuous games: scipy's differential evolution over (reward, size) with about two thirds of
    `budget`, then Nelder-Mead on the reward at the best size. Candidate games: what matters of a
    report is which candidate wins and what is paid, so reports are structured (see
    `candidate_reports`), crossed with all sizes in random order. Cost: about `budget` runs of the
    mechanism, one by one; about 0.1 s with the paper's mechanism and 400 runs.

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.7, 1.0]], [1, 1])
    >>> derivative_free_search(game, 0, Mechanism(sw_max, zero_payments)).gain
    0.4
    """
    _check_single(game)
    grid = report_sizes(game, i) if sizes is None else np.atleast_1d(as_floats("sizes", sizes))
    rng = np.random.default_rng(seed)
    if isinstance(game, CandidateGame):
        return _structured_search(game, i, mechanism, grid, budget, rng)
    own, count = own_row(game, i), 0
    truth = float(mechanism.utilities(game, game)[i])

    def decode(z: Floats) -> RLHFGame:
        size = grid[min(int(z[-1] * len(grid)), len(grid) - 1)]
        return game.with_report(i, reward=_decode_row(game, own, z[:-1]), size=size)

    def loss(z: Floats) -> float:
        nonlocal count
        count += 1
        return truth - float(mechanism.utilities(game, decode(z))[i])

    population = max(5, min(budget // 12, 4 * (game.outcomes + 1)))
    first = rng.random((population, game.outcomes + 1))
    first[0, :-1] = _encode_row(game, own)
    first[0, -1] = (np.searchsorted(grid, game.sizes[i]) + 0.5) / len(grid)
    unit = [(0.0, 1.0)] * (game.outcomes + 1)
    rounds = max(1, 2 * budget // (3 * population) - 1)
    found = differential_evolution(
        loss, unit, init=np.clip(first, 0.0, 1.0), maxiter=rounds, polish=False, tol=0, seed=seed
    )
    last = found.x[-1:]
    polish = minimize(
        lambda z: loss(np.concatenate([z, last])),
        found.x[:-1],
        method="Nelder-Mead",
        bounds=unit[:-1],
        options={"maxfev": max(1, budget - count)},
    )
    best = found.x if found.fun <= polish.fun else np.concatenate([polish.x, last])
    report = decode(best)
    method = "differential evolution + Nelder-Mead"
    return BestResponse(game, i, report, _gain(mechanism, game, report, i), count + 1, method)


def candidate_reports(
    rng: np.random.Generator, game: CandidateGame, i: int, random: int = 20
) -> Floats:
    """Structured reports (K, k): each candidate alone, each raised, own values scaled, random."""
    own, k = own_row(game, i), game.candidates
    low, high = report_box(game, own)
    one = np.eye(k, dtype=bool)
    scaled = low + np.array([0.25, 0.5, 0.75])[:, None] * (own - low)
    rows = [own[None], np.where(one, high, low), np.where(one, high, own), np.where(one, low, own)]
    return np.concatenate([*rows, scaled, low + (high - low) * rng.random((random, k))])


def _structured_search(
    game: CandidateGame,
    i: int,
    mechanism: Mechanism,
    grid: Floats,
    budget: int,
    rng: np.random.Generator,
) -> BestResponse:
    rows = candidate_reports(rng, game, i)
    order = rng.permutation(len(rows) * len(grid))[: max(1, budget - 1)]
    truth = float(mechanism.utilities(game, game)[i])
    best, gain = game, 0.0
    for pair in order:
        report = game.with_report(i, reward=rows[pair // len(grid)], size=grid[pair % len(grid)])
        found = float(mechanism.utilities(game, report)[i]) - truth
        best, gain = (report, found) if found > gain else (best, gain)
    return BestResponse(game, i, best, gain, len(order) + 1, "structured reports x sizes")


def _decode_row(game: RLHFGame, own: Floats, z: Floats) -> Floats:
    if game.normalization is None:
        low, high = report_box(game, own)
        return np.asarray(low + (high - low) * z)
    row = z if z.max() > 1e-9 else np.ones_like(z)
    return row / (row.sum() if game.normalization == "summation" else row.max())


def _encode_row(game: RLHFGame, own: Floats) -> Floats:
    if game.normalization is None:
        low, high = report_box(game, own)
        return (own - low) / (high - low)
    return own / own.max()


def _gain(mechanism: Mechanism, game: Game, report: Game, i: int) -> float:
    after, before = mechanism.utilities(game, report), mechanism.utilities(game, game)
    return float(after[i] - before[i])


def _check_single(game: Game) -> None:
    if game.batch_shape != ():
        fix = "search one game at a time"
        raise InvalidInputError("game", f"batch {game.batch_shape}", "must be one game", fix)
