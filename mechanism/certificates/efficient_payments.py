"""The two heuristics: IR for both, DSIC of the second by solver; the first's failure in balls."""

from flint import arb, ctx

from mechanism.certificates.proof import Proof, prove, reals


def prove_heuristics() -> tuple[Proof, Proof, Proof]:
    """IR of both heuristics, payments >= 0 of the first, DSIC of the second; delta-optimal models.

    F, R: models released after truth and report; K: the model in the pivot term. a is
    w_i v(.; rm_i) under the true type and b is ASW_-i.

    >>> [proof.proved for proof in prove_heuristics()]
    [True, True, True]
    """
    a_f, a_r, a_k, b_f, b_r, b_k, delta = reals("a_F a_R a_K b_F b_R b_K delta")
    pay, pay_r, u, u_r, pivot_r = reals("pay pay_R u u_R pivot_R")
    common = {
        "payment": pay == b_k - b_f,
        "utility": u == a_f - pay,
        "delta >= 0": delta >= 0,
    }
    ir = {
        "F is delta-optimal against K in ASW": a_f + b_f >= a_k + b_k - delta,
        "rewards >= 0": a_k >= 0,
        **common,
    }
    sign = {"K is the best of checkpoints that hold F": b_k >= b_f, **common}
    dsic = {
        "F is delta-optimal against R in ASW": a_f + b_f >= a_r + b_r - delta,
        "payment of the report": pay_r == pivot_r - b_r,
        "utility of the report": u_r == a_r - pay_r,
        "stopping does not look at the report": pivot_r == b_k,
        **common,
    }
    return (
        prove("heuristic-1", "IR of both: u >= -delta", ir, u >= -delta),
        prove("heuristic-1", "payment >= 0", sign, pay >= 0),
        prove("heuristic-2", "DSIC: u_R - u <= delta", dsic, u_r - u <= delta),
    )


def certify_exaggeration(digits: int = 40) -> arb:
    """Ball for the gain of the report (1, 1, 0) in `exaggeration_witness` under Heuristic 1.

    rm_1 = (1, 1, 1/2), rm_2 = (0, 0, 1), sizes 2, q = (1, 3, 1)/5, KL(1/4). After the report nobody
    pays and p = q, so u = 2 (4/5 + 1/10) = 9/5. After the truth the payment is >= 0 (the final
    model is a checkpoint), so that u <= 2 v(p).

    >>> bool(certify_exaggeration() > 0.7)
    True
    """
    ctx.dps = digits
    top = 4 * arb(1) / 5 * arb(8).exp()  # q e^{S/lam} with S = (2, 2, 3), lam = 1/4
    third = arb(1) / 5 * arb(12).exp()
    p = third / (top + third)
    return arb(9) / 5 - 2 * (1 - p + p / 2)


def certify_negative_payment(digits: int = 40) -> arb:
    """Ball for the payment of group 1 in `agreement_witness` under Heuristic 2, stopped half-way.

    q = (1/2, 1/2), lam = 2; without group 1 the total reward is (4, 0), stopped at (2, 0); the
    released model has (5, 0).

    >>> bool(certify_negative_payment() < 0)
    True
    """
    ctx.dps = digits
    return _others(arb(1)) - _others(arb(5) / 2)


def _others(tilt: arb) -> arb:
    """ASW_-1 = 4 p - 2 KL(p || 1/2) at p = 1/(1 + e^-tilt)."""
    p = 1 / (1 + (-tilt).exp())
    entropy = p * (2 * p).log() + (1 - p) * (2 * (1 - p)).log()
    return 4 * p - 2 * entropy
