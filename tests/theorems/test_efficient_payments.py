"""The two heuristics: conditions, witnesses, IR, certificates, and every control."""

from functools import partial

import numpy as np
import pytest

from mechanism import KL, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.attack.games import draw_rlhf_game
from mechanism.certificates.efficient_payments import (
    certify_exaggeration,
    certify_negative_payment,
    prove_heuristics,
)
from mechanism.controls.efficient_payments import CONTROLS
from mechanism.core.samplers import sample_candidate_game, sample_game
from mechanism.theorems.efficient_payments import (
    agreement_witness,
    check_heuristic_1,
    check_heuristic_2,
    checkpoint_payments,
    compare,
    early_stopped_payments,
    exaggeration_witness,
    gain,
    heuristic_mechanism,
    peeking_payments,
    share_after,
    training_path,
)


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("check", [check_heuristic_1, check_heuristic_2])
def test_heuristics_hold(check, games):
    assert check(games=games, budget=600, seed=2).status == "holds"


@pytest.mark.parametrize("claim,name", [(c, n) for c, row in CONTROLS.items() for n in row])
def test_control_is_noticed(claim, name):
    result = CONTROLS[claim][name](1000, 12)
    assert result.claim == claim
    assert result.status == "violated"


def test_training_path_runs_from_the_initial_model_to_the_optimum():
    game = sample_game(np.random.default_rng(0), 3, 5, KL(0.3))
    path = training_path(game, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(path[0], game.reference, atol=1e-12)
    np.testing.assert_allclose(path[2], sw_max(game), atol=1e-12)
    assert (np.diff(game.welfare(path)) > 0).all()


def test_path_is_natural_policy_gradient_for_kl():
    """One step of size eta on logits: theta += eta (S - lam log(p/q)), advantage left out."""
    game, eta = sample_game(np.random.default_rng(1), 2, 4, KL(0.5)), 0.4
    logits = np.log(game.reference)
    for step in range(1, 4):
        policy = np.exp(logits) / np.exp(logits).sum()
        logits = logits + eta * (game.scores() - 0.5 * np.log(policy / game.reference))
        share = share_after(step, eta * 0.5)
        expected = training_path(game, [float(share)])[0]
        np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), expected, atol=1e-12)


@pytest.mark.parametrize("rule", [checkpoint_payments, early_stopped_payments])
def test_heuristic_payments_never_exceed_the_exact_ones(rule):
    rng = np.random.default_rng(7)
    for _ in range(100):
        game = draw_rlhf_game(rng)
        assert (rule(game) <= affine_maximizer_payments(game) + 1e-9).all()


def test_exaggeration_gains_under_heuristic_1_and_loses_under_exact_payments():
    game, report = exaggeration_witness()
    assert gain(heuristic_mechanism(checkpoint_payments), game, report) > 0.7
    assert gain(heuristic_mechanism(affine_maximizer_payments), game, report) < 0
    assert gain(heuristic_mechanism(early_stopped_payments), game, report) < 0
    assert certify_exaggeration() > 0.7


def test_peeking_loses_dsic():
    game, report = exaggeration_witness()
    assert gain(heuristic_mechanism(peeking_payments), game, report) > 0.5


def test_early_stopping_pays_out():
    assert early_stopped_payments(agreement_witness())[0] < -0.1
    assert certify_negative_payment() < 0
    paid = float(early_stopped_payments(agreement_witness())[0])
    assert paid == pytest.approx(float(certify_negative_payment().mid()), abs=1e-12)


def test_ir_falls_by_at_most_the_shortfall():
    rng = np.random.default_rng(9)
    games = [sample_game(rng, 2, 2, KL(1.0), "maximum") for _ in range(50)]
    games.append(RLHFGame(np.eye(2), [1.0, 5.0], [0.5, 0.5], KL(1.0), "maximum"))
    rule, shares = partial(checkpoint_payments, shares=(0.5, 1.0), final=2.0), (0.5, 1.0)
    result = compare(games, rule, shares, 2.0)
    assert result.utilities.min() < -1e-3  # training that overshoots breaks IR
    assert (result.utilities.min(axis=1) >= -result.shortfall - 1e-12).all()


def test_candidates_have_paths_too():
    game = sample_candidate_game(np.random.default_rng(3), 2, 5, divergence_scale=1.0)
    assert training_path(game, [0.0, 1.0])[1] == sw_max(game)
    assert training_path(game, [0.0, 1.0])[0] == game.divergences.argmin()


def test_certificates():
    ir, sign, dsic = prove_heuristics()
    assert ir.proved and sign.proved and dsic.proved
    assert "stopping does not look at the report" in dsic.core
    assert "K is the best of checkpoints that hold F" in sign.core
