"""The statements: the paper's and the book's own, each with assumptions, scope and checker.

Source: arXiv:2405.16276v4. `Claim.origin` says whose a statement is; `def-4.1` checks the
computation itself. `DEFINITIONS` lists the definitions that say nothing that could be checked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.coverage import NAMED, Scope
from mechanism.attack.games import CANDIDATES
from mechanism.attack.spending import DEFAULT, DEFAULTS, LEAST

Origin = Literal["paper", "ours", "definition"]
ANY = Scope()
SMOOTH = Scope(divergences=tuple(name for name in NAMED if name != "TotalVariation"))
ON_SUM, ON_MAX = (Scope(SMOOTH.divergences, (how,)) for how in ("summation", "maximum"))
KL_ONLY = Scope(("KL",))
ON_CANDIDATES = Scope(
    ("candidates",), ("no divergence", "divergence"), tuple(CANDIDATES), strengths=()
)
WITNESS = Scope(normalizations=("maximum",), outcomes=("small",))  # two outcomes, one wanted
POSITIVE = Scope(("KL", "ReverseKL", "SquaredHellinger", "JensenShannon", "Alpha"))
MIN_MAX = Scope(normalizations=("none",), outcomes=("small",))


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
    scope : Scope
        Kinds of games in each of which a comparison must be made at the default budget.
    origin : "paper", "ours" or "definition"
        Whose statement it is; a definition has no checker.
    """

    id: str
    statement: str
    assumptions: tuple[str, ...]
    chapter: str
    checker: str
    scope: Scope = ANY
    origin: Origin = "paper"

    @property
    def stem(self) -> str:
        """Name shared by the chapter, its test and its controls."""
        return self.chapter.rsplit("/", 1)[-1]

    @property
    def least(self) -> int:
        """Least budget: what the checker's first piece of work takes, a search or an integral."""
        return LEAST.get(self.id, 50)

    @property
    def budget(self) -> int:
        """Default budget: what it takes to meet every kind of game of the scope."""
        return DEFAULTS.get(self.id, DEFAULT)

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
          ("no payments", INTERIOR, "f differentiable", "f strictly convex, or monotone ties"),
          "incentives/misreport",
          "misreport:check_part_2", SMOOTH),
    Claim("thm-4.3", "Truth is not optimal where any condition of Theorem B.2 holds.",
          ("no payments", INTERIOR, "f twice differentiable, f'' > 0"), _GRAD,
          "gradient:check_thm_4_3", SMOOTH),
    Claim("lemma-B.1", "A strongly convex f gives a continuous rule, modulus 2 D / alpha.",
          ("f strongly convex with modulus alpha",), _EQUIVALENCE,
          "payment_equivalence:check_lemma_B_1", SMOOTH),
    Claim("thm-B.2-1", "Truth is not optimal if t(x1) != 0 for some 0 < rm(x1) < 1.",
          ("maximum normalisation", INTERIOR), _GRAD, "gradient:check_thm_B_2_1", ON_MAX),
    Claim("thm-B.2-2", "Truth is not optimal if t(x1) < 0 for some 0 < rm(x1) < 1.",
          ("summation normalisation", INTERIOR), _GRAD, "gradient:check_thm_B_2_2", ON_SUM),
    Claim("thm-B.2-3", "Truth is not optimal if t(x1) > 0 and a lighter, worse x2 has reward.",
          ("summation normalisation", INTERIOR, "a(x1) > a(x2)"), _GRAD,
          "gradient:check_thm_B_2_3", ON_SUM),
    Claim("prop-4.4", "Affine maximizer payments: DSIC, IR, and no payment is negative.",
          (EXACT, "true rewards >= 0"), _AFF, "affine_maximizer:check_prop_4_4"),
    Claim("prop-4.6", "Sizes public: payments of a rule differ by a term of the others alone.",
          ("both payments are DSIC",), _EQUIVALENCE, "payment_equivalence:check_prop_4_6"),
    Claim("prop-4.8-kl", "The KL rule is continuous, with the modulus of the proof.",
          (EXACT,), _EQUIVALENCE, "payment_equivalence:check_prop_4_8_kl", Scope(("KL",))),
    Claim("prop-4.8-chi2", "The chi-squared rule is continuous, with modulus D / lam.",
          (EXACT, INTERIOR),
          _EQUIVALENCE, "payment_equivalence:check_prop_4_8_chi2", Scope(("ChiSquared",))),
    Claim("thm-4.9", "Payment equivalence, where one report makes the outcome size-blind.",
          ("implementable rule", "one report makes the outcome size-blind"),
          _EQUIVALENCE, "payment_equivalence:check_thm_4_9"),
    Claim("cor-4.10", "SW-Max satisfies payment equivalence in rewards and sizes.",
          ("continuous rule", "the constant report is in the domain"), _EQUIVALENCE,
          "payment_equivalence:check_cor_4_10"),
    Claim("lemma-C.1", "Payment equivalence on domains that straight segments join.",
          ("types joined by straight segments",),
          _EQUIVALENCE, "payment_equivalence:check_lemma_C_1"),
    Claim("lemma-C.2", "V(t, t') = -V(t', t) gives payment equivalence, pay(t) - pay(t') = V.",
          ("the two-way cost closes",), _EQUIVALENCE, "payment_equivalence:check_lemma_C_2"),
    Claim("thm-4.11-lower", "DSIC and payments >= 0 imply pay >= affine maximizer payments.",
          ("continuous SW-Max",), _NECESSARY, "necessary_payments:check_thm_4_11_lower"),
    Claim("thm-4.11-upper", "DSIC and IR imply pay <= affine maximizer payments + eps somewhere.",
          ("two groups or more",), _NECESSARY, "necessary_payments:check_thm_4_11_upper", WITNESS),
    Claim("cor-4.13", "DSIC, IR and payments >= 0: within eps of the affine maximizer payments.",
          ("continuous SW-Max",), _NECESSARY, "necessary_payments:check_cor_4_13", WITNESS),
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
          ("stopping does not depend on the report",), _CHEAP,
          "efficient_payments:check_heuristic_2"),
    Claim("prop-E.2", "Implementable if and only if cyclically monotone; then V implements.",
          ("all types of one group",), "practice/cycle_monotonicity",
          "cycle_monotonicity:check_prop_E_2"),
    Claim("false-names", "Splitting a group over like names never raises its payment.", (EXACT,),
          _TOGETHER, "coalitions:check_false_names", origin="ours"),
    Claim("false-names-rate", "m equal names pay at most (w span)^2 / (8 lam m) together.",
          (EXACT, "KL"), _TOGETHER, "coalitions:check_false_names_rate", KL_ONLY, origin="ours"),
    Claim("collusion", "Two groups can have any candidate for nothing, and gain no more than that.",
          (EXACT, "candidates, any size"), _TOGETHER, "coalitions:check_collusion", ON_CANDIDATES,
          origin="ours"),
    Claim("identity-area", "Truthful utility is the area under w v against the share of size.",
          (EXACT, "real sizes"), _AFF, "affine_maximizer:check_identity_area",
          origin="ours"),
    Claim("one-run", "One training with random shares of size: truthful in expectation.",
          (EXACT, "shares independent of reports and of each other"), "practice/one_training",
          "one_training:check_one_run", Scope(outcomes=("small",)), origin="ours"),
    Claim("prop-opt", "A model is optimal exactly where condition OPT holds, dropped outcomes too.",
          ("f convex, differentiable on x > 0", "q > 0"), "game/sw_max",
          "optimality_condition:check_optimality_condition", SMOOTH, "ours"),
    Claim("sharp-D.1", "For a given model Lemma D.1 holds with 1 - min p or sum |p - med p|.",
          ("rewards normalised",), "game/rlhf_game", "rlhf_game:check_sharp_d_1", ANY, "ours"),
    Claim("prop-zero-one", "Rewards of zeros and ones: no other report of the reward gains.",
          ("no payments", "f strictly convex", "the optimum is positive for all reports"), _GRAD,
          "gradient:check_zero_one", POSITIVE, "ours"),
    Claim("prop-pair", "Truth is stationary if and only if a t is the same where reward is > 0.",
          ("no payments", "summation normalisation", INTERIOR, "min rm = 0"), _GRAD,
          "gradient:check_pair", ON_SUM, "ours"),
    Claim("prop-kl-complete", "Under KL truth is optimal among rewards in two cases and no others.",
          ("no payments", "KL", "two reward levels or more, the least 0"), _GRAD,
          "gradient:check_kl_complete", KL_ONLY, "ours"),
    Claim("sharp-moduli", "The rule moves by at most tanh(D/2 lam), D/4 lam, D/2 alpha; reached.",
          (EXACT, "KL, chi-squared, f strongly convex with modulus alpha"), _EQUIVALENCE,
          "payment_equivalence:check_sharp_moduli", SMOOTH, "ours"),
    Claim("prop-sheets", "Payments may depend on the size by the cheapest chain of jumps, no more.",
          (EXACT, "each size joined by straight segments"), _EQUIVALENCE,
          "payment_equivalence:check_sheets", MIN_MAX, "ours"),
    Claim("room", "DSIC and IR allow payments of the affine maximizer plus 0 to room, no more.",
          ("sizes of 1 or more", "rewards normalised"), _NECESSARY, "necessary_payments:check_room",
          ANY, "ours"),
    Claim("sharp-noise", "The least bound on what noise of a given spread can cost, by divergence.",
          (EXACT, "chi-squared: spread up to 8 lam"), _NOISE, "approximate_dsic:check_sharp_noise",
          ANY, "ours"),
    Claim("least-regret", "The least regret of any payment is minus the least mean of a cycle.",
          ("a finite set of types of one group",), "practice/cycle_monotonicity",
          "cycle_monotonicity:check_least_regret", ANY, "ours"),
)  # fmt: skip
CLAIMS: dict[str, Claim] = {claim.id: claim for claim in _ALL}
_NAMED = (
    Claim("def-3.1", "The valuation of a model is the expected reward under it.",
          ("lemma-D.1", "sharp-D.1"), "game/rlhf_game", "", origin="definition"),
    Claim("def-4.5", "Payment equivalence: payments differ by a term of the others' reports alone.",
          ("prop-4.6", "thm-4.9", "cor-4.10", "lemma-C.1", "prop-sheets"), _EQUIVALENCE, "",
          origin="definition"),
    Claim("def-4.7", "A rule is continuous if close reports lead to close models.",
          ("lemma-B.1", "prop-4.8-kl", "prop-4.8-chi2", "sharp-moduli"), _EQUIVALENCE, "",
          origin="definition"),
    Claim("def-E.1", "Cycle monotonicity: the lengths round every cycle of types add up to >= 0.",
          ("prop-E.2", "least-regret"), "practice/cycle_monotonicity", "", origin="definition"),
)  # fmt: skip
# `assumptions` of a definition name the claims that are about it
DEFINITIONS: dict[str, Claim] = {claim.id: claim for claim in _NAMED}
