"""What checkers cover: strata, floors, tolerances that scale, outputs that are looked at first."""

import numpy as np
import pytest

from mechanism import KL, CandidateGame, Mechanism, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.attack.claim_result import Case, worst_case
from mechanism.attack.coverage import Coverage, Scope, coverage_of
from mechanism.attack.games import Draws, Strata
from mechanism.attack.outputs import RuleFault, check_model, check_payments
from mechanism.claims import CLAIMS, CONTROL_SEED, Verdict, check, noticed
from mechanism.controls.planted import PLACES, FeeWhere, no_distribution
from mechanism.theorems.affine_maximizer import check_dsic

PATHS = ("prop-4.6", "thm-4.9", "cor-4.10", "lemma-C.1")
WITH_MECHANISM = (
    "def-3.2", "def-3.3", "prop-4.4", *PATHS, "lemma-C.2", "thm-4.11-lower", "thm-4.12",
    "heuristic-1", "heuristic-2", "identity-area",
)  # fmt: skip


def test_a_cycle_meets_every_stratum_and_every_class():
    strata = Strata(np.random.default_rng(3))
    games = [next(strata).draw(np.random.default_rng(k)) for k in range(len(strata))]
    covered = coverage_of([(game, 1) for game in games])
    assert covered.missing(Scope()) == ()
    one_less = coverage_of([(game, 1) for game in games[1:]])
    assert len(one_less.missing(Scope())) == 1


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_covers_its_scope_at_the_default_budget_and_uses_it(claim):
    result, budget = check(claim, seed=5), CLAIMS[claim].budget
    assert result.status == "holds", result
    assert result.trials <= budget, result
    if claim != "one-run":  # its tables are quadratures of one size each
        assert result.trials >= 0.9 * budget, result
    assert result.coverage.missing(CLAIMS[claim].scope) == ()
    assert result.comparisons >= len(list(CLAIMS[claim].scope.cells()))
    assert sum(result.coverage.cells.values()) == result.comparisons


def test_a_gap_in_the_coverage_is_no_success():
    claim, result = CLAIMS["def-3.3"], check("def-3.3", budget=60)
    assert result.status == "holds" and result.missing == result.coverage.missing(Scope())
    assert f"coverage incomplete: {len(result.missing)} kinds not met" in str(result)
    assert Verdict(claim, result, {}, 0.0, budget=60).ok
    assert not Verdict(claim, result, {}, 0.0, budget=claim.budget).ok
    assert "incomplete" not in str(check("def-3.3"))


def test_draws_of_a_small_budget_end():
    draws = Draws("candidate", np.random.default_rng(0), 3)
    assert len([draws.spend(1) for _ in draws]) == 3


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("claim", ["prop-4.6", "cor-4.10", "def-3.2"])
def test_a_fee_in_one_kind_of_games_is_noticed(claim, place):
    mechanism, own = Mechanism(sw_max, FeeWhere(*PLACES[place])), CLAIMS[claim]

    def control(budget, seed):
        return check(claim, mechanism, budget=budget, seed=seed)

    assert noticed(control, CONTROL_SEED + 3, own.budget, own.least)


@pytest.mark.parametrize("claim", PATHS)
def test_tolerances_of_payment_equivalence_are_rounding(claim):
    result = check(claim, seed=2)
    assert result.tolerance < 1e-7 and abs(result.margin) < 1e-10
    assert result.oracle_gap <= 1e-10 and "rounding" in result.origin


@pytest.mark.parametrize("claim", [*PATHS, "def-3.2", "lemma-C.2", "identity-area"])
@pytest.mark.parametrize("constant", [1e6, -1e6])
def test_a_large_constant_in_the_payments_is_no_alarm(claim, constant):
    mechanism = Mechanism(sw_max, lambda game: affine_maximizer_payments(game) + constant)
    result = check(claim, mechanism, budget=300, seed=1)
    expected = "violated" if claim == "identity-area" else "holds"  # size 0 must have utility 0
    assert result.status == expected, result


def nan_under_summation(game):
    summation = isinstance(game, RLHFGame) and game.normalization == "summation"
    return np.where(summation, np.nan, affine_maximizer_payments(game))


BAD_MODELS = {
    "negative": lambda game: np.concatenate([[-0.5, 1.5], np.zeros(game.outcomes - 2)]),
    "mass 2": lambda game: 2 * sw_max(game),
    "not a number": lambda game: np.full(game.outcomes, np.nan),
    "wrong shape": lambda game: np.ones(1),
    "no array": lambda game: "best",
}


@pytest.mark.parametrize("claim", WITH_MECHANISM)
def test_payments_that_are_no_number_are_a_violation(claim):
    result = check(claim, Mechanism(sw_max, nan_under_summation), budget=1000)
    assert result.status == "violated" and "payment rule" in result.fault
    assert result.witness.game.normalization == "summation" and not result.missing


@pytest.mark.parametrize("claim", [*WITH_MECHANISM, "def-4.1", "thm-4.2-1", "thm-4.3", "lemma-B.1"])
@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_are_no_distribution_are_a_violation(claim, name):
    bad = Mechanism(BAD_MODELS[name], affine_maximizer_payments)
    result = check(claim, bad, budget=300)
    assert result.status == "violated" and "training rule" in result.fault
    assert "training rule" in str(result) and result.claim == claim


@pytest.mark.parametrize("bad", [no_distribution, lambda game: np.full(game.outcomes, np.nan)])
def test_a_checker_called_alone_answers_violated(bad):
    result = check_dsic(Mechanism(bad, affine_maximizer_payments), budget=1000)
    assert result.status == "violated" and "training rule" in result.fault
    assert result.witness.game.outcomes > 1


def test_outputs_are_looked_at():
    game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0))
    check_model(game, [0.5, 0.5])
    check_payments(game, [0, 1])
    for model in ([0.5, 0.6], [1.5, -0.5], 0, [[0.5], [0.5]]):
        with pytest.raises(RuleFault, match="training rule"):
            check_model(game, model)
    for pay in ([0.0], [np.inf, 0.0], None, [[0.0, 1.0]]):
        with pytest.raises(RuleFault, match="payment rule"):
            check_payments(game, pay)
    pair = CandidateGame([[1.0, 0.0]], [1])
    check_model(pair, np.int64(1))
    for model in (2, -1, 0.0, [0]):
        with pytest.raises(RuleFault, match="index"):
            check_model(pair, model)


def test_a_slack_that_is_no_number_comes_first():
    game = CandidateGame([[1.0, 0.0]], [1])
    good = Case(1.0, 1e-9, game, 0, None, lambda: 1.0)
    broken = Case(-1.0, 1e-9, game, 0, None, lambda: -1.0)
    nothing = Case(float("nan"), 1e-9, game, 0, None, lambda: float("nan"))
    for cases in ([good, nothing], [nothing, good], [broken, nothing, good]):
        result = worst_case("demo", cases, 3)
        assert np.isnan(result.margin) and result.status == "violated"
    assert worst_case("demo", [good, broken], 2).margin == -1.0


def test_a_verdict_says_what_was_covered():
    said = str(check("def-3.2", Mechanism.affine_maximizer(), budget=300))
    assert "def-3.2 holds" in said and "comparisons in" in said and "groups" in said
    assert Coverage().summary() == "no comparison"
