"""Proposition 4.4 for every game at once: DSIC, IR and payments >= 0 from optimality alone.

Free reals: for the models T (truth told), R (some report) and O (trained without i), a_T, a_R, a_O
stand for w_i v(.; rm_i) under the true type, b_T, b_R, b_O for ASW_-i(.).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from flint import arb, ctx, fmpq

from mechanism.certificates.proof import Proof, prove, reals

Row = tuple[Fraction, ...]
BITS = 200
TRUTH: Row = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
OTHER: Row = (Fraction(1, 6), Fraction(1, 6), Fraction(2, 3))
SIZES = (3, 2)
REFERENCE: Row = (Fraction(1, 2), Fraction(1, 4), Fraction(1, 4))


def prove_prop_4_4() -> tuple[Proof, Proof, Proof]:
    """DSIC, IR and payments >= 0 of the affine maximizer mechanism.

    >>> [proof.proved for proof in prove_prop_4_4()]
    [True, True, True]
    """
    a_t, a_r, a_o, b_t, b_r, b_o = reals("a_T a_R a_O b_T b_R b_O")
    pay_t, pay_r, pivot_t, pivot_r, u_t, u_r = reals("pay_T pay_R pivot_T pivot_R u_T u_R")
    hypotheses = {
        "psi(truth) beats psi(report) in ASW": a_t + b_t >= a_r + b_r,
        "psi(truth) beats psi(others) in ASW": a_t + b_t >= a_o + b_o,
        "psi(others) beats psi(truth) in ASW_-i": b_o >= b_t,
        "psi(others) beats psi(report) in ASW_-i": b_o >= b_r,
        "payment of the truth": pay_t == pivot_t - b_t,
        "payment of the report": pay_r == pivot_r - b_r,
        "pivot term is ASW_-i(psi(others))": pivot_t == b_o,
        "pivot term does not depend on the report": pivot_r == pivot_t,
        "utility of the truth": u_t == a_t - pay_t,
        "utility of the report": u_r == a_r - pay_r,
        "rewards >= 0": a_o >= 0,
    }
    return (
        prove("prop-4.4", "DSIC: u_T >= u_R", hypotheses, u_t >= u_r),
        prove("prop-4.4", "IR: u_T >= 0", hypotheses, u_t >= 0),
        prove("prop-4.4", "payment >= 0", hypotheses, pay_t >= 0),
    )


@dataclass(frozen=True)
class GridCertificate:
    """DSIC of one rational game against all reports of a grid.

    Attributes
    ----------
    reports : int
        Reports (reward, size) that were compared with the truth.
    ties : int
        Those that bring about the same model as the truth, so that the margin is 0 exactly.
    least : float
        Certified lower bound of the margin u(truth) - u(report) over all the others.
    """

    reports: int
    ties: int
    least: float


def certify_dsic_grid(steps: int = 12, largest_size: int = 6) -> GridCertificate:
    """Compare truth with every report of the simplex grid 1/`steps` and every size, KL, lam = 1.

    Utilities are w_1 v_1 - pay_1 with both terms of the payment, in balls of 200 bits. Two reports
    have the same model exactly when w rm differs by a constant, which fractions decide.

    >>> certify_dsic_grid(steps=6, largest_size=3).least > 0
    True
    """
    before, ctx.prec = ctx.prec, BITS
    try:
        own = tuple(SIZES[0] * r for r in TRUTH)
        truth, reports, ties, least = _utility(own), 0, 0, arb("inf")
        for row, size in product(_grid(steps), range(1, largest_size + 1)):
            reports += 1
            scores = tuple(size * r for r in row)
            if len({a - b for a, b in zip(scores, own, strict=True)}) == 1:
                ties += 1
            else:
                least = least.min(truth - _utility(scores))
        return GridCertificate(reports, ties, float(least.lower()))
    finally:
        ctx.prec = before


def _grid(steps: int) -> Iterator[Row]:
    for a, b in product(range(steps + 1), repeat=2):
        if a + b <= steps:
            yield Fraction(a, steps), Fraction(b, steps), Fraction(steps - a - b, steps)


def _utility(reported: Row) -> arb:
    """True utility of group 1 after it reports the scores w rm."""
    others = [SIZES[1] * r for r in OTHER]
    policy, _ = _optimum([a + b for a, b in zip(reported, others, strict=True)])
    left = sum((p * _ball(s) for p, s in zip(policy, others, strict=True)), arb(0))
    cost = sum((p * (p / _ball(q)).log() for p, q in zip(policy, REFERENCE, strict=True)), arb(0))
    value = sum((p * _ball(r) for p, r in zip(policy, TRUTH, strict=True)), arb(0))
    return SIZES[0] * value - (_optimum(others)[1] - (left - cost))


def _optimum(scores: list[Fraction]) -> tuple[list[arb], arb]:
    """Model and value of the KL rule: p = q exp(S) / Z, log Z."""
    mass = [_ball(q) * _ball(s).exp() for q, s in zip(REFERENCE, scores, strict=True)]
    total = sum(mass, arb(0))
    return [m / total for m in mass], total.log()


def _ball(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))
