"""The oracles agree with each other, and import nothing that they check."""

import ast
from pathlib import Path

import numpy as np
import pytest

import mechanism.oracles
from mechanism import KL, RLHFGame, affine_maximizer_payments, solve
from mechanism.core.samplers import sample_game
from mechanism.oracles import optimum_cvxpy, optimum_mpmath


def test_oracles_import_nothing_of_the_library():
    tree = ast.parse(Path(mechanism.oracles.__file__).read_text())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("mechanism")]


@pytest.mark.filterwarnings("ignore:Power atom")
def test_conic_solver_and_50_digits_agree(divergence_class):
    game = sample_game(np.random.default_rng(4), 3, 5, divergence_class(0.3), "maximum")
    policy, value = optimum_mpmath(game.scores(), game.reference, game.divergence)
    conic, conic_value = optimum_cvxpy(game.scores(), game.reference, game.divergence)
    assert conic_value == pytest.approx(float(value), abs=1e-6)
    np.testing.assert_allclose(conic, [float(p) for p in policy], atol=2e-4)
    assert abs(sum(policy) - 1) < 1e-15  # total variation keeps the rounding of q


def test_the_fast_path_agrees_with_50_digits(divergence_class):
    rng = np.random.default_rng(5)
    for lam in (1e-5, 1e-2, 1.0, 1e4):
        game = sample_game(rng, 3, 6, divergence_class(lam), "summation", skew=8)
        policy, value = optimum_mpmath(game.scores(), game.reference, game.divergence)
        solution = solve(game)
        scale = np.abs(game.scores()).max() + lam
        assert abs(solution.value - float(value)) <= 1e-13 * scale
        np.testing.assert_allclose(solution.policy, [float(p) for p in policy], atol=1e-9)


@pytest.mark.parametrize("lam", [1e-3, 1.0])
def test_rare_best_outcomes(divergence_class, lam):
    divergence = divergence_class(lam)
    game = RLHFGame([[1.0, 0.0]], [1.0], [1e-60, 1.0], divergence)
    policy, value = optimum_mpmath(game.scores(), game.reference, divergence)
    solution = solve(game)
    assert abs(solution.value - float(value)) <= 1e-13 * (1 + lam)
    np.testing.assert_allclose(solution.policy, [float(p) for p in policy], atol=1e-15)


def test_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="divergence = object"):
        optimum_mpmath([1.0], [1.0], type("object", (), {"lam": 1.0})())


def test_payments_need_the_pivot_term():
    """The oracle is sensitive: half of a payment is not a payment."""
    game = sample_game(np.random.default_rng(6), 3, 5, KL(0.1), "maximum")
    exact = [float(x) for x in mechanism.oracles.payments_mpmath(game)]
    assert max(exact) > 1e-3
    assert not np.allclose(0.5 * affine_maximizer_payments(game), exact)
