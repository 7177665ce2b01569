"""Edges of inputs, one by one: rounding, float32, strengths and rewards at the ends of float64."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mechanism import (
    KL,
    Alpha,
    CandidateGame,
    ChiSquared,
    InvalidInputError,
    JensenShannon,
    Mechanism,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    normalize,
    solve,
    sw_max,
)
from mechanism.oracles import payments_mpmath


def test_reward_that_only_rounding_moves_is_no_preference():
    orders = [[0.1, 0.7, 0.4], [0.7, 0.4, 0.1], [0.4, 0.1, 0.7]]
    same = [np.mean(order) for order in orders]  # one mean in three orders of summation
    assert len(set(same)) > 1
    for row in (same, np.float32(same) + np.float32([0, 6e-8, 0]), [-x for x in same]):
        with pytest.raises(InvalidInputError, match="all equal"):
            normalize(row, "min-max")
    with pytest.raises(InvalidInputError, match="all equal"):  # shifted to 0 first
        normalize([-x for x in same], "summation")
    small = normalize([1e-12, 2e-12, 4e-12], "min-max")  # small, but no rounding
    np.testing.assert_allclose(small, [0, 1 / 3, 1])
    game = CandidateGame([np.zeros(3), normalize([0.2, 0.1, 0.9], "min-max")], [5, 4])
    assert int(sw_max(game)) == 2 and not affine_maximizer_payments(game).any()


@pytest.mark.parametrize("m", [2, 10, 1000, 50_257])
def test_float32_softmax_is_a_reference_and_a_model(m):
    for seed in range(20):
        logits = torch.randn(m, generator=torch.Generator().manual_seed(seed)) * 3
        soft = torch.softmax(logits, -1)
        for reference in (soft, soft.numpy(), soft.tolist(), soft / soft.sum()):
            game = RLHFGame(np.zeros((1, m)), [1], reference, KL(1.0))
            assert abs(game.reference.sum() - 1) <= 1e-12
            assert game.welfare(soft) == pytest.approx(0.0, abs=1e-12)
    rewards = torch.softmax(torch.ones(2, 7) / 3, -1)
    game = RLHFGame(rewards, [1, 1], np.full(7, 1 / 7), KL(1.0), "summation")
    np.testing.assert_allclose(game.rewards.sum(-1), 1.0, atol=1e-12)
    half = torch.softmax(torch.randn(1000, generator=torch.Generator().manual_seed(1)), -1).half()
    with pytest.raises(InvalidInputError, match="float64"):
        RLHFGame(np.zeros((1, 1000)), [1], half, KL(1.0))
    mended = half.double() / half.double().sum()  # as the message says
    assert abs(RLHFGame(np.zeros((1, 1000)), [1], mended, KL(1.0)).reference.sum() - 1) < 1e-12


@pytest.mark.parametrize("lam", [1e14, 1e30, 1e300])
def test_a_strength_beyond_all_rewards_leaves_the_initial_model(divergence_class, lam):
    rewards = [[0.0, 1234.5, 900.0], [1e3, 0.0, 1e3]]
    game = RLHFGame(rewards, [1, 1], [0.2, 0.3, 0.5], divergence_class(lam))
    np.testing.assert_allclose(sw_max(game), game.reference, rtol=1e-10)
    assert np.abs(affine_maximizer_payments(game)).max() <= 1e6 / lam + 1e-11
    assert solve(game).value == pytest.approx(0.3 * 1234.5 + 450 + 700, rel=1e-9)


def test_models_and_payments_must_fit_the_game():
    game = RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0))
    for model in ([-0.5, 1.5], [2.0, 2.0], [0.5, 0.4], [np.nan, 1.0], [np.inf, 0.0]):
        for call in (game.welfare, game.valuations, game.divergence_cost):
            with pytest.raises(InvalidInputError, match="model"):
                call(model)
        with pytest.raises(InvalidInputError, match="model"):
            game.utilities(model, [0.0])
    for payments in ([0.0, 1.0, 2.0], [np.nan], [-np.inf], np.zeros((3, 2))):
        with pytest.raises(InvalidInputError, match="payments"):
            game.utilities([0.5, 0.5], payments)
    mechanism = Mechanism(sw_max, lambda g: [0.0, 0.0])
    with pytest.raises(InvalidInputError, match="payments"):
        mechanism.utilities(game, game)


def test_values_that_overflow_are_named():
    for build in (
        lambda: CandidateGame([[1e308, 1.0], [1e308, 2.0]], [10, 10]),
        lambda: RLHFGame([[1e308, -1e308]], [10], [0.5, 0.5], KL(1.0)),
        lambda: RLHFGame([[1e10, 0.0]], [1], [0.5, 0.5], KL(1e-295)),
        lambda: KL(1e301),
        lambda: KL(5e-324),
    ):
        with pytest.raises(InvalidInputError, match=r"values\[|rewards\[|lam"):
            build()
    np.testing.assert_array_equal(normalize([1e308, -1e308, 0.0], "min-max"), [1.0, 0.0, 0.5])


def test_views_of_what_others_can_write_are_copied():
    base = np.ones((2, 3))
    view = base[:]
    view.flags.writeable = False
    game = CandidateGame(view, [1, 1])
    base[0, 0] = 99.0
    assert game.values.max() == 1.0


def test_optimum_stays_positive_where_leaving_out_would_cost_without_limit():
    for divergence in (ReverseKL(1.0), Alpha(0.0, 1.0), Alpha(-1.0, 1.0)):
        game = RLHFGame([[0.0, 1e250]], [1], [1e-200, 1.0], divergence)
        assert sw_max(game).min() > 0 and np.isfinite(solve(game).value)
        assert np.isfinite(affine_maximizer_payments(game)).all()


def test_divergences_are_finite_where_they_are():
    least = [5e-324, 0.25, 0.75]
    without = JensenShannon(1.0).value([0.5, 0.5], least[1:])
    assert JensenShannon(1.0).value([0.0, 0.5, 0.5], least) == pytest.approx(without, rel=1e-14)
    for name in (ChiSquared, lambda lam: Alpha(2.0, 2 * lam)):  # 1 / 1e-309 is beyond float64
        assert name(1e-10).value([1.0, 0.0], [1e-309, 1.0]) == pytest.approx(1e299, rel=1e-6)
        assert name(1.0).value([1.0, 0.0], [1e-309, 1.0]) == np.inf
    assert KL(1.0).value([1.0, 0.0], [5e-324, 1.0]) == pytest.approx(744.44, abs=0.01)
    for divergence in (KL(1.0), ChiSquared(1.0)):
        assert divergence.value([0.5, 0.5], [1.0, 0.0]) == np.inf


@pytest.mark.parametrize("rare", [2.2e-308, 1e-310, 5e-324])
def test_a_reference_of_few_digits_is_refused(rare):
    """Its inverse is beyond float64, and the optimum under two divergences was not a number."""
    least = np.finfo(float).tiny
    for divergence in (KL(1.0), TotalVariation(1.0), SquaredHellinger(1.0), Alpha(0.3, 1.0)):
        with pytest.raises(InvalidInputError, match=r"reference\[2\].*at least 2.225e-308"):
            RLHFGame([[0.0, 0.1, 900.0]], [1], [0.5, 0.5, rare], divergence)
        solution = solve(RLHFGame([[0.0, 0.1, 900.0]], [1], [0.5, 0.5, least], divergence))
        assert abs(solution.policy.sum() - 1) < 1e-12 and solution.dual_gap < 1e-9 * solution.value


def test_chi_squared_with_a_large_multiplier_is_exact():
    chi = RLHFGame([[8.6e9, 1.7e10, 1.5e10, 2.8e10]], [1],
                   [0.853, 0.147 - 2.6e-8, 2.2e-8, 4e-9], ChiSquared(87.0))  # fmt: skip
    exact = float(payments_mpmath(chi, 60)[0])
    assert affine_maximizer_payments(chi)[0] == pytest.approx(exact, rel=1e-12)


def test_total_variation_stays_exactly_where_it_is():
    game = RLHFGame([[1.0, 0.0, 0.5]], [1], [0.1, 0.2, 0.7], TotalVariation(1e200))
    np.testing.assert_array_equal(sw_max(game), game.reference)
    assert solve(game).dual_gap == 0


WAKE = """
import glob, time
import numpy as np
def woken():
    own = str(__import__("os").getpid())
    time.sleep(0.5)  # a thread without work spins for a tenth of a second, then sleeps
    rows = {}
    for path in glob.glob("/proc/self/task/*/status"):
        if path.split("/")[4] != own:
            text = open(path).read()
            rows[path] = int(text.split("voluntary_ctxt_switches:")[1].split()[0])
    return rows
from mechanism import *
from mechanism.core.products import dot, leave_one_out, means, weighted_rows
m = 300_000
rng = np.random.default_rng(0)
x = rng.random(m); tall = rng.random((300, 2000))
kinds = KL, ChiSquared, TotalVariation, ReverseKL, JensenShannon
divergences = [*(kind(.2) for kind in kinds), Alpha(3., .2)]
games = [RLHFGame(np.stack([x, x[::-1]]), [1., 2.], np.full(m, 1 / m), d) for d in divergences]
candidates = CandidateGame(tall, np.ones(300))
np.vecdot(x, x)
before = woken()
for game in games:
    policy = sw_max(game); affine_maximizer_payments(game); game.welfare(policy)
affine_maximizer_payments(candidates)
dot(x, x); means(tall, tall[0]); leave_one_out(np.ones(300), tall)
after = woken()
np.vecdot(x, x)
control = woken()
print(before == after, after != control, len(before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_thread_of_blas_is_woken():
    root = str(Path(__file__).parents[2])
    environment = {"OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": root}
    run = subprocess.run([sys.executable, "-c", WAKE], env=environment, capture_output=True,
                         text=True, timeout=120, cwd=root)  # fmt: skip
    asleep, control, threads = run.stdout.split()
    if int(threads) == 0 or control == "False":
        pytest.skip("this NumPy keeps no pool of threads that a large product wakes")
    assert asleep == "True", run.stderr
