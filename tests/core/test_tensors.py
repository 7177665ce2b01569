"""Tensors: the numbers of the core, gradients of the closed form, and no torch imported by us."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mechanism import (
    KL,
    CandidateGame,
    InvalidInputError,
    RLHFGame,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.best_response import utility_gradient
from mechanism.core.samplers import sample_candidate_game, sample_game
from mechanism.core.tensors import TensorCandidates, TensorGame


def drawn(batch=(), seed=0, lam=0.3):
    return sample_game(np.random.default_rng(seed), 4, 6, KL(lam), batch=batch, skew=4.0)


def tensor_game(game: RLHFGame) -> TensorGame:
    arrays = [torch.tensor(np.array(a)) for a in (game.rewards, game.sizes, game.reference)]
    return TensorGame(*arrays, lam=game.divergence.lam)


@pytest.mark.parametrize("lam", [1e-3, 0.3, 1e3])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_policies_and_payments_are_those_of_the_core(batch, lam):
    game = drawn(batch, lam=lam)
    tensors = tensor_game(game)
    policy, payments = sw_max(tensors), affine_maximizer_payments(tensors)
    assert isinstance(policy, torch.Tensor) and isinstance(payments, torch.Tensor)
    np.testing.assert_allclose(policy.numpy(), sw_max(game), rtol=1e-10, atol=1e-300)
    atol = 1e-13 * (1 + lam)
    np.testing.assert_allclose(payments.numpy(), affine_maximizer_payments(game), atol=atol)


@pytest.mark.parametrize("costs", [0.0, 0.5])
@pytest.mark.parametrize("batch", [(), (7,)])
def test_candidates_are_those_of_the_core(batch, costs):
    game = sample_candidate_game(np.random.default_rng(1), 3, 5, batch, costs)
    arrays = [None if a is None else torch.tensor(np.array(a))
              for a in (game.values, game.sizes, game.divergences)]  # fmt: skip
    tensors = TensorCandidates(*arrays)
    assert torch.equal(sw_max(tensors), torch.tensor(np.asarray(sw_max(game))))
    payments = affine_maximizer_payments(tensors)
    np.testing.assert_allclose(payments.numpy(), affine_maximizer_payments(game), atol=1e-13)
    assert isinstance(game, CandidateGame)


@pytest.mark.parametrize("i", range(4))
def test_gradients_are_the_closed_form(i):
    """dp/dr_i = w_i (diag p - p p') / lam; the slope of pay_i at the truth is that of w_i v_i."""
    game = drawn()
    tensors = tensor_game(game)
    tensors.rewards.requires_grad_()
    policy = sw_max(tensors)
    for x in range(game.outcomes):
        slope = torch.autograd.grad(policy[x], tensors.rewards, retain_graph=True)[0][i].numpy()
        p = policy.detach().numpy()
        exact = game.sizes[i] * p[x] * ((np.arange(game.outcomes) == x) - p) / game.divergence.lam
        np.testing.assert_allclose(slope, exact, atol=1e-13)
    pay = affine_maximizer_payments(tensors)[i]
    slope = torch.autograd.grad(pay, tensors.rewards)[0][i].numpy()
    np.testing.assert_allclose(slope, utility_gradient(game, game, i, payments=False), atol=1e-12)


def test_float32_stays_float32():
    tensors = TensorGame(torch.rand(2, 3), torch.ones(2), torch.full((3,), 1 / 3), 0.5)
    assert sw_max(tensors).dtype == affine_maximizer_payments(tensors).dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"sizes": torch.tensor([1.0, -1.0])}, "sizes"),
        ({"reference": torch.zeros(3)}, "reference"),
        ({"rewards": torch.full((2, 3), float("nan"))}, "rewards"),
        ({"rewards": torch.ones(3)}, "rewards"),
        ({"sizes": torch.ones(3)}, "sizes"),
        ({"lam": 0.0}, "lam"),
        ({"sizes": [1.0, 1.0]}, "array"),
    ],
)
def test_errors_name_the_argument(change, name):
    whole = {"rewards": torch.rand(2, 3), "sizes": torch.ones(2), "reference": torch.ones(3) / 3}
    with pytest.raises(InvalidInputError) as error:
        TensorGame(**({"lam": 1.0} | whole | change))
    assert error.value.argument == name


def test_the_core_imports_no_torch():
    code = "import sys, mechanism.core.tensors, mechanism; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_keeps_its_tensors():
    game = tensor_game(drawn())
    on_gpu = TensorGame(game.rewards.cuda(), game.sizes.cuda(), game.reference.cuda(), game.lam)
    assert affine_maximizer_payments(on_gpu).device.type == "cuda"
    np.testing.assert_allclose(sw_max(on_gpu).cpu(), sw_max(game), rtol=1e-12)
