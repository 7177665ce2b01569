"""Theorem 4.11 and Corollary 4.13 by solver, their witness in ball arithmetic."""

from fractions import Fraction

from flint import arb, ctx

from mechanism.certificates.proof import Proof, prove, reals, within


def prove_thm_4_11_lower() -> Proof:
    """Pay >= 0 everywhere and payment equivalence imply pay_i >= pay_i^AFF.

    t is any type of group i, c the type with the constant reward model; O, C: models trained
    without i and with c; b is ASW_-i.

    >>> prove_thm_4_11_lower().proved
    True
    """
    pay_t, pay_c, aff_t, aff_c, g, b_o, b_c = reals("pay_t pay_c aff_t aff_c g b_O b_C")
    hypotheses = {
        "payment equivalence at t": pay_t == aff_t + g,
        "payment equivalence at c": pay_c == aff_c + g,
        "payments >= 0 at c": pay_c >= 0,
        "payments >= 0 at t": pay_t >= 0,
        "affine payment of c": aff_c == b_o - b_c,
        "c trains the model of the others": b_c == b_o,
        "affine payments >= 0 at t": aff_t >= 0,
    }
    return prove("thm-4.11-lower", "pay_t >= pay_t^AFF", hypotheses, pay_t >= aff_t)


def prove_cor_4_13() -> tuple[Proof, Proof]:
    """Upper half of Theorem 4.11 and the sandwich |pay - pay^AFF| <= eps at the witness.

    k is the witness type (reward (1, 0), size 1), t any type; a_k = v(psi; rm_k), and b is ASW_-i
    at the models trained with k and without i.

    >>> [proof.proved for proof in prove_cor_4_13()]
    [True, True]
    """
    pay_t, pay_k, pay_c, aff_t, aff_k, aff_c, g, eps = reals(
        "pay_t pay_k pay_c aff_t aff_k aff_c g eps"
    )
    a_k, b_k, b_o, u_k = reals("a_k b_k b_O u_k")
    hypotheses = {
        "payment equivalence at t": pay_t == aff_t + g,
        "payment equivalence at k": pay_k == aff_k + g,
        "payment equivalence at c": pay_c == aff_c + g,
        "payments >= 0 at c": pay_c >= 0,
        "affine payment of c is 0": aff_c == 0,
        "utility of k": u_k == a_k - pay_k,
        "IR at k": u_k >= 0,
        "affine payment of k": aff_k == b_o - b_k,
        "psi(others) beats psi(k) in ASW_-i": b_o >= b_k,
        "k gets x1 with chance at most eps": a_k <= eps,
        "eps > 0": eps > 0,
    }
    upper = prove("thm-4.11-upper", "pay_t <= pay_t^AFF + eps", hypotheses, pay_t <= aff_t + eps)
    both = within(pay_t - aff_t, eps)
    return upper, prove("cor-4.13", "|pay_t - pay_t^AFF| <= eps", hypotheses, both)


def certify_room(epsilon: Fraction, lam: Fraction, groups: int, digits: int = 40) -> arb:
    """Ball for eps - u_1 at the witness under KL: lam log(sum q e^{S/lam} / sum q e^{S_-1/lam}).

    >>> bool(certify_room(Fraction(1, 10), Fraction(1), 2) > 0)
    True
    """
    ctx.dps = digits
    eps, strength = _arb(epsilon), _arb(lam)
    first, rest = (1 / strength).exp(), (arb(groups - 1) / strength).exp()
    with_one = eps * first + (1 - eps) * rest
    without = eps + (1 - eps) * rest
    return eps - strength * (with_one / without).log()


def certify_one_group(lam: Fraction, q: Fraction, digits: int = 40) -> arb:
    """Ball for u_1 of a group alone under squared Hellinger, initial model (q, 1 - q), type (1, 0).

    A lower bound: the welfare of one model, p(x1) = 1 - lam^2, which bounds the best from below.

    >>> bool(certify_one_group(Fraction(1, 4), Fraction(1, 10**9)) > 0.5625)
    True
    """
    ctx.dps = digits
    strength, first = _arb(lam), _arb(q)
    p = 1 - strength**2
    overlap = (p * first).sqrt() + ((1 - p) * (1 - first)).sqrt()
    return p - strength * (2 - 2 * overlap)


def _arb(x: Fraction) -> arb:
    return arb(x.numerator) / arb(x.denominator)
