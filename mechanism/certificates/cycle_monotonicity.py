"""Certificates of the chapter on cycle monotonicity: ball arithmetic, and z3 for Proposition E.2.

The rules' models of a small KL game are enclosed by the duality gap: any weights give an upper
bound on the optimum, a policy a lower one, and the objective is lam-strongly concave in total
variation (Pinsker's inequality).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import z3  # type: ignore[import-untyped]

from mechanism.core.divergences import KL
from mechanism.core.normalization import Normalization
from mechanism.core.rlhf_game import RLHFGame
from mechanism.theorems.cycle_monotonicity import RULES, RuleName

BITS = 200


def _ball(x: Fraction | int | float) -> Any:
    exact = Fraction(x)
    return flint.arb(flint.fmpq(exact.numerator, exact.denominator))


@dataclass(frozen=True)
class Enclosure:
    """A policy in balls, and a certified bound on its L1 distance from the rule's model."""

    policy: list[Any]
    distance: Any


def enclose(
    rule: RuleName, rewards: list[list[Fraction]], reference: list[Fraction], lam: Fraction
) -> Enclosure:
    """Enclose the model of Nash social welfare or MaxMin-RLHF: two groups of size 1, KL."""
    flint.ctx.prec = BITS
    rows = np.array(rewards, dtype=np.float64)
    q = np.array(reference, dtype=np.float64)
    model = RULES[rule](RLHFGame(rows, np.ones(2), q, KL(float(lam))))
    v = rows @ model
    if rule == "nash":
        weights = [_ball(float(1 / x)) for x in v]
    else:  # fit log(p/q) = theta r / lam + constant on the two outcomes where it is best resolved
        logs = float(lam) * np.log(model / q) - rows[0]
        gap = rows[1] - rows[0]
        a, b = int(gap.argmin()), int(gap.argmax())
        θ = _ball(float(np.clip((logs[b] - logs[a]) / (gap[b] - gap[a]), 0, 1)))
        weights = [1 - θ, θ]
    scores = [
        sum((w * _ball(r[x]) for w, r in zip(weights, rewards, strict=True)), flint.arb(0))
        for x in range(len(reference))
    ]
    raised = [_ball(p) * (s / _ball(lam)).exp() for p, s in zip(reference, scores, strict=True)]
    total = sum(raised, flint.arb(0))
    policy = [p / total for p in raised]
    values = [
        sum((p * _ball(x) for p, x in zip(policy, r, strict=True)), flint.arb(0)) for r in rewards
    ]
    gained = sum((w * v for w, v in zip(weights, values, strict=True)), flint.arb(0))
    if rule == "nash":  # dual - primal = sum of theta v - log(theta v) - 1
        gap_ball = sum(
            (w * v - (w * v).log() - 1 for w, v in zip(weights, values, strict=True)), flint.arb(0)
        )
    else:
        gap_ball = gained - values[0].min(values[1])
    gap_ball = gap_ball.upper().max(flint.arb(0))
    return Enclosure(policy, (2 * gap_ball / _ball(lam)).sqrt())


def certified_cycle(
    rule: RuleName,
    types: list[list[Fraction]],
    other: list[Fraction],
    reference: list[Fraction],
    lam: Fraction,
) -> Any:
    """Ball that holds the length of the cycle through `types`, in order; below 0: proved violated.

    >>> all(bool(witness.certify() < 0) for witness in WITNESSES)
    True
    """
    models = [enclose(rule, [t, other], reference, lam) for t in types]
    total = flint.arb(0)
    for j, before in enumerate(models):
        k = (j + 1) % len(types)
        for r, a, b in zip(types[k], before.policy, models[k].policy, strict=True):
            total += _ball(r) * (b - a)
        slack = (before.distance + models[k].distance).upper() * _ball(max(types[k]))
        total += flint.arb(0, slack)
    return total


@dataclass(frozen=True)
class CycleWitness:
    """A KL game of two groups and three outcomes, and two reports of group 1: all in tenths."""

    rule: RuleName
    normalization: Normalization
    types: tuple[tuple[int, ...], ...]
    other: tuple[int, ...]
    reference: tuple[Fraction, ...]
    lam: Fraction

    def certify(self) -> Any:
        """Enclose the cycle's length."""
        rows = [[Fraction(x, 10) for x in row] for row in (*self.types, self.other)]
        return certified_cycle(self.rule, rows[:-1], rows[-1], list(self.reference), self.lam)


_THIRDS = (Fraction(1, 3),) * 3
WITNESSES = (
    CycleWitness("nash", "summation", ((0, 1, 9), (5, 0, 5)), (0, 7, 3), _THIRDS, Fraction(1, 10)),
    CycleWitness(
        "nash", "maximum", ((10, 2, 6), (10, 4, 10)), (0, 10, 6), _THIRDS, Fraction(1, 50)
    ),
    CycleWitness(
        "maxmin", "summation", ((0, 10, 0), (3, 5, 2)), (5, 5, 0), _THIRDS, Fraction(1, 10)
    ),
    CycleWitness(
        "maxmin", "maximum", ((10, 8, 2), (10, 10, 0)), (0, 8, 10), _THIRDS, Fraction(1, 10)
    ),
)


@dataclass(frozen=True)
class Proof:
    """What z3 said: unsat of hypotheses and negated conclusion, a minimal core, and its test.

    Attributes
    ----------
    proved : bool
        Whether hypotheses and negated conclusion are unsatisfiable over the reals.
    core : tuple of str
        A minimal unsatisfiable core; dropping any member leaves a satisfiable system.
    each_needed : bool
        Whether dropping each member of the core gave `sat`.
    """

    proved: bool
    core: tuple[str, ...]
    each_needed: bool


Named = dict[str, Any]


def prove(hypotheses: Named, negated: Any) -> Proof:
    """Refute hypotheses and negated conclusion; shrink the core by leaving out one at a time."""
    named = dict(hypotheses) | {"negated conclusion": negated}
    core = list(named)
    if _satisfiable(named, core):
        return Proof(False, (), False)
    for name in list(core):
        rest = [other for other in core if other != name]
        if not _satisfiable(named, rest):
            core = rest
    needed = all(_satisfiable(named, [o for o in core if o != name]) for name in core)
    return Proof(True, tuple(core), needed)


def _satisfiable(named: Named, names: list[str]) -> bool:
    solver = z3.Solver()
    for name in names:
        solver.add(named[name])
    answer = solver.check()
    if answer == z3.unknown:
        raise RuntimeError("z3 gave up")
    return bool(answer == z3.sat)


def _lengths(k: int) -> dict[tuple[int, int], Any]:
    return {(a, b): z3.Real(f"l{a}{b}") for a in range(k) for b in range(k) if a != b}


def implementable_is_monotone(k: int) -> Proof:
    """k = 2 or 3 types: truthful payments imply that the cycle 0, 1, ..., k - 1 is not negative.

    >>> implementable_is_monotone(2).core
    ('truth at 1 against 0', 'truth at 0 against 1', 'negated conclusion')
    """
    length, pay = _lengths(k), [z3.Real(f"pay{a}") for a in range(k)]
    truth = {f"truth at {b} against {a}": pay[b] - pay[a] <= length[a, b] for a, b in length}
    cycle = sum(length[a, (a + 1) % k] for a in range(k))
    return prove(truth, cycle < 0)


def monotone_is_implementable(k: int) -> list[Proof]:
    """k = 2 or 3 types: if no cycle is negative, V from type 0 satisfies each truth constraint.

    V is written as the least of all paths without repetition; one proof for each pair of types.
    """
    length = _lengths(k)
    cycles: Named = {
        f"cycle {a}{b}": length[a, b] + length[b, a] >= 0
        for a in range(k) for b in range(a + 1, k)
    }  # fmt: skip
    if k == 3:
        cycles["cycle 012"] = length[0, 1] + length[1, 2] + length[2, 0] >= 0
        cycles["cycle 021"] = length[0, 2] + length[2, 1] + length[1, 0] >= 0
    pay: list[Any] = [z3.RealVal(0)]
    for b in range(1, k):
        direct, through = length[0, b], 3 - b
        detour = length[0, through] + length[through, b] if k == 3 else direct
        pay.append(z3.If(direct <= detour, direct, detour))
    return [prove(cycles, pay[b] - pay[a] > length[a, b]) for a, b in length]
