"""Proposition 4.4 for every game at once: DSIC, IR and payments >= 0 from optimality alone.

Free reals: for the models T (truth told), R (some report) and O (trained without i), a_T, a_R, a_O
stand for w_i v(.; rm_i) under the true type, b_T, b_R, b_O for ASW_-i(.).
"""

from mechanism.certificates.proof import Proof, prove, reals


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
