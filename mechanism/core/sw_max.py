r"""The SW-Max training rule: :math:`\psi = \arg\max_p \sum_i w_i E_p[rm_i] - D_f(p\|q)`.

Exact for every named divergence: closed form for KL, mass transfer for total variation, and
Newton's method on the one multiplier of condition OPT for the rest. `solve` certifies the result by
a dual gap whose conjugates are written down independently of the inverses that made the policy.
Source: Definition 4.1, arXiv:2405.16276v4.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mechanism.core import multiplier, newton
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.generator import Divergence
from mechanism.core.groups import Model, check_game
from mechanism.core.multiplier import Root
from mechanism.core.products import dot
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.tensors import TensorCandidates, TensorGame
from mechanism.core.validation import broadcast_batch


@dataclass(frozen=True)
class SWMaxSolution:
    """An optimal model and its certificate.

    Attributes
    ----------
    policy : ndarray, shape (..., m)
        The optimum; sums to 1.
    value : ndarray, shape (...)
        ASW(policy), reward units.
    multiplier : ndarray, shape (...)
        mu of condition OPT: sum_i w_i rm_i(x) - f'(p(x)/q(x)) = mu wherever p(x) > 0.
    dual_gap : ndarray, shape (...)
        Upper bound on (greatest possible ASW) - value, by Fenchel duality at `multiplier`; as
        computed, so correct up to rounding, about 1e-15 (max |S| + lam).
    iterations : ndarray of int, shape (...)
        Newton steps; 1 for closed forms.
    """

    policy: Floats
    value: Floats
    multiplier: Floats
    dual_gap: Floats
    iterations: NDArray[np.int_]


@overload
def sw_max(game: RLHFGame | CandidateGame) -> Model: ...
@overload
def sw_max(game: TensorGame | TensorCandidates) -> Any: ...
def sw_max(game: Any) -> Any:
    """Model that the SW-Max rule trains: a policy (..., m), or the index of a candidate (...).

    Ties: for a divergence that is strictly convex there are none. Under total variation an outcome
    stays where staying and moving tie, and equally good best outcomes share what arrives in
    proportion to the initial model. Of equally good candidates the first is chosen.

    The value is within 1e-12 (max |S| + lam) of the optimum (S = sum_i w_i rm_i).

    >>> from mechanism import KL
    >>> sw_max(RLHFGame([[1.0, 0.0]], [2], [0.5, 0.5], KL(1.0))).round(4)
    array([0.8808, 0.1192])
    """
    if isinstance(game, TensorGame | TensorCandidates):
        return game.policy()
    check_game(game)
    if isinstance(game, CandidateGame):
        return np.asarray(np.argmax(game.scores(), axis=-1))[()]
    return _solve_blocks(game.scores(), game.reference, game.divergence, overwrite=True)[0]


def optimal_policies(
    scores: Floats, reference: Floats, divergence: Divergence
) -> tuple[Floats, Floats]:
    """Maximisers p (..., m) and values (...) of <S, p> - D_f(p || q) for scores S (..., m)."""
    policy, slope, _, _ = _solve_blocks(scores, reference, divergence)
    best = scores.max(axis=-1)
    cost = None
    if isinstance(divergence, KL):  # lam log sum q exp(S/lam), which is mu + lam
        value = best + divergence.lam * (1.0 - slope)
    else:
        cost = divergence.value_of(policy, reference)
        value = dot(scores, policy) - cost
    flat = best - scores.min(axis=-1) <= divergence.flat * divergence.lam
    if np.any(flat):  # where lam would multiply the rounding of mu, or max S that of the sum of p
        cost = divergence.value_of(policy, reference) if cost is None else cost
        value = np.where(flat, best - dot(best[..., None] - scores, policy) - cost, value)
    return policy, value


def solve(game: RLHFGame) -> SWMaxSolution:
    """Run the SW-Max rule and certify it; see `SWMaxSolution`.

    >>> from mechanism import ChiSquared
    >>> solution = solve(RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], ChiSquared(1.0)))
    >>> solution.policy, bool(solution.dual_gap < 1e-15)
    (array([0.625, 0.375]), True)
    """
    if not isinstance(game, RLHFGame):
        fix = "use sw_max(game) for candidates"
        raise InvalidInputError("game", type(game).__name__, "must be an RLHFGame", fix)
    scores = game.scores()
    policy, slope, deficit, iterations = _solve_blocks(scores, game.reference, game.divergence)
    lam, best = game.divergence.lam, scores.max(axis=-1)
    with np.errstate(over="ignore"):  # f' at the optimum may be beyond float64, at tiny references
        mu = np.asarray(best - lam * slope)[()]
    return SWMaxSolution(
        policy=policy,
        value=game.welfare_of(policy),
        multiplier=mu,
        dual_gap=_dual_gap(game, scores, policy, slope, deficit),
        iterations=iterations,
    )


def _dual_gap(
    game: RLHFGame, scores: Floats, policy: Floats, slope: Floats, deficit: Floats
) -> Floats:
    """lam sum_x [q phi*(y) + q phi(p/q) - p y] at y = t - d: each term is >= 0 (Fenchel-Young)."""
    divergence, reference = game.divergence, game.reference
    with np.errstate(all="ignore"):
        gaps = (scores.max(axis=-1, keepdims=True) - scores) / divergence.lam
        y = slope[..., None] - gaps
        conjugate = divergence._conjugate(y, deficit[..., None] + gaps)
        primal = divergence._perspective(policy, reference)
        total = (reference * conjugate + primal - policy * y).sum(axis=-1)
        flat = gaps.max(axis=-1) <= divergence.flat
        if np.any(flat):
            total = np.where(flat, _flat_gap(divergence, gaps, policy, reference), total)
        return np.maximum(divergence.lam * total, 0.0)[()]


def _flat_gap(divergence: Divergence, gaps: Floats, policy: Floats, reference: Floats) -> Floats:
    """The same sum with both conjugates as series: sum q phi''(1) (error of p/q)^2 / 2."""
    if divergence.curvatures is None:
        return np.zeros(np.broadcast_shapes(gaps.shape, reference.shape)[:-1])
    c2 = divergence.curvatures[0]
    excess = (policy - reference) / reference
    slope = c2 * excess + divergence.curvatures[1] * excess**2 / 2
    error = slope + gaps  # the multiplier, at every outcome, where p is optimal
    error = error - dot(reference, error)[..., None]
    return dot(reference, error**2) / (2 * c2)


def _solve_blocks(
    scores: Floats, reference: Floats, divergence: Divergence, overwrite: bool = False
) -> tuple[Floats, Floats, Floats, NDArray[np.int_]]:
    """Solve all games, block by block: policies (..., m), slopes, deficits, iterations (...).

    With `overwrite` the policies may take the place of the scores, which spares their pages.
    """
    m = scores.shape[-1]
    batch = broadcast_batch(scores.shape[:-1], reference.shape[:-1])
    rows = _as_rows(scores, batch)
    alone = reference.size == m < rows.size  # one initial model for all games
    shared = np.broadcast_to(reference.reshape(1, m), rows.shape) if alone else None
    references = _as_rows(reference, batch) if shared is None else shared
    policy = rows if overwrite and batch == scores.shape[:-1] else np.empty(rows.shape)
    height = max(1, multiplier.BLOCK // m)
    with np.errstate(all="ignore"):
        if 0 < len(rows) <= height:
            root = _solve_block(divergence, rows, references, policy)
            slope, deficit, iterations = root.slope, root.deficit, root.iterations
        else:
            slope, deficit = np.empty(len(rows)), np.empty(len(rows))
            iterations = np.empty(len(rows), dtype=int)
            for start in range(0, len(rows), height):
                block = slice(start, start + height)
                root = _solve_block(divergence, rows[block], references[block], policy[block])
                slope[block], deficit[block] = root.slope, root.deficit
                iterations[block] = root.iterations
        if divergence.steep:  # what underflows to 0 would cost infinitely much
            np.maximum(policy, np.finfo(float).tiny, out=policy)
    shaped = slope.reshape(batch), deficit.reshape(batch), iterations.reshape(batch)
    return policy.reshape(*batch, m), *shaped


def _as_rows(array: Floats, batch: tuple[int, ...]) -> Floats:
    """Rows (B, m) of an array (..., m), repeated over a batch that it lacks."""
    m = array.shape[-1]
    whole = array if array.shape[:-1] == batch else np.broadcast_to(array, (*batch, m))
    return whole.reshape(-1, m)


def _solve_block(divergence: Divergence, scores: Floats, references: Floats, out: Floats) -> Root:
    """Solve rows (B, m) of scores, into `out`, which may be the scores themselves.

    Games that hardly move the initial model have a way of their own.
    """
    spread, near = divergence.flat * divergence.lam, None
    flat = np.abs(scores[:, 0] - scores[:, -1]) <= spread  # two outcomes settle nearly every game
    if flat.any() and (flat := np.ptp(scores, axis=-1) <= spread).any():
        gaps = _gaps(divergence, scores[flat], np.empty((flat.sum(), scores.shape[-1])))
        near = multiplier.near_reference(gaps, references[flat], divergence)
    root = find_root(divergence, _gaps(divergence, scores, out), references)
    if root.policy is not out:
        out[...] = root.policy
    if near is not None:
        out[flat], root.slope[flat], root.deficit[flat] = near.policy, near.slope, near.deficit
        root.iterations[flat] = 1
    return root


def _gaps(divergence: Divergence, scores: Floats, out: Floats) -> Floats:
    """Write d = (max S - S) / lam >= 0 into `out`."""
    best, lam = scores.max(axis=-1, keepdims=True), divergence.lam
    if divergence.strictly_convex:
        newton.turn(scores, best, 1.0 / lam, out)
    else:  # to the last bit, since ties decide where mass goes
        multiplier.in_pieces(
            lambda piece, gaps: np.divide(np.subtract(best, piece, out=gaps), lam, out=gaps),
            scores, out,
        )  # fmt: skip
    return out


@singledispatch
def find_root(divergence: Divergence, gaps: Floats, reference: Floats) -> Root:
    """Policies and multipliers for rows of gaps d = (max S - S)/lam; one solver a family."""
    return multiplier.any_generator(gaps, reference, divergence)


@find_root.register
def _(divergence: KL, gaps: Floats, reference: Floats) -> Root:
    return multiplier.closed_form(gaps, reference)


@find_root.register
def _(divergence: TotalVariation, gaps: Floats, reference: Floats) -> Root:
    return multiplier.transfer(gaps, reference)


@find_root.register
def _(divergence: ChiSquared, gaps: Floats, reference: Floats) -> Root:
    gaps *= 0.5
    z, policy, count = multiplier.positive_part_equation(gaps, reference, 1.0)
    return Root(policy, 2.0 * (z - 1.0), np.full(z.shape, np.inf), count)


@find_root.register
def _(divergence: ReverseKL, gaps: Floats, reference: Floats) -> Root:
    delta, policy, count = multiplier.power_equation(reference, gaps, 1.0)
    return Root(policy, -delta, delta, count)


@find_root.register
def _(divergence: SquaredHellinger, gaps: Floats, reference: Floats) -> Root:
    delta, policy, count = multiplier.power_equation(reference, gaps, 2.0)
    return Root(policy, 1.0 - delta, delta, count)


@find_root.register
def _(divergence: JensenShannon, gaps: Floats, reference: Floats) -> Root:
    # p/q = 1/expm1(tau + d); with omega = expm1(tau) this is e^-d / (omega + 1 - e^-d)
    falls = np.negative(gaps, out=gaps)
    weights = np.exp(falls)
    weights *= reference
    offsets = np.negative(np.expm1(falls, out=falls), out=falls)
    omega, policy, count = multiplier.power_equation(weights, offsets, 1.0)
    tau = np.log1p(omega)
    return Root(policy, np.log(2.0) - tau, tau, count)


@find_root.register
def _(divergence: Alpha, gaps: Floats, reference: Floats) -> Root:
    α = divergence.alpha
    if α == 1:
        root = multiplier.closed_form(gaps, reference)
        return Root(root.policy, root.slope - 1.0, root.deficit, root.iterations)
    power = 1.0 / abs(α - 1.0)
    gaps *= abs(α - 1.0)
    if α < 1:
        delta, policy, count = multiplier.power_equation(reference, gaps, power)
        return Root(policy, power * (1.0 - delta), power * delta, count)
    z, policy, count = multiplier.positive_part_equation(gaps, reference, power)
    return Root(policy, power * (z - 1.0), np.full(z.shape, np.inf), count)
