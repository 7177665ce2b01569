r"""Payments from one training: each group's size is shrunk at random, and the price follows.

With probability mu, whatever is reported and whatever befalls the others, group i counts with a
random share :math:`s_i` of its size. One model p is trained, for :math:`\sum_i s_i w_i\,rm_i`.
Group i pays its own reported value :math:`w_i v_i(p)` and, where it was shrunk, gets a multiple of
that value back (`Lottery.rebate`). In expectation truth is optimal in reward and size.
Source: Babaioff, Kleinberg and Slivkins (2015), here for models in place of allocations; the bound
on welfare with a divergence, and the guess that lowers the variance, are our own.
"""

from mechanism.theorems.one_training.check import (
    LotteryTable,
    check_one_run,
    lottery_table,
    price_by_potentials,
    welfare_slack,
)
from mechanism.theorems.one_training.climb import climb
from mechanism.theorems.one_training.curve import CurvePayment, curve_payment, exact_curve
from mechanism.theorems.one_training.lottery import (
    Expected,
    Lottery,
    OneRun,
    expect,
    expected_loss,
    expected_utility,
    model_at,
    payments_of,
    run_once,
    shrunk,
)
from mechanism.theorems.one_training.quadrature import graded_edges, integrate

__all__ = [
    "CurvePayment",
    "Expected",
    "Lottery",
    "LotteryTable",
    "OneRun",
    "check_one_run",
    "climb",
    "curve_payment",
    "exact_curve",
    "expect",
    "expected_loss",
    "expected_utility",
    "graded_edges",
    "integrate",
    "lottery_table",
    "model_at",
    "payments_of",
    "price_by_potentials",
    "run_once",
    "shrunk",
    "welfare_slack",
]
