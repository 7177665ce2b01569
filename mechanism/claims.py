"""Check the statements: one with a mechanism of your own, or all with their negative controls.

The statements are in `mechanism.statements`. Controls get seeds that the checkers never see. A
budget that is given is a ceiling, and the result says which kinds of games of the claim's scope
were not met within it. A claim's default budget (`Claim.budget`) is what meeting all of them takes.
"""

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mechanism import sweeps
from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Sampler
from mechanism.attack.outputs import checker
from mechanism.attack.spending import DEFAULT
from mechanism.attack.user_rules import checked_mechanism, checked_sampler
from mechanism.controls.attempts import attempt
from mechanism.core.errors import InvalidInputError, check_whole
from mechanism.core.payments import Mechanism
from mechanism.statements import CLAIMS, DEFINITIONS, Claim
from mechanism.sweeps import Where

__all__ = ["CLAIMS", "DEFINITIONS", "Claim", "Verdict", "check", "examine", "noticed", "run"]
TWO_JOBS = Where(jobs=2)
CONTROL_SEED = 1_000_003  # added to the seed, so that controls draw games that no checker sees


@dataclass(frozen=True)
class Verdict:
    """A claim with its result, its controls (name -> noticed), and the seconds that both took."""

    claim: Claim
    result: ClaimResult
    controls: dict[str, bool]
    seconds: float
    budget: int

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds of games of the claim's scope in which nothing was compared."""
        return self.result.coverage.missing(self.claim.scope)

    @property
    def ok(self) -> bool:
        """The claim holds and every control was noticed; from the default budget on, no gap."""
        complete = not self.missing or self.budget < self.claim.budget
        return self.result.status == "holds" and complete and all(self.controls.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `mechanism claims --json` prints them."""
        result, claim = self.result, self.claim
        return {
            "id": claim.id,
            "status": result.status,
            "margin": float(result.margin),
            "tolerance": float(result.tolerance),
            "trials": int(result.trials),
            "comparisons": int(result.comparisons),
            "tolerance_from": result.origin,
            "budget": self.budget,
            "coverage": result.coverage.as_dict(),
            "missing": list(self.missing),
            "origin": claim.origin,
            "controls": [{"name": k, "noticed": v} for k, v in self.controls.items()],
            "seconds": round(self.seconds, 2),
            "oracle_gap": float(result.oracle_gap),
            "statement": claim.statement,
            "assumptions": list(claim.assumptions),
            "chapter": claim.chapter,
            "test": claim.test,
        }


def check(
    claim_id: str,
    mechanism: Mechanism | None = None,
    games: str | Sampler = "rlhf",
    budget: int | None = None,
    seed: int = 0,
) -> ClaimResult:
    """Check one claim.

    Parameters
    ----------
    claim_id : str
    mechanism : Mechanism, optional
        Checked in place of the paper's; called on one game at a time.
    games : "rlhf", "candidate" or callable
        Where games come from; a callable takes a `numpy.random.Generator` and returns a game.
    budget : int, optional
        Most evaluations of the mechanism, `Claim.least` or more: a ceiling. No work is begun that
        does not fit; only integrals (claims of `INTEGRALS`), whose cost shows at their end, may
        pass it by one. None: the claim's default, at which its scope is covered.
    seed : int
        Seed of games and searches, >= 0.

    Returns
    -------
    ClaimResult
        Margin, tolerance and its origin, comparisons, witness and the gap to the slow oracle;
        `status` is the verdict. Printed, it says what was covered, and `missing` which kinds of
        games of the claim's scope were not: "holds" means that no violation was found in those
        that were, and no more. What a rule returns is looked at first: a model that is no
        distribution, or payments that are not n finite numbers, are "violated", for every claim;
        the game is the witness and `fault` says what came back.

    Raises
    ------
    InvalidInputError
        Unknown id, budget below the claim's least, a mechanism or sampler where the claim is about
        none, a rule that is no function, or a sampler that returns no game.

    Examples
    --------
    >>> check("def-3.2", budget=200).status
    'holds'
    """
    check_arguments([claim_id], budget, seed)
    claim = CLAIMS[claim_id]
    function = checker(claim_id)(claim.function())
    accepts = inspect.signature(function).parameters
    runs = claim.budget if budget is None else int(budget)
    arguments: dict[str, Any] = {"budget": runs, "seed": int(seed)}
    if mechanism is not None:
        mechanism = checked_mechanism(mechanism)
        if "mechanism" in accepts:
            arguments["mechanism"] = mechanism
        elif "training_rule" in accepts:
            arguments["training_rule"] = mechanism.training_rule
        else:
            fix = "leave mechanism out"
            raise InvalidInputError("mechanism", mechanism, f"{claim_id} is about none", fix)
    games = games if isinstance(games, str) else checked_sampler(games)
    if games != "rlhf":
        if "games" not in accepts:
            fix = 'leave games out, or "rlhf"'
            raise InvalidInputError("games", games, f"{claim_id} draws games of its own", fix)
        arguments["games"] = games
    result = function(**arguments)
    scoped = games == "rlhf" and not result.fault
    return replace(result, missing=result.coverage.missing(claim.scope)) if scoped else result


def check_arguments(ids: Sequence[str], budget: int | None, seed: int) -> None:
    """Raise unless all `ids` are claims, `budget` suffices for each, and `seed` is one."""
    for name in ids:
        if isinstance(name, str) and name in DEFINITIONS:
            about = ", ".join(DEFINITIONS[name].assumptions)
            raise InvalidInputError("claim_id", name, "is a definition", f"check {about}")
        if not isinstance(name, str) or name not in CLAIMS:
            fix = f"one of {', '.join(CLAIMS)}"
            raise InvalidInputError("claim_id", repr(name), "is not a claim", fix)
        least = CLAIMS[name].least
        rule = f"must be a whole number, at least {least} for {name}"
        if budget is not None:
            check_whole("budget", budget, least, rule, f"e.g. {CLAIMS[name].budget}")
    check_whole("seed", seed, 0, "must be a whole number in 0..2^31 - 1", "e.g. 0")


def noticed(
    control: Callable[[int, int], ClaimResult], seed: int, budget: int = DEFAULT, least: int = 1
) -> bool:
    """Whether a control comes back violated within the budget: see `attempt`."""
    return attempt(control, seed, budget, least).status == "violated"


def examine(budget: int | None, seed: int, part: tuple[str, str | None]) -> tuple[Any, float]:
    """Run the checker of a claim, or one of its controls on unseen seeds; also return seconds.

    The checker gives a `ClaimResult`, a control whether it was noticed.
    """
    name, control = part
    start, claim = time.perf_counter(), CLAIMS[name]
    runs = claim.budget if budget is None else int(budget)
    if control is None:
        found: Any = check(name, budget=runs, seed=seed)
    else:
        function = claim.controls()[control]
        found = noticed(function, seed + CONTROL_SEED, runs, claim.least)
    return found, time.perf_counter() - start


def run(
    ids: Sequence[str] = (), budget: int | None = None, seed: int = 0, where: Where = TWO_JOBS
) -> Iterator[Verdict]:
    """Verdicts on the named claims (none named: all), in the order in which they come in.

    `budget` is a ceiling for each; None: each claim's own default.
    """
    ids = list(dict.fromkeys(ids)) or list(CLAIMS)
    check_arguments(ids, budget, seed)
    wanted = {name: [None, *CLAIMS[name].controls()] for name in ids}
    parts = [(name, part) for name, all_parts in wanted.items() for part in all_parts]
    parts.sort(key=lambda part: part[1] is not None)  # short ones last, to end all jobs together
    found: dict[str, dict[str | None, tuple[Any, float]]] = {name: {} for name in ids}
    for k, outcome in sweeps.run(partial(examine, budget, seed), parts, where):
        name, part = parts[k]
        found[name][part] = outcome
        if len(found[name]) == len(wanted[name]):
            yield _verdict(name, {part: found[name][part] for part in wanted[name]}, budget)


def _verdict(name: str, parts: dict[str | None, tuple[Any, float]], budget: int | None) -> Verdict:
    """Put the parts of a claim together."""
    result, _ = parts[None]
    controls = {control: found for control, (found, _) in parts.items() if control}
    seconds, claim = sum(part[1] for part in parts.values()), CLAIMS[name]
    return Verdict(claim, result, controls, seconds, claim.budget if budget is None else budget)
