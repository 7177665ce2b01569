"""Ball-arithmetic certificates of the chapter on payment equivalence (python-flint)."""

from fractions import Fraction
from typing import Any

import flint

BITS = 200


def _ball(x: Fraction | int) -> Any:
    return flint.arb(flint.fmpq(Fraction(x).numerator, Fraction(x).denominator))


def kl_modulus_reached(change: Fraction, lam: Fraction) -> Any:
    """|p' - p| - tanh(D / (2 lam)) in the game of `payment_equivalence.swap_game`: a ball round 0.

    >>> bool(kl_modulus_reached(Fraction(1, 2), Fraction(3, 10)).contains(0))
    True
    """
    flint.ctx.prec = BITS
    tilt = _ball(change / lam)  # (S_1 - S_2) / lam is -D / lam before and D / lam after
    before, after = 1 / (1 + tilt.exp()), 1 / (1 + (-tilt).exp())
    return after - before - (tilt / 2).tanh()


def kl_paper_factor(change: Fraction, lam: Fraction) -> Any:
    """Paper's modulus over the sharp one, (exp(2 D / lam) - 1) / tanh(D / (2 lam)); above 4.

    >>> bool(kl_paper_factor(Fraction(1, 1000), Fraction(1)) > 4)
    True
    """
    flint.ctx.prec = BITS
    tilt = _ball(change / lam)
    return (2 * tilt).expm1() / (tilt / 2).tanh()


def size_gap_floor(
    others: list[Fraction], reference: list[Fraction], lam: Fraction, low: int, high: int
) -> Any:
    r"""Lower bound on every Bregman gap between sizes `low` and `high`, min-max rewards, KL.

    For min-max rewards the exponents of the two models differ by at least (high - low) / lam on
    some pair (x, y), so that the gap, lam KL(p_a || p_b), is at least lam M [log(1 - pi + pi e^d) -
    pi d] with M = p_a(x) + p_a(y) and pi = p_a(x) / M: concave in pi, so least at an end of its
    range. A positive ball proves that a fee of that height on one size keeps every group truthful.

    >>> third = [Fraction(1, 3)] * 3
    >>> bool(size_gap_floor([Fraction(0)] * 3, third, Fraction(1), 1, 2) > 0)
    True
    """
    flint.ctx.prec = BITS
    m, step = len(reference), _ball(Fraction(high - low) / lam)
    base = [_ball(q) * _ball(s / lam).exp() for q, s in zip(reference, others, strict=True)]
    least = None
    for size in (low, high):
        spread = _ball(Fraction(size) / lam).exp()
        for x in range(m):
            for y in range(m):
                if x == y:
                    continue
                rest = sum((base[z] for z in range(m) if z not in (x, y)), flint.arb(0))
                pair = base[x] + base[y]
                mass = pair / (pair + rest * spread)
                for odds in (base[x] / base[y] / spread, base[x] / base[y] * spread):
                    pi = odds / (1 + odds)
                    gap = _ball(lam) * mass * ((1 - pi + pi * step.exp()).log() - pi * step)
                    least = gap if least is None or bool(gap < least) else least
    return least
