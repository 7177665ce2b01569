"""Theorem 4.11, Corollary 4.13: the room, path bounds, n = 1, real sizes, and every control."""

from fractions import Fraction

import numpy as np
import pytest

from mechanism import (
    KL,
    ChiSquared,
    InvalidInputError,
    JensenShannon,
    Mechanism,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    sw_max,
)
from mechanism.certificates.affine_maximizer import prove_prop_4_4
from mechanism.certificates.necessary_payments import (
    certify_one_group,
    certify_room,
    prove_cor_4_13,
    prove_thm_4_11_lower,
)
from mechanism.certificates.proof import prove, reals
from mechanism.controls.necessary_payments import CONTROLS
from mechanism.core.samplers import sample_game
from mechanism.theorems.necessary_payments import (
    affine_payments,
    check_cor_4_13,
    check_thm_4_11_lower,
    check_thm_4_11_upper,
    one_group_room,
    path_bounds,
    room,
    rooms,
    truthful_utility,
    witness_inputs,
)


@pytest.mark.parametrize("check", [check_thm_4_11_lower, check_thm_4_11_upper, check_cor_4_13])
@pytest.mark.parametrize("mechanism", [None, Mechanism.affine_maximizer()])
def test_statements_hold(check, mechanism):
    assert check(mechanism, budget=500, seed=3).status == "holds"


def test_lower_half_holds_for_candidates():
    assert check_thm_4_11_lower(games="candidate", budget=500).status == "holds"


@pytest.mark.parametrize("claim,name", [(c, n) for c, row in CONTROLS.items() for n in row])
def test_control_is_noticed(claim, name):
    result = CONTROLS[claim][name](1000, 13)
    assert result.claim == claim
    assert result.status == "violated"


def test_witness_is_a_continuous_game():
    with pytest.raises(InvalidInputError, match="games"):
        check_thm_4_11_upper(games="candidate")


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.3, 0.9])
@pytest.mark.parametrize("groups", [2, 3, 7])
def test_room_is_below_epsilon_at_the_witness(epsilon, groups):
    for divergence in (KL(0.01), KL(10.0), SquaredHellinger(0.1), TotalVariation(0.2)):
        game = witness_inputs(epsilon, divergence, groups)
        assert room(game, 0) <= epsilon * (1 + 1e-9)


def test_room_is_below_every_truthful_utility():
    rng = np.random.default_rng(0)
    for how in ("maximum", "summation"):
        game = sample_game(rng, 3, 4, KL(0.3), how)
        least = room(game, 0)
        rewards = rng.random((300, 4)) ** 4
        rewards /= rewards.max(-1, keepdims=True) if how == "maximum" else rewards.sum(-1)[:, None]
        batch = game.with_report(0, reward=rewards, size=np.ones(300))
        assert least <= truthful_utility(batch, 0).min() + 1e-12


def test_room_under_summation_meets_its_dual():
    """min over r of max over p = max over p of min over x, by cvxpy."""
    import cvxpy as cp

    game = sample_game(np.random.default_rng(2), 2, 3, ChiSquared(0.5), "summation")
    p, q = cp.Variable(3, nonneg=True), game.reference
    others = game.sizes[1] * game.rewards[1] @ p - 0.5 * cp.sum(
        cp.multiply(1 / q, cp.square(p - q))
    )
    values = [
        cp.Problem(cp.Maximize(goal), [cp.sum(p) == 1]).solve(solver=cp.CLARABEL)
        for goal in (others + cp.min(p), others)
    ]
    assert room(game, 0) == pytest.approx(values[0] - values[1], abs=1e-6)


def test_fee_of_the_room_is_ir_and_more_is_not():
    game = sample_game(np.random.default_rng(5), 2, 4, KL(1.0), "maximum")
    fee = room(game, 0)
    spikes = game.with_report(0, reward=np.eye(4), size=np.ones(4))
    utilities = spikes.utilities(sw_max(spikes), affine_payments(spikes))[:, 0] - fee
    assert utilities.min() == pytest.approx(0.0, abs=1e-12)


def test_real_sizes_leave_no_room():
    game = sample_game(np.random.default_rng(6), 3, 4, KL(0.5), "maximum")
    sizes = np.array([1.0, 0.1, 0.01, 1e-4])
    values = rooms(game, 0, sizes)
    assert (values <= sizes).all()
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_path_bounds_close_in_steps(steps):
    game = sample_game(np.random.default_rng(8), 3, 4, KL(0.3), "maximum")
    bounds = path_bounds(game, 0, steps)
    assert bounds.lower <= bounds.exact <= bounds.upper
    gap = game.sizes[0] / steps
    assert bounds.upper - bounds.lower <= gap


@pytest.mark.parametrize("family", [SquaredHellinger, ReverseKL, JensenShannon, TotalVariation])
def test_one_group_alone_keeps_room_whatever_the_reference(family):
    divergence = family(0.2)
    limit = one_group_room(divergence)
    assert limit > 0.1
    alone = [room(witness_inputs(q, divergence, 1), 0) for q in (1e-3, 1e-9, 1e-30)]
    assert min(alone) >= limit - 1e-9
    assert alone[-1] == pytest.approx(limit, abs=1e-6)


@pytest.mark.parametrize("family", [KL, ChiSquared])
def test_one_group_alone_needs_a_smaller_reference(family):
    divergence = family(0.2)
    assert one_group_room(divergence) == 0.0
    assert room(witness_inputs(1e-2, divergence, 1), 0) > 1e-2
    assert room(witness_inputs(1e-9, divergence, 1), 0) < 1e-2


def test_certificates():
    lower, (upper, sandwich) = prove_thm_4_11_lower(), prove_cor_4_13()
    assert lower.proved and upper.proved and sandwich.proved
    assert "c trains the model of the others" in lower.core
    assert "IR at k" in upper.core and "payments >= 0 at c" in upper.unused
    assert all(proof.proved for proof in prove_prop_4_4())
    assert "pivot term does not depend on the report" in prove_prop_4_4()[0].core
    assert "pivot term is ASW_-i(psi(others))" in prove_prop_4_4()[0].unused
    for groups in (2, 5):
        assert certify_room(Fraction(1, 1000), Fraction(1, 10), groups) > 0
    assert not certify_room(Fraction(1, 10), Fraction(1, 10), 1) > 0
    assert certify_one_group(Fraction(1, 4), Fraction(1, 10**12)) > Fraction(9, 16).numerator / 16


def test_solver_refuses_what_does_not_follow():
    x = reals("x")[0]
    assert prove("demo", "x > 0", {"x > -1": x > -1}, x > 0).verdict == "sat"


def test_witness_needs_two_outcomes_with_the_stated_chances():
    game = witness_inputs(0.25, KL(1.0), 3)
    assert isinstance(game, RLHFGame)
    np.testing.assert_allclose(game.reference, [0.25, 0.75])
    np.testing.assert_allclose(game.rewards, [[1, 0], [0, 1], [0, 1]])
