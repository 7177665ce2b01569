"""Lemmas D.1 and D.2 and Theorem 4.12 by solver; the tightness of their constant in balls."""

from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx

from mechanism.certificates.proof import Proof, prove, reals, within


def prove_lemma_d_1() -> tuple[Proof, Proof, Proof]:
    """|E_p d| <= M from |d(x)| <= M: one outcome, one more outcome, all of them (induction).

    s is the sum of p(x) d(x) over the outcomes so far, c that of p(x), and cM, pM, pd products.

    >>> [proof.proved for proof in prove_lemma_d_1()]
    [True, True, True]
    """
    p, d, m, pd, pm, s, cm, c = reals("p d M pd pM s cM c")
    term = {
        "p(x) >= 0": p >= 0,
        "d(x) <= M": d <= m,
        "d(x) >= -M": d >= -m,
        "M >= 0": m >= 0,
    }
    step = {
        "so far: s <= cM": s <= cm,
        "so far: s >= -cM": s >= -cm,
        "this outcome: pd <= pM": pd <= pm,
        "this outcome: pd >= -pM": pd >= -pm,
    }
    end = {
        "s <= c M": s <= c * m,
        "s >= -c M": s >= -c * m,
        "probabilities sum to 1": c == 1,
        "M >= 0": m >= 0,
    }
    both = prove("lemma-D.1", "one outcome: |p d| <= p M", term, within(p * d, p * m))
    more = prove("lemma-D.1", "one more: |s + pd| <= cM + pM", step, within(s + pd, cm + pm))
    return both, more, prove("lemma-D.1", "all: |s| <= M", end, within(s, m))


def prove_lemma_d_2() -> Proof:
    """ASW(psi(noisy)) >= ASW(psi(true)) - 2 E, with E = eps sum w from Lemma D.1.

    T and N are the models trained on true and on noisy rewards; A is ASW under true rewards, H
    under noisy ones.

    >>> len(prove_lemma_d_2().core)
    3
    """
    a_t, a_n, h_t, h_n, e = reals("A_T A_N H_T H_N E")
    hypotheses = {
        "psi(noisy) is optimal for noisy rewards": h_n >= h_t,
        "psi(true) is optimal for true rewards": a_t >= a_n,
        "D.1 at T from below": h_t >= a_t - e,
        "D.1 at T from above": h_t <= a_t + e,
        "D.1 at N from below": h_n >= a_n - e,
        "D.1 at N from above": h_n <= a_n + e,
        "E >= 0": e >= 0,
    }
    return prove("lemma-D.2", "A_N >= A_T - 2 E", hypotheses, a_n >= a_t - 2 * e)


def prove_thm_4_12() -> tuple[Proof, Proof, Proof]:
    """Gain <= 2 w_i eps + delta; and what IR loses: w_i eps if noisy rewards stay >= 0, else twice.

    One draw of the others' noisy inputs; T, R: models after truth and report; O: without i.
    a is w_i v(.; rm_i) at the true reward, h at i's noisy one, b is ASW_-i at the others' noisy
    ones, e is w_i eps.

    >>> [proof.proved for proof in prove_thm_4_12()]
    [True, True, True]
    """
    a_t, a_r, a_o, h_t, h_r, h_o = reals("a_T a_R a_O h_T h_R h_O")
    b_t, b_r, b_o, e, delta = reals("b_T b_R b_O e delta")
    pay_t, pay_r, pivot_t, pivot_r, u_t, u_r = reals("pay_T pay_R pivot_T pivot_R u_T u_R")
    common = {
        "payment after the truth": pay_t == pivot_t - b_t,
        "utility after the truth": u_t == a_t - pay_t,
        "noise at T at most eps": h_t <= a_t + e,
        "noise at T at least -eps": h_t >= a_t - e,
        "delta >= 0": delta >= 0,
        "eps >= 0": e >= 0,
    }
    gain = {
        "psi(noisy truth) is delta-optimal against R": h_t + b_t >= h_r + b_r - delta,
        "noise at R at least -eps": h_r >= a_r - e,
        "noise at R at most eps": h_r <= a_r + e,
        "payment after the report": pay_r == pivot_r - b_r,
        "utility after the report": u_r == a_r - pay_r,
        "others' noise does not follow the report": pivot_r == pivot_t,
        **common,
    }
    ir = {
        "psi(noisy truth) is delta-optimal against O": h_t + b_t >= h_o + b_o - delta,
        "pivot term is ASW_-i(psi(others))": pivot_t == b_o,
        **common,
    }
    signed = {**ir, "noise at O at least -eps": h_o >= a_o - e, "rewards >= 0": a_o >= 0}
    positive = {**ir, "noisy rewards >= 0": h_o >= 0}
    return (
        prove("thm-4.12", "u_R - u_T <= 2 e + delta", gain, u_r - u_t <= 2 * e + delta),
        prove("thm-4.12", "IR, any noise: u_T >= -2 e - delta", signed, u_t >= -2 * e - delta),
        prove("thm-4.12", "IR, noisy rewards >= 0: u_T >= -e - delta", positive, u_t >= -e - delta),
    )


@dataclass(frozen=True)
class BallTightness:
    """Certified balls for one KL game of two outcomes with q = (1/2, 1/2) and lam = 1.

    Attributes
    ----------
    gain : arb
        ASW at the true optimum less ASW at the noisy one: what the misreport wins.
    share : arb
        gain / (2 w eps).
    slack : arb
        2 w eps - gain.
    """

    gain: arb
    share: arb
    slack: arb


def certify_kl_tightness(spread: Fraction, gap: Fraction, digits: int = 40) -> BallTightness:
    """Ball for the loss of a game with S(x1) - S(x2) = gap when noise takes `spread` off the gap.

    G = C(gap) - C(gap - spread) - spread p(x1), with C(s) = log((e^s + 1)/2).

    >>> ball = certify_kl_tightness(Fraction(500), Fraction(495))
    >>> bool(ball.slack > 0), bool(ball.share > 0.98)
    (True, True)
    """
    ctx.dps = digits
    t, s = _arb(spread), _arb(gap)
    after = s - t
    p = after.exp() / (after.exp() + 1)
    gain = (s.exp() + 1).log() - (after.exp() + 1).log() - t * p
    return BallTightness(gain, gain / t, t - gain)


def _arb(x: Fraction) -> arb:
    return arb(x.numerator) / arb(x.denominator)
