"""`claims.check`: budgets are kept, and what a user's rule or sampler returns wrongly is named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanism import (
    KL,
    CandidateGame,
    InvalidInputError,
    Mechanism,
    RLHFGame,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.spending import INTEGRALS
from mechanism.claims import CLAIMS, check, run
from mechanism.controls import cycle_monotonicity

PAY = affine_maximizer_payments


@pytest.mark.parametrize("name", CLAIMS)
def test_least_budget_is_stated_and_kept(name):
    least = CLAIMS[name].least
    for budget in {1, least - 1} - {least}:
        with pytest.raises(InvalidInputError, match=rf"budget = \d+: .*at least {least}"):
            check(name, budget=budget)
    for budget in (least, least + 1, 2 * least):
        result = check(name, budget=budget, seed=3)
        assert result.status == "holds"
        if name not in INTEGRALS:
            assert result.trials <= budget


@pytest.mark.parametrize("name", CLAIMS)
def test_a_budget_is_a_ceiling_and_is_used(name):
    claim, budget = CLAIMS[name], {"identity-area": 8000, "one-run": 600}.get(name, 2500)
    result = check(name, budget=budget, seed=6)
    if name != "one-run":  # its tables are quadratures of one size each
        assert 0.9 * budget <= result.trials <= budget, result
    assert result.missing == result.coverage.missing(claim.scope)


def test_budgets_are_kept_by_mechanisms_of_users():
    made = 0

    def counted(game):
        nonlocal made
        made += 1
        return sw_max(game)

    for games in ("rlhf", "candidate"):
        for budget in (50, 120, 400):
            made = 0
            check("def-3.2", Mechanism(counted, PAY), games, budget)
            assert made <= 1.2 * budget + 10  # the replay of the witness, searches' own truths


@pytest.mark.parametrize("name", cycle_monotonicity.CONTROLS["prop-E.2"])
def test_a_round_of_several_searches_fits_the_budget_as_a_whole(name):
    assert cycle_monotonicity.CONTROLS["prop-E.2"][name](2000, 1).trials <= 2000


def test_run_refuses_before_it_starts():
    with pytest.raises(InvalidInputError, match=r"at least 300 for prop-4\.6"):
        next(iter(run(["lemma-D.2", "prop-4.6"], budget=50)))
    with pytest.raises(InvalidInputError, match="seed"):
        next(iter(run(["lemma-D.2"], seed=-1)))


WRONG = {
    "one payment too many": (Mechanism(sw_max, lambda g: np.zeros(g.groups + 1)), "payment_rule"),
    "no payments": (Mechanism(sw_max, lambda g: None), "payment_rule"),
    "one number": (Mechanism(sw_max, lambda g: 0.0), "payment_rule"),
    "payments NaN": (Mechanism(sw_max, lambda g: np.full(g.groups, np.nan)), "payment_rule"),
    "payments of text": (Mechanism(sw_max, lambda g: ["a"] * g.groups), "payment_rule"),
    "payments in a dictionary": (Mechanism(sw_max, lambda g: {"pay": 1}), "payment_rule"),
    "infinite payments": (Mechanism(sw_max, lambda g: np.full(g.groups, -np.inf)), "payment_rule"),
    "index as float": (Mechanism(lambda g: float(sw_max(g)), PAY), "training_rule"),
    "index out of range": (Mechanism(lambda g: g.candidates, PAY), "training_rule"),
    "policy for an index": (Mechanism(lambda g: np.ones(3) / 3, PAY), "training_rule"),
    "no model": (Mechanism(lambda g: None, PAY), "training_rule"),
}
NO_MECHANISM = {
    "rule that is none": (Mechanism(3, PAY), "training_rule"),
    "payments that are no rule": (Mechanism(sw_max, [0.0, 0.0]), "payment_rule"),
    "the class": (Mechanism, "mechanism"),
    "a pair of rules": ((sw_max, PAY), "mechanism"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(
    "claim", ["def-3.2", "prop-4.4", "thm-4.11-lower", "identity-area", "false-names"]
)
def test_what_a_rule_returns_wrongly_is_a_violation(kind, claim):
    mechanism, name = WRONG[kind]
    result = check(claim, mechanism, "candidate", budget=400)
    assert result.status == "violated" and result.claim == claim
    assert result.fault.startswith(name.replace("_", " ")) and len(str(result)) < 400
    assert isinstance(result.witness.game, CandidateGame)


@pytest.mark.parametrize("kind", NO_MECHANISM)
@pytest.mark.parametrize("claim", ["def-3.2", "false-names", "identity-area"])
def test_what_is_no_mechanism_is_named(kind, claim):
    mechanism, name = NO_MECHANISM[kind]
    with pytest.raises(InvalidInputError) as caught:
        check(claim, mechanism, budget=400)
    assert caught.value.argument.startswith(name)
    assert "must be" in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "policy",
    [
        lambda g: np.ones(g.outcomes),
        lambda g: sw_max(g)[:-1],
        lambda g: int(sw_max(g).argmax()),
        lambda g: np.full(g.outcomes, np.nan),
        lambda g: sw_max(g)[None],
        lambda g: -sw_max(g),
    ],
)
@pytest.mark.parametrize("claim", ["def-3.2", "def-4.1", "thm-4.2-2", "prop-4.6", "lemma-B.1"])
def test_wrong_policy_is_a_violation(policy, claim):
    result = check(claim, Mechanism(policy, PAY), budget=400)
    assert result.status == "violated" and result.fault.startswith("training rule")


@pytest.mark.parametrize(
    "games",
    [
        lambda rng: np.eye(3),
        lambda rng: None,
        lambda rng: CandidateGame(rng.random((7, 3, 4)), [1, 1, 1]),
        lambda rng: [CandidateGame(rng.random((3, 4)), [1, 1, 1])],
        "chess",
        np.eye(3),
        None,
        CandidateGame([[1.0, 0.0]], [1]),
    ],
)
def test_wrong_sampler_is_named(games):
    with pytest.raises(InvalidInputError) as caught:
        check("def-3.2", games=games, budget=100)
    assert caught.value.argument.startswith("games")


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1.5}, {"seed": 2**31}, {"budget": 99.5},
                                   {"budget": True}, {"seed": "0"}])  # fmt: skip
def test_wrong_numbers_are_named(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        check("def-3.2", **wrong)
    assert check("def-3.2", budget=np.int64(100), seed=np.uint8(1)).status == "holds"


@pytest.mark.parametrize("unit", [1e-12, 1e-100, 1e12, 1e100])
def test_wrong_payments_are_seen_in_every_unit(unit):
    half = Mechanism(sw_max, lambda game: 0.5 * PAY(game))

    def games(rng):
        return CandidateGame(unit * rng.random((3, 4)), [1, 2, 3])

    result = check("def-3.2", half, games, budget=200)
    assert result.status == "violated" and result.tolerance < -result.margin < 10 * unit
    assert check("def-3.2", Mechanism(sw_max, PAY), games, budget=200).status == "holds"


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
def test_wrong_payments_are_seen_far_below_the_strength(unit):
    def games(rng):
        return RLHFGame(unit * rng.random((2, 3)), [1, 2], [0.2, 0.3, 0.5], KL(1.0))

    half = Mechanism(sw_max, lambda game: 0.5 * PAY(game))
    assert check("def-3.2", half, games, budget=200).status == "violated"
    assert check("def-3.2", Mechanism(sw_max, PAY), games, budget=200).status == "holds"


returned = st.sampled_from([None, 0, 1.0, "a", [], [0.0], {}, np.eye(2), np.nan, 10**400, object()])


@settings(max_examples=60)
@given(returned, returned, st.sampled_from(["def-3.2", "def-3.3", "prop-4.4"]))
def test_whatever_rules_return(model, payments, claim):
    mechanism = Mechanism(lambda game: model, lambda game: payments)
    result = check(claim, mechanism, "candidate", budget=50)
    assert result.fault and result.status == "violated"  # payments here fit no game of two or more
    assert isinstance(result.witness.game, CandidateGame)
    assert json.loads(json.dumps({"fault": result.fault, "margin": float(result.margin)}))
