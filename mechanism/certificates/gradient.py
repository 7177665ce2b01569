"""Certificates for Theorems 4.3 and B.2: gains in ball arithmetic, one step of the proof by z3.

Games are given by fractions. An interval that lies above 0 proves the gain of that one game.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import z3  # type: ignore[import-untyped]

Row = Sequence[Fraction]
F = Fraction
BITS = 200


@dataclass(frozen=True)
class Instance:
    """A game of rational numbers with a report of group 1.

    Attributes
    ----------
    rewards : sequence of rows
        rm_1, rm_2, ... of fractions.
    sizes : sequence of int
        Group sizes.
    reference : sequence of Fraction
        Initial model.
    report : sequence of Fraction
        What group 1 reports in place of rm_1.
    """

    rewards: Sequence[Row]
    sizes: Sequence[int]
    reference: Row
    report: Row


THIRDS = (F(1, 3), F(1, 3), F(1, 3))
INSTANCES = {
    "case 1, raise": Instance(
        ((F(1), F(4, 5), F(0)), (F(0), F(1, 2), F(1))), (1, 1), THIRDS, (F(1), F(1), F(0))
    ),
    "case 1, lower": Instance(
        ((F(1), F(1, 5), F(0)), (F(0), F(1, 2), F(1))), (1, 1), THIRDS, (F(1), F(0), F(0))
    ),
    "case 2": Instance(
        ((F(9, 10), F(1, 10), F(0)), (F(1, 3), F(1, 3), F(1, 3))), (1, 1), THIRDS,
        (F(1), F(0), F(0)),
    ),
    "case 3": Instance(
        ((F(1, 2), F(1, 2), F(0)), (F(1, 3), F(1, 3), F(1, 3))), (1, 1),
        (F(3, 10), F(1, 10), F(3, 5)), (F(3, 5), F(2, 5), F(0)),
    ),
    "no condition: a equal": Instance(
        ((F(1, 2), F(1, 2), F(0)), (F(1, 3), F(1, 3), F(1, 3))), (1, 1),
        (F(1, 5), F(1, 5), F(3, 5)), (F(3, 5), F(2, 5), F(0)),
    ),
}  # fmt: skip
KNIFE = Instance(  # reverse KL, lam = 1: p = (1/2, 1/4, 1/4) and t(x2) = 0, exactly
    ((F(1), F(4, 5), F(0)), (F(2, 3), F(1, 5), F(1))), (1, 1), THIRDS, (F(1), F(1), F(0))
)


def _arb(x: Fraction) -> Any:
    return flint.arb(flint.fmpq(x.numerator, x.denominator))


def _totals(instance: Instance, own: Row) -> list[Fraction]:
    rows = [own, *instance.rewards[1:]]
    return [
        sum((w * row[x] for w, row in zip(instance.sizes, rows, strict=True)), F(0))
        for x in range(len(own))
    ]


def kl_model(instance: Instance, own: Row) -> list[Any]:
    """SW-Max model under KL with lam = 1 as balls: p proportional to q exp(S).

    >>> model = kl_model(INSTANCES["case 2"], INSTANCES["case 2"].report)
    >>> sum(model).contains(1)
    True
    """
    mass = [_arb(q) * _arb(s).exp()
            for q, s in zip(instance.reference, _totals(instance, own), strict=True)]  # fmt: skip
    total = sum(mass)
    return [a / total for a in mass]


def reverse_kl_model(instance: Instance, own: Row) -> list[Any]:
    """SW-Max model under reverse KL with lam = 1: p = q / (mu - S), mu by certified bisection.

    Exact fractions decide every step, so that mu lies in a true bracket.

    >>> [round(float(p), 6) for p in reverse_kl_model(KNIFE, KNIFE.rewards[0])]
    [0.5, 0.25, 0.25]
    """
    totals = _totals(instance, own)
    low, high = max(totals), max(totals) + 1
    for _ in range(60):
        middle = (low + high) / 2
        mass = sum(q / (middle - s) for q, s in zip(instance.reference, totals, strict=True))
        low, high = (middle, high) if mass > 1 else (low, middle)
    mu = _arb(low).union(_arb(high))
    return [_arb(q) / (mu - _arb(s)) for q, s in zip(instance.reference, totals, strict=True)]


def gain(instance: Instance, model: Any = kl_model) -> Any:
    """Ball that holds group 1's gain w_1 (v_1 after the report - v_1 at the truth).

    >>> bool(gain(INSTANCES["case 1, raise"]) > 0)
    True
    """
    before = flint.ctx.prec
    flint.ctx.prec = BITS
    try:
        truth, moved = model(instance, instance.rewards[0]), model(instance, instance.report)
        terms = [(b - a) * _arb(r)
                 for a, b, r in zip(truth, moved, instance.rewards[0], strict=True)]  # fmt: skip
        return instance.sizes[0] * sum(terms)
    finally:
        flint.ctx.prec = before


def force_step() -> dict[str, z3.BoolRef]:
    """Hypotheses of case 3 and the negated conclusion a1 t1 > a2 t2, over free reals."""
    a1, a2, total, mean, r1, r2 = z3.Reals("a1 a2 total mean r1 r2")
    t1, t2 = r1 * total - mean, r2 * total - mean
    return {
        "t(x1) > 0": t1 > 0,
        "rm(x1) >= rm(x2)": r1 >= r2,
        "a(x1) > a(x2)": a1 > a2,
        "a(x2) > 0": a2 > 0,
        "sum a > 0": total > 0,
        "not a1 t1 > a2 t2": a1 * t1 <= a2 * t2,
    }


def verdict(assertions: dict[str, z3.BoolRef]) -> str:
    """z3's answer to the conjunction, "sat", "unsat" or "unknown".

    >>> verdict(force_step())
    'unsat'
    """
    solver = z3.Solver()
    solver.set("timeout", 5000)
    solver.add(*assertions.values())
    return str(solver.check())


def minimal_core(assertions: dict[str, z3.BoolRef]) -> tuple[str, ...]:
    """Names of a core that stays unsat and of which no member can be left out."""
    core = dict(assertions)
    for name in assertions:
        rest = {key: value for key, value in core.items() if key != name}
        core = rest if verdict(rest) == "unsat" else core
    return tuple(core)
