"""Every statement of the paper as a claim: its assumptions, its checker, its margin and witness.

`check` runs one checker, with the paper's mechanism or with one of your own; `run` runs all of them
together with their negative controls, whose seeds the checkers never see.
Source: arXiv:2405.16276v4; the last five are our own; `def-4.1` checks the computation itself.
"""

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from joblib import Parallel, delayed

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Sampler
from mechanism.attack.spending import LEAST
from mechanism.attack.user_rules import checked_mechanism, checked_sampler
from mechanism.core.errors import InvalidInputError, check_whole
from mechanism.core.payments import Mechanism

CONTROL_SEED = 1_000_003  # added to the seed, so that controls draw games that no checker sees


@dataclass(frozen=True)
class Claim:
    """One statement.

    Attributes
    ----------
    id : str
        e.g. ``"thm-4.2-2"``.
    statement : str
        The statement in a line.
    assumptions : tuple of str
        What it asks for.
    chapter : str
        Page of the book, which is also the stem of the test and of the controls.
    checker : str
        ``"module:function"`` under `mechanism.theorems`.
    """

    id: str
    statement: str
    assumptions: tuple[str, ...]
    chapter: str
    checker: str

    @property
    def stem(self) -> str:
        """Name shared by the chapter, its test and its controls."""
        return self.chapter.rsplit("/", 1)[-1]

    @property
    def least(self) -> int:
        """Least budget: what the checker's first piece of work takes, a search or an integral."""
        return LEAST.get(self.id, 50)

    @property
    def test(self) -> str:
        """Test file of the chapter."""
        return f"tests/theorems/test_{self.stem}.py"

    def function(self) -> Callable[..., ClaimResult]:
        """The checker, imported when it is asked for."""
        module, name = self.checker.split(":")
        function: Callable[..., ClaimResult] = getattr(
            import_module(f"mechanism.theorems.{module}"), name
        )
        return function

    def controls(self) -> dict[str, Callable[[int, int], ClaimResult]]:
        """Negative controls by name: each must come back "violated"."""
        module = import_module(f"mechanism.controls.{self.stem}")
        named: dict[str, Callable[[int, int], ClaimResult]] = module.CONTROLS[self.id]
        return named


EXACT = "the rule maximises affine social welfare exactly"
INTERIOR = "the optimum is positive everywhere"
_AFF, _GRAD = "payments/affine_maximizer", "incentives/gradient"
_EQUIVALENCE, _NECESSARY = "payments/payment_equivalence", "payments/necessary_payments"
_NOISE, _CHEAP = "practice/approximate_dsic", "practice/efficient_payments"
_TOGETHER = "practice/coalitions"
_ALL = (
    Claim("def-3.2", "The affine maximizer mechanism is DSIC.", (EXACT,), _AFF,
          "affine_maximizer:check_dsic"),
    Claim("def-3.3", "The affine maximizer mechanism is IR.", (EXACT, "true rewards >= 0"), _AFF,
          "affine_maximizer:check_ir"),
    Claim("def-4.1", "The computed SW-Max rule maximises affine social welfare.",
          ("f convex, f(1) = 0",), "game/sw_max", "sw_max:check_optimality"),
    Claim("thm-4.2-1", "A group with a constant reward model cannot gain by misreporting.",
          ("no payments",), "incentives/misreport", "misreport:check_part_1"),
    Claim("thm-4.2-2", "A group with two reward levels and no zero gains by exaggerating.",
          ("no payments", INTERIOR, "f differentiable"), "incentives/misreport",
          "misreport:check_part_2"),
    Claim("thm-4.3", "Truth is not optimal where any condition of Theorem B.2 holds.",
          ("no payments", INTERIOR, "f twice differentiable, f'' > 0"), _GRAD,
          "gradient:check_thm_4_3"),
    Claim("lemma-B.1", "A strongly convex f gives a continuous rule, modulus 2 D / alpha.",
          ("f strongly convex with modulus alpha",), _EQUIVALENCE,
          "payment_equivalence:check_lemma_B_1"),
    Claim("thm-B.2-1", "Truth is not optimal if t(x1) != 0 for some 0 < rm(x1) < 1.",
          ("maximum normalisation", INTERIOR), _GRAD, "gradient:check_thm_B_2_1"),
    Claim("thm-B.2-2", "Truth is not optimal if t(x1) < 0 for some 0 < rm(x1) < 1.",
          ("summation normalisation", INTERIOR), _GRAD, "gradient:check_thm_B_2_2"),
    Claim("thm-B.2-3", "Truth is not optimal if t(x1) > 0 and a lighter, worse x2 has reward.",
          ("summation normalisation", INTERIOR, "a(x1) > a(x2)"), _GRAD,
          "gradient:check_thm_B_2_3"),
    Claim("prop-4.4", "Affine maximizer payments: DSIC, IR, and no payment is negative.",
          (EXACT, "true rewards >= 0"), _AFF, "affine_maximizer:check_prop_4_4"),
    Claim("prop-4.6", "Sizes public: payments of a rule differ by a term of the others alone.",
          ("both payments are DSIC",), _EQUIVALENCE, "payment_equivalence:check_prop_4_6"),
    Claim("prop-4.8-kl", "The KL rule is continuous, with the modulus of the proof.",
          (EXACT,), _EQUIVALENCE, "payment_equivalence:check_prop_4_8_kl"),
    Claim("prop-4.8-chi2", "The chi-squared rule is continuous, with modulus D / lam.",
          (EXACT, INTERIOR), _EQUIVALENCE, "payment_equivalence:check_prop_4_8_chi2"),
    Claim("thm-4.9", "Payment equivalence, where one report makes the outcome size-blind.",
          ("continuous, implementable rule",), _EQUIVALENCE, "payment_equivalence:check_thm_4_9"),
    Claim("cor-4.10", "SW-Max satisfies payment equivalence in rewards and sizes.",
          ("continuous rule", "the constant report is in the domain"), _EQUIVALENCE,
          "payment_equivalence:check_cor_4_10"),
    Claim("lemma-C.1", "Payment equivalence on connected domains of one-dimensional paths.",
          ("connected domain",), _EQUIVALENCE, "payment_equivalence:check_lemma_C_1"),
    Claim("lemma-C.2", "V(t, t') = -V(t', t) gives payment equivalence, pay(t) - pay(t') = V.",
          ("the two-way cost closes",), _EQUIVALENCE, "payment_equivalence:check_lemma_C_2"),
    Claim("thm-4.11-lower", "DSIC and payments >= 0 imply pay >= affine maximizer payments.",
          ("continuous SW-Max",), _NECESSARY, "necessary_payments:check_thm_4_11_lower"),
    Claim("thm-4.11-upper", "DSIC and IR imply pay <= affine maximizer payments + eps somewhere.",
          ("continuous SW-Max",), _NECESSARY, "necessary_payments:check_thm_4_11_upper"),
    Claim("cor-4.13", "DSIC, IR and payments >= 0: within eps of the affine maximizer payments.",
          ("continuous SW-Max",), _NECESSARY, "necessary_payments:check_cor_4_13"),
    Claim("lemma-D.1", "|v(p; rm) - v(p; rm')| <= max |rm - rm'|.", ("p is a distribution",),
          "practice/approximate_dsic", "rlhf_game:check_lemma_d_1"),
    Claim("lemma-D.2", "ASW after noise eps loses at most 2 eps sum w.", (EXACT,), _NOISE,
          "approximate_dsic:check_lemma_d_2"),
    Claim("thm-4.12", "On inputs with noise eps a misreport gains at most 2 w eps.",
          (EXACT, "the others' noise does not depend on the report"), _NOISE,
          "approximate_dsic:check_thm_4_12"),
    Claim("heuristic-1", "Pivot from own checkpoints: payments >= 0, DSIC not guaranteed.",
          ("the released model is a checkpoint",), _CHEAP, "efficient_payments:check_heuristic_1"),
    Claim("heuristic-2", "Early-stopped pivot: DSIC, payments may be negative.",
          ("stopping is blind to the report",), _CHEAP, "efficient_payments:check_heuristic_2"),
    Claim("prop-E.2", "Implementable if and only if cyclically monotone; then V implements.",
          ("all types of one group",), "practice/cycle_monotonicity",
          "cycle_monotonicity:check_prop_E_2"),
    Claim("false-names", "Splitting a group over like names never raises its payment.", (EXACT,),
          _TOGETHER, "coalitions:check_false_names"),
    Claim("false-names-rate", "m equal names pay at most (w span)^2 / (8 lam m) together.",
          (EXACT, "KL"), _TOGETHER, "coalitions:check_false_names_rate"),
    Claim("collusion", "Two groups can have any candidate for nothing, and gain no more than that.",
          (EXACT, "candidates, any size"), _TOGETHER, "coalitions:check_collusion"),
    Claim("identity-area", "Truthful utility is the area under w v against the share of size.",
          (EXACT, "real sizes"), _AFF, "affine_maximizer:check_identity_area"),
    Claim("one-run", "One training with random shares of size: truthful in expectation.",
          (EXACT, "shares independent of reports and of each other"), "practice/one_training",
          "one_training:check_one_run"),
)  # fmt: skip
CLAIMS: dict[str, Claim] = {claim.id: claim for claim in _ALL}


@dataclass(frozen=True)
class Verdict:
    """A claim with its result, its controls (name -> noticed), and the seconds that both took."""

    claim: Claim
    result: ClaimResult
    controls: dict[str, bool]
    seconds: float

    @property
    def ok(self) -> bool:
        """The claim holds and every control was noticed."""
        return self.result.status == "holds" and all(self.controls.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `mechanism claims --json` prints them."""
        result, claim = self.result, self.claim
        return {
            "id": claim.id,
            "status": result.status,
            "margin": float(result.margin),
            "tolerance": float(result.tolerance),
            "trials": int(result.trials),
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
    budget: int = 2000,
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
    budget : int
        Evaluations of the mechanism, `Claim.least` or more. No work is begun that does not fit;
        integrals (of `INTEGRALS`), whose cost shows at their end, may pass the budget by one.
    seed : int
        Seed of games and searches, >= 0.

    Returns
    -------
    ClaimResult
        Margin, tolerance, trials, witness and the gap to the slow oracle; `status` is the verdict.

    Raises
    ------
    InvalidInputError
        Unknown id, budget below the claim's least, a mechanism or sampler where the claim is about
        none, or one that returns what it must not: the message names the rule and what is wanted.

    Examples
    --------
    >>> check("def-3.2", budget=200).status
    'holds'
    """
    check_arguments([claim_id], budget, seed)
    function = CLAIMS[claim_id].function()
    accepts = _accepted(function)
    arguments: dict[str, Any] = {"budget": int(budget), "seed": int(seed)}
    if mechanism is not None:
        mechanism = checked_mechanism(mechanism)
        if "mechanism" in accepts:
            arguments["mechanism"] = mechanism
        elif names := accepts & {"training_rule", "rule"}:
            arguments[names.pop()] = mechanism.training_rule
        else:
            fix = "leave mechanism out"
            raise InvalidInputError("mechanism", mechanism, f"{claim_id} is about none", fix)
    games = games if isinstance(games, str) else checked_sampler(games)
    if games != "rlhf":
        if "games" not in accepts:
            fix = 'leave games out, or "rlhf"'
            raise InvalidInputError("games", games, f"{claim_id} draws games of its own", fix)
        arguments["games"] = games
    return function(**arguments)


def check_arguments(ids: Sequence[str], budget: int, seed: int) -> None:
    """Raise unless all `ids` are claims, `budget` suffices for each, and `seed` is one."""
    for name in ids:
        if not isinstance(name, str) or name not in CLAIMS:
            fix = f"one of {', '.join(CLAIMS)}"
            raise InvalidInputError("claim_id", repr(name), "is not a claim", fix)
        least = CLAIMS[name].least
        rule = f"must be a whole number, at least {least} for {name}"
        check_whole("budget", budget, least, rule, "e.g. 2000")
    check_whole("seed", seed, 0, "must be a whole number in 0..2^31 - 1", "e.g. 0")


def _accepted(function: Callable[..., ClaimResult]) -> set[str]:
    """Names that a checker takes; a checker may pass others on to the function it `accepts`."""
    return {*inspect.signature(function).parameters, *getattr(function, "accepts", ())}


def examine(claim: Claim, budget: int, seed: int) -> Verdict:
    """Run the checker of a claim, then its controls on unseen seeds.

    A control gets a quarter of the budget first, and all of it only where that did not suffice.
    """
    start = time.perf_counter()
    result = check(claim.id, budget=budget, seed=seed)
    controls = {
        name: any(
            control(share, seed + CONTROL_SEED).status == "violated"
            for share in (max(claim.least, budget // 4), budget)
        )
        for name, control in claim.controls().items()
    }
    return Verdict(claim, result, controls, time.perf_counter() - start)


def run(
    ids: Sequence[str] = (), budget: int = 2000, seed: int = 0, jobs: int = 2
) -> Iterator[Verdict]:
    """Verdicts on the named claims (none named: all), in the order in which they come in."""
    check_arguments(list(ids) or list(CLAIMS), budget, seed)
    work = partial(examine, budget=budget, seed=seed)
    wanted = [CLAIMS[name] for name in ids] or list(_ALL)
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from pool(delayed(work)(claim) for claim in wanted)
