r"""The one multiplier of the SW-Max problem, for each shape that the optimality condition takes.

With :math:`s = S/\lambda` and gaps :math:`d = \max s - s \ge 0`, the optimum of
:math:`\max_p \langle s, p\rangle - \sum q\varphi(p/q)` is
:math:`p = q\,(\varphi')^{-1}(t - d)`, where the slope t at the best outcome makes p sum to 1
(condition OPT of the paper, in units of lam).
Every solver takes rows `gaps` and `reference` of shape (B, m) and returns a `Root`, an equation its
root (B,), policies and steps; both may overwrite the gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechanism.core import newton
from mechanism.core.errors import Floats
from mechanism.core.generator import Divergence
from mechanism.core.products import dot

BLOCK = 1 << 15  # numbers that a block of games, or a piece of a large one, may hold
FULL = 1.0 - 1e-9  # mass below which a row is short
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Root:
    """Policies (B, m), top slope t, its deficit from the slope limit (B,), iterations (B,)."""

    policy: Floats
    slope: Floats
    deficit: Floats
    iterations: NDArray[np.int_]


def in_pieces(action: Callable[..., None], *rows: Floats) -> None:
    """Apply `action` to slices of columns that stay in cache, for games of very many outcomes."""
    count, m = rows[0].shape
    width = max(1, BLOCK // max(1, count))
    if m <= width:
        return action(*rows)
    for start in range(0, m, width):
        action(*(array[:, start : start + width] for array in rows))


def closed_form(gaps: Floats, reference: Floats) -> Root:
    """KL: p proportional to q exp(-d), in log space where products could underflow."""
    logs = np.log(reference) - gaps if reference.min(initial=1.0) < 1e-280 else None
    if logs is not None:  # the best outcome may be so rare that another with exp(-d) = 0 matters
        gaps, peak = logs.max(axis=-1, keepdims=True) - logs, logs.max(axis=-1, keepdims=True)

    policy, total = gaps, np.zeros((len(gaps), 1))

    def weigh(piece: Floats, mass: Floats) -> None:
        np.exp(np.negative(piece, out=piece), out=piece)
        if logs is None:
            total[...] += newton.weigh(piece, mass)
        else:
            total[...] += piece.sum(axis=-1, keepdims=True)

    in_pieces(weigh, policy, reference)
    policy *= 1.0 / total
    log_total = np.log(total) if logs is None else np.log(total) + peak
    return _root(policy, 1.0 - log_total, np.full_like(log_total, np.inf))


def near_reference(gaps: Floats, reference: Floats, divergence: Divergence) -> Root:
    r"""Solve games whose gaps are tiny, so that p/q is near 1, by the series of phi at 1.

    p/q - 1 is written down itself: a strength of 1e300 must not multiply the rounding of p/q.
    Where phi has no series at 1 (total variation: a kink) the initial model is the optimum.
    """
    top = divergence._df(np.ones((len(gaps), 1)))
    if divergence.curvatures is None:
        return _root(reference.copy(), top, divergence.slope_limit - top)
    c2, c3, c4 = divergence.curvatures
    one, two, three = 1 / c2, -c3 / (2 * c2**3), (3 * c3**2 - c2 * c4) / (6 * c2**5)

    def excess(y: Floats) -> Floats:
        return np.asarray(y * (one + y * (two + y * three)))

    mass = reference.sum(axis=-1, keepdims=True)
    above = dot(reference, gaps)[:, None] / mass
    for _ in range(2):
        above = above - dot(reference, excess(above - gaps))[:, None] / (one * mass)
    top = top + above
    policy = reference + reference * excess(above - gaps)
    return _root(policy, top, divergence.slope_limit - top)


def transfer(gaps: Floats, reference: Floats) -> Root:
    """Total variation: all mass with d > 2 moves to the best outcomes, in proportion to q.

    Outcomes with d = 2 exactly, where staying and moving tie, stay.
    """
    leaves = np.greater(gaps, 2.0, out=np.empty_like(gaps))
    moved = dot(reference, leaves)[:, None]
    policy = np.equal(gaps, 0.0, out=gaps)
    policy *= moved / dot(reference, policy)[:, None]
    policy += 1.0
    policy -= leaves
    policy *= reference
    policy /= policy.sum(axis=-1, keepdims=True)
    ones = np.ones((len(gaps), 1))
    return _root(policy, ones, np.zeros_like(ones))


def power_equation(
    weights: Floats, offsets: Floats, power: float
) -> tuple[Floats, Floats, NDArray[np.int_]]:
    r"""Solve :math:`\sum_x a_x (\delta + b_x)^{-c} = 1` for delta > 0, with some b = 0.

    The power mean :math:`(\sum a u^{-c})^{-1/c}` is concave in delta, so Newton from the left
    climbs to the root, and Halley, with the second slope, in fewer steps: each leaves the cube of a
    relative error, times (c + 2)^2 at most, so that a small one shows the next to be exact.
    Reverse KL, Hellinger, Jensen-Shannon, alpha < 1.
    """
    near = 4e-6 / (2.0 + power) ** (2 / 3)
    if at_once := newton.whole(offsets, weights, -power, near):
        delta, policy, total, count = at_once
        best = offsets == 0.0 if (total < FULL).any() else None
        return delta[:, 0], _complete(policy, total, best), count

    def mean(offsets: Floats, weights: Floats, delta: Floats) -> newton.Slopes:
        found = np.zeros((3, *delta.shape))

        def add(offset: Floats, weight: Floats) -> None:
            base = offset + delta
            found[...] += newton.sums(_to_minus(base, power), weight, base)

        in_pieces(add, offsets, weights)
        total, steep, bent = found
        value = total ** (-1.0 / power)
        return value, value * steep / total, 0.5 * (1.0 + power) * (steep / total - bent / steep)

    some = newton.sample(offsets.shape[-1])  # any outcome alone bounds the root, the best one too
    alone = np.power(weights[:, some], 1.0 / power) - offsets[:, some]
    start = np.maximum(alone.max(axis=-1, keepdims=True), _TINY)
    top = _at_best(weights, offsets)
    start = np.maximum(start, top ** (1.0 / power))
    high, rows = np.full(start.shape, 2.0), (offsets, weights, top)
    delta, count = newton.find_roots(mean, rows, -power, start, start, high, near)
    policy, total = offsets, np.zeros(delta.shape)

    def fill(piece: Floats, weight: Floats) -> None:
        np.multiply(weight, _to_minus(np.add(piece, delta, out=piece), power), out=piece)
        total[...] += piece.sum(axis=-1, keepdims=True)

    in_pieces(fill, policy, weights)
    best = None
    if (total < FULL).any():  # the offsets are gone; weights that are 0 tell nothing
        best = (policy == weights * _to_minus(delta, power)) & (weights > 0.0)
    return delta[:, 0], _complete(policy, total, best), np.ravel(count)


def positive_part_equation(
    offsets: Floats, reference: Floats, power: float
) -> tuple[Floats, Floats, NDArray[np.int_]]:
    r"""Solve :math:`\sum_x q_x (z - b_x)_+^k = 1` for z, with some b = 0: chi-squared, alpha > 1.

    For k >= 1 the norm :math:`(\sum q u_+^k)^{1/k}` is convex, so Newton from the right descends to
    the root; at k = 1 it is piecewise linear and Newton ends after finitely many steps, exact.
    """

    def fill(z: Floats, policy: Floats) -> tuple[Floats, Floats]:
        total = np.zeros(z.shape)

        def part(piece: Floats, offset: Floats, mass: Floats) -> None:
            base = np.maximum(np.subtract(z, offset, out=piece), 0.0, out=piece)
            np.multiply(mass, _power(base, power), out=piece)
            total[...] += piece.sum(axis=-1, keepdims=True)

        in_pieces(part, policy, offsets, reference)
        return policy, total

    def settled(z: Floats) -> bool:
        """Whether the last bit of z moves less than 1e-12 of the mass."""
        return power >= 1 and bool(z.max() * power <= 1e3)

    if at_once := newton.whole(offsets, reference, power):
        z, policy, total, count = at_once
    else:
        z, count = _positive_root(offsets, reference, power)
        policy, total = fill(z, offsets if settled(z) else np.empty_like(offsets))
    rough = None if settled(z) else np.abs(total - 1.0) > 1e-12
    policy *= 1.0 / total
    if rough is not None and rough.any():  # mix what both sides of the last bit of z give
        sides = [fill(z * (1.0 + bit), np.empty_like(offsets))[0] for bit in (-1e-15, 1e-15)]
        policy = np.where(rough, _mixed(*sides), policy)
    return z[:, 0], policy, np.ravel(count)


def _positive_root(
    offsets: Floats, reference: Floats, power: float
) -> tuple[Floats, NDArray[np.int_]]:
    """Root z (B, 1) of `positive_part_equation` and steps, without machine code for all of it."""
    best = _at_best(reference, offsets)
    mean_offset = dot(reference, offsets)[:, None]
    all_active = (1.0 + mean_offset) if power == 1 else 1.0 + offsets.max(axis=-1, keepdims=True)
    high = np.minimum(best ** (-1.0 / power), all_active) * (1.0 + 1e-9)

    def norm(offsets: Floats, reference: Floats, z: Floats) -> newton.Slopes:
        total, steep = np.zeros((2, *z.shape))

        def add(offset: Floats, mass: Floats) -> None:
            base = np.subtract(z, offset)
            np.maximum(base, 0.0, out=base)
            if power == 1:
                total[...] += dot(mass, base)[:, None]
                steep[...] += dot(mass, np.greater(base, 0.0, out=base))[:, None]
                return
            first, second, _ = newton.sums(_power(base, power), mass, base)
            total[...] += first
            steep[...] += second

        in_pieces(add, offsets, reference)
        value = total ** (1.0 / power)
        return value, (steep if power == 1 else value * steep / total), 0.0

    start = high if power >= 1 else np.minimum(high, 1.0 + mean_offset)
    low = np.full(high.shape, 0.5)
    return newton.find_roots(norm, (offsets, reference, best), power, start, low, high)


def any_generator(gaps: Floats, reference: Floats, divergence: Divergence) -> Root:
    """Bisect the top slope for a user's own f; the two last policies are mixed to sum to 1.

    The mixture matters where f is not strictly convex: there p jumps, and every mixture is optimal.
    """
    top = np.where(gaps == 0.0, reference, 0.0).sum(axis=-1, keepdims=True)
    ones = np.ones_like(top)
    low, most = divergence._df(ones), divergence._df(1.0 / top)
    high = np.fmin(low + gaps.max(axis=-1, keepdims=True), most)
    low = low - 1e-6 * (1.0 + np.abs(low))
    high = high + 1e-6 * (1.0 + np.abs(high))

    def policy_at(slope: Floats) -> Floats:
        ratio = divergence._df_inverse(slope - gaps)
        return reference * np.nan_to_num(ratio, nan=0.0, posinf=np.finfo(float).max)

    count = 0
    while count < newton.MAX_ITERATIONS:
        count += 1
        middle = (low + high) / 2
        above = policy_at(middle).sum(axis=-1, keepdims=True) >= 1.0
        stuck = (middle <= low) | (middle >= high)
        low = np.where(above | stuck, low, middle)
        high = np.where(above & ~stuck, middle, high)
        if np.all(stuck):
            break
    iterations = np.full((len(gaps), 1), count)
    policy = _mixed(policy_at(low), policy_at(high))
    return _root(policy, low, divergence.slope_limit - low, iterations)


def _at_best(weights: Floats, offsets: Floats) -> Floats:
    """Weight (B, 1) of an outcome whose offset is 0."""
    return weights[np.arange(len(weights)), offsets.argmin(axis=-1)][:, None]


def _power(base: Floats, power: float) -> Floats:
    """base**power by the cheapest ufunc."""
    return base if power == 1 else base**power


def _to_minus(base: Floats, power: float) -> Floats:
    return 1.0 / _power(base, power) if power in (0.5, 1, 2) else np.power(base, -power)


def _complete(policy: Floats, total: Floats, best: NDArray[np.bool_] | None) -> Floats:
    """Make rows sum to 1; what rounding of the multiplier left over goes to the best outcomes.

    Where these are is needed if a row is short.
    """
    if best is not None:
        favoured = best & (total < FULL)
        lack = (1.0 - total) / np.maximum(favoured.sum(axis=-1, keepdims=True), 1)
        policy += np.where(favoured, lack, 0.0)
        total = policy.sum(axis=-1, keepdims=True)
    policy *= 1.0 / total
    return policy


def _mixed(few: Floats, many: Floats) -> Floats:
    """Mix policies with too little and too much mass, on both sides of the root, to sum to 1."""
    many = np.minimum(many, 1.0 + few)  # a ratio jumps to infinity at the slope limit
    missing = 1.0 - few.sum(axis=-1, keepdims=True)
    spread = (many - few).sum(axis=-1, keepdims=True)
    share = np.clip(np.divide(missing, spread, out=np.ones_like(spread), where=spread > 0), 0, 1)
    policy = few + share * (many - few)
    return np.asarray(policy / policy.sum(axis=-1, keepdims=True))


def _root(
    policy: Floats, slope: Floats, deficit: Floats, iterations: NDArray[np.int_] | None = None
) -> Root:
    count = np.ones(len(policy), dtype=int) if iterations is None else np.ravel(iterations)
    return Root(policy, slope[:, 0], deficit[:, 0], count)
