r"""Payments without n further trainings: what Heuristics 1 and 2 keep and what they lose.

Training is modelled by its regularisation path: after a share s of the way the model maximises
:math:`s \sum_i w_i E_p[rm_i] - D_f(p\|q)`; s = 0 is the initial model, s = 1 the optimum. For KL
and a tabular policy this is natural policy gradient, s = 1 - (1 - pace)^steps.
Source: Section 4.4, arXiv:2405.16276v4; the conditions, IR and all witnesses are our own.
"""

from mechanism.theorems.efficient_payments.check import CLEAR, check_heuristic_1, check_heuristic_2
from mechanism.theorems.efficient_payments.heuristics import (
    ROUNDING,
    SHARES,
    Comparison,
    agreement_witness,
    checkpoint_payments,
    compare,
    early_stopped_payments,
    exaggeration_witness,
    gain,
    heuristic_mechanism,
    others_welfare,
    peeking_payments,
    share_after,
    training_path,
)

__all__ = [
    "CLEAR",
    "ROUNDING",
    "SHARES",
    "Comparison",
    "agreement_witness",
    "check_heuristic_1",
    "check_heuristic_2",
    "checkpoint_payments",
    "compare",
    "early_stopped_payments",
    "exaggeration_witness",
    "gain",
    "heuristic_mechanism",
    "others_welfare",
    "peeking_payments",
    "share_after",
    "training_path",
]
