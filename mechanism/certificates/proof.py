"""Steps of proofs that use optimality alone, as small systems for the solver z3.

A step is a list of named hypotheses over free reals and a conclusion. The solver shows that the
hypotheses and the negated conclusion have no solution ("unsat"): the step is proved for every game
at once. Then hypotheses are deleted one by one while the rest stays unsatisfiable; each that cannot
be deleted comes with a solution of the system without it.
"""

from dataclasses import dataclass
from typing import Any

import z3  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Counterexample:
    """Numbers that meet all hypotheses but one and break the conclusion."""

    without: str
    numbers: dict[str, str]


@dataclass(frozen=True)
class Proof:
    """What the solver said about one step.

    Attributes
    ----------
    claim, step : str
        The claim's id, and what is concluded.
    verdict : str
        "unsat": proved. Anything else: not proved.
    core : tuple of str
        Hypotheses of which none can be left out.
    unused : tuple of str
        Hypotheses that the step does not need.
    counterexamples : tuple of Counterexample
        One for each member of the core.
    """

    claim: str
    step: str
    verdict: str
    core: tuple[str, ...]
    unused: tuple[str, ...]
    counterexamples: tuple[Counterexample, ...]

    @property
    def proved(self) -> bool:
        """Whether the step is proved and no member of the core can be dropped."""
        return self.verdict == "unsat" and len(self.counterexamples) == len(self.core)


def prove(claim: str, step: str, hypotheses: dict[str, Any], conclusion: Any) -> Proof:
    """Prove one step, minimise its hypotheses, and refute every smaller set.

    >>> x = z3.Real("x")
    >>> prove("demo", "x > 0", {"x > 1": x > 1, "x < 9": x < 9}, x > 0).core
    ('x > 1',)
    """
    verdict, _ = _solve(hypotheses, conclusion)
    if verdict != "unsat":
        return Proof(claim, step, verdict, (), tuple(hypotheses), ())
    core = dict(hypotheses)
    for name in hypotheses:
        fewer = {key: value for key, value in core.items() if key != name}
        if _solve(fewer, conclusion)[0] == "unsat":
            core = fewer
    examples = []
    for name in core:
        fewer = {key: value for key, value in core.items() if key != name}
        answer, numbers = _solve(fewer, conclusion)
        if answer == "sat":
            examples.append(Counterexample(name, numbers))
    unused = tuple(name for name in hypotheses if name not in core)
    return Proof(claim, step, verdict, tuple(core), unused, tuple(examples))


def _solve(hypotheses: dict[str, Any], conclusion: Any) -> tuple[str, dict[str, str]]:
    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(*hypotheses.values(), z3.Not(conclusion))
    answer = str(solver.check())
    if answer != "sat":
        return answer, {}
    model = solver.model()
    names = sorted(model.decls(), key=str)
    return answer, {str(name): str(model[name]) for name in names}


def reals(names: str) -> list[Any]:
    """Free reals from a string of names.

    >>> reals("a b")
    [a, b]
    """
    return list(z3.Reals(names))


def within(value: Any, bound: Any) -> Any:
    """|value| <= bound.

    >>> within(z3.Real("x"), 1)
    And(x <= 1, x >= -1)
    """
    return z3.And(value <= bound, value >= -bound)
