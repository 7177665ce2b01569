"""Payments from one training: price, welfare, noise, trained curves, attack and every control."""

import numpy as np
import pytest
from scipy.integrate import quad

from mechanism import (
    KL,
    CandidateGame,
    InvalidInputError,
    RLHFGame,
    TotalVariation,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.games import draw_candidate_game, draw_rlhf_game
from mechanism.controls.one_training import CONTROLS, UniformAtTheConstantPrice
from mechanism.core.samplers import sample_game
from mechanism.theorems.one_training import (
    Lottery,
    check_one_run,
    climb,
    curve_payment,
    exact_curve,
    expect,
    expected_loss,
    expected_utility,
    integrate,
    payments_of,
    price_by_potentials,
    run_once,
    shrunk,
    welfare_slack,
)

HAND = RLHFGame([[1, 0.5, 0], [0, 0.5, 1]], [3, 1], np.full(3, 1 / 3), TotalVariation(0.6))
LAWS = [Lottery(0.1), Lottery(0.4), Lottery(0.1, 1.0), Lottery(0.3, 0.6), Lottery(0.2, 0.4)]
GRID = np.linspace(0, 1, 401)


def games(count, seed):
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        game = (draw_rlhf_game if len(found) % 3 else draw_candidate_game)(rng)
        outcomes = game.candidates if isinstance(game, CandidateGame) else game.outcomes
        if outcomes <= 8 and game.groups <= 5:
            found.append(game)
    return found


@pytest.mark.parametrize("kind", ["rlhf", "candidate"])
def test_claim_holds(kind):
    result = check_one_run(kind, 250, seed=3)
    assert result.status == "holds", result
    assert result.trials >= 250 and result.tolerance < 1e-6


@pytest.mark.parametrize("name", CONTROLS["one-run"])
def test_control_is_noticed(name):
    results = (CONTROLS["one-run"][name](budget, 1_000_007) for budget in (100, 500))
    found = next((r for r in results if r.status == "violated"), None)
    assert found is not None and found.margin < -100 * found.tolerance


@pytest.mark.parametrize("law", LAWS)
def test_rebate_belongs_to_the_law(law):
    """R by numerical integration of its definition, and its mean, which is 1."""

    def density(s):
        return law.power * s ** (law.power - 1)

    for s in (0.05, 0.3, 0.9):
        tail = quad(lambda t: density(t) / t, s, 1)[0]
        expected = (1 - law.mu + law.mu * tail) / (law.mu * density(s))
        assert law.rebate(s) == pytest.approx(expected, rel=1e-8)
    mean = quad(lambda u: law.mu * law.rebate(law.share(u)), 0, 1, limit=200)[0]
    assert mean == pytest.approx(1.0, abs=1e-6)
    shares = law.draw(np.random.default_rng(0), 200_000)
    assert (shares < 1).mean() == pytest.approx(law.mu, abs=0.005)
    assert (1 - shares).mean() == pytest.approx(law.lost_share, abs=0.003)


def test_by_hand():
    for mu in (0.5, 0.1):
        expected = (1 - mu) * (11 / 15) ** (1 - mu)
        assert expect(Lottery(mu), HAND, 0).payment == pytest.approx(expected, abs=1e-10)
    assert expect(Lottery(1e-4), HAND, 0).payment == pytest.approx(11 / 15, abs=1e-4)


@pytest.mark.parametrize("law", LAWS)
def test_price_without_rebate_agrees(law):
    for game in games(12, 5):
        found, (right, error) = expect(law, game, 0), price_by_potentials(law, game, 0)
        assert abs(found.payment - right) <= found.error + error
        assert found.model.sum() == pytest.approx(1.0, abs=1e-9)


def test_draws_average_to_the_expectation():
    law, rng = Lottery(0.4), np.random.default_rng(1)
    game = sample_game(rng, 3, 4, KL(0.5))
    others = np.array([0.3, 1.0])
    shares = np.insert(np.tile(others, (100_000, 1)), 0, law.draw(rng, 100_000), axis=1)
    paid = payments_of(game, law, shares, sw_max(shrunk(game, shares)))[:, 0]
    error = paid.std() / np.sqrt(len(paid))
    assert abs(paid.mean() - expect(law, game, 0, others).payment) < 4 * error
    runs = [run_once(game, law, rng) for _ in range(50)]
    again = [payments_of(game, law, r.shares, sw_max(shrunk(game, r.shares))) for r in runs]
    np.testing.assert_allclose([r.payments for r in runs], again)
    assert {float(r.shares[1]) == 1.0 for r in runs} == {True, False}


def test_payments_near_the_exact_ones_and_never_negative_on_average():
    for game in games(40, 6):
        for law in (Lottery(0.02), Lottery(0.3)):
            found, exact = expect(law, game, 0), affine_maximizer_payments(game)[0]
            low, high = exact_curve(game, 0, [0.0, 1.0])
            assert abs(found.payment - exact) <= law.mu * (high - low) + found.error
            assert found.payment >= -found.error


@pytest.mark.parametrize("law", LAWS)
def test_truth_is_worth_at_least_nothing_in_every_draw(law):
    rng = np.random.default_rng(2)
    for game in games(30, 7):
        for _ in range(10):
            run = run_once(game, law, rng)
            assert game.utilities(run.model, run.payments).min() >= -1e-12
            assert ((run.payments < 0) <= (run.shares < 1)).all()


def test_welfare():
    rng = np.random.default_rng(8)
    for game in games(60, 9):
        shares = rng.random((20, game.groups))
        assert welfare_slack(game, shares).min() >= -1e-10 * abs(game.scores()).max()
    for _ in range(10):
        game = sample_game(rng, 3, 4, KL(0.3), "maximum")
        for law in LAWS:
            values = game.valuations(sw_max(game)) - game.rewards.min(axis=-1)
            lost = expected_loss(game, law, nodes=12)
            assert 0 < lost <= law.lost_share * (game.sizes * values).sum()


def test_expected_loss_is_the_mean_of_draws():
    rng, law = np.random.default_rng(3), Lottery(0.5)
    game = sample_game(rng, 2, 3, KL(0.5))
    draws = shrunk(game, law.draw(rng, (100_000, 2)))
    lost = game.welfare(sw_max(game)) - game.welfare(sw_max(draws))
    assert abs(lost.mean() - expected_loss(game, law)) < 4 * lost.std() / np.sqrt(len(lost))


def test_the_adversary_finds_what_is_there():
    gains = {True: [], False: []}
    for k in range(4):
        game = sample_game(np.random.default_rng(k), 3, 4, KL(0.5), "summation")
        for right in gains:
            law = Lottery(0.3, 1.0) if right else UniformAtTheConstantPrice(0.3, 1.0)
            rows = climb(law, game, 0, float(game.sizes[0]), np.ones(2), seed=k)
            honest = expected_utility(law, game, game, 0)
            best = max(
                expected_utility(law, game, game.with_report(0, reward=row), 0) for row in rows
            )
            gains[right].append(best - honest)
    assert max(gains[True]) < 1e-9 and min(gains[False]) > 1e-7 and max(gains[False]) > 0.1


@pytest.mark.parametrize("law", LAWS)
def test_curve_agrees_with_the_game(law):
    game = sample_game(np.random.default_rng(4), 3, 5, KL(0.8))
    curve = exact_curve(game, 1, GRID)
    found, direct = curve_payment(GRID, curve, law), expect(law, game, 1)
    assert found.expected == pytest.approx(direct.payment, abs=2e-5)
    assert found.exact == pytest.approx(affine_maximizer_payments(game)[1], abs=2e-5)
    coarse = curve_payment(GRID[::80], curve[::80], law)
    assert coarse.bracket[0] <= direct.payment <= coarse.bracket[1]
    draws = law.draw(np.random.default_rng(5), 200_000)
    shares = np.insert(np.ones((len(draws), 2)), 1, draws, axis=1)
    paid = payments_of(game, law, shares, sw_max(shrunk(game, shares)))[:, 1]
    assert paid.std() == pytest.approx(found.standard_deviation, rel=0.05)
    assert (paid < 0).mean() == pytest.approx(found.negative, abs=0.01)
    at = [0, 200, 400]
    whole = np.insert(np.ones((3, 2)), 1, np.maximum(GRID[at], 1e-300), axis=1)
    charged = payments_of(game, law, whole, sw_max(shrunk(game, whole)))[:, 1]
    np.testing.assert_allclose(found.payments[at], charged, rtol=1e-9)


def test_one_share_holds_for_all_prompts_of_a_batch():
    batch = sample_game(np.random.default_rng(9), 2, 4, KL(0.5), batch=(3,))
    batch = RLHFGame(batch.rewards, [2.0, 3.0], batch.reference, KL(0.5))
    singles = [
        RLHFGame(r, [2.0, 3.0], q, KL(0.5))
        for r, q in zip(batch.rewards, batch.reference, strict=True)
    ]
    each = [exact_curve(one, 1, [0.0, 0.4, 1.0]) for one in singles]
    np.testing.assert_allclose(exact_curve(batch, 1, [0.0, 0.4, 1.0]), np.mean(each, axis=0))
    lost = np.mean([expected_loss(one, Lottery(0.2)) for one in singles])
    assert expected_loss(batch, Lottery(0.2)) == pytest.approx(lost)


def test_noise_is_bounded_and_a_guess_lowers_it_without_bias():
    rng = np.random.default_rng(6)
    game = sample_game(rng, 3, 5, KL(0.8))
    curve = exact_curve(game, 0, GRID)
    for mu in (0.05, 0.3):
        plain = curve_payment(GRID, curve, Lottery(mu))
        assert plain.standard_deviation <= curve[-1] * np.sqrt((1 - mu) / mu)
        assert plain.negative == pytest.approx(mu)
        for guess in (curve * 1.05, rng.random(len(GRID)), np.full_like(curve, curve[-1])):
            helped = curve_payment(GRID, curve, Lottery(mu), guess=guess)
            assert helped.expected == pytest.approx(plain.expected, abs=1e-10)
        near = curve_payment(GRID, curve, Lottery(mu), guess=1.05 * curve)
        draws = Lottery(mu).draw(rng, 100_000)
        paid = np.interp(draws, GRID[:-1], near.payments[:-1])
        paid = np.where(draws < 1, paid, near.payments[-1])
        assert abs(paid.mean() - plain.expected) < 4 * paid.std() / np.sqrt(len(paid)) + 1e-3
        assert near.standard_deviation < 0.2 * plain.standard_deviation


def test_standard_error_of_a_trained_curve():
    rng, law = np.random.default_rng(7), Lottery(0.2)
    shares, errors = np.array([0.0, 0.3, 0.7, 1.0]), np.array([0.02, 0.01, 0.03, 0.02])
    values = np.array([0.2, 0.3, 0.5, 0.6])
    claimed = curve_payment(shares, values, law, errors=errors).standard_error
    noisy = values + errors * rng.standard_normal((3000, 4))
    spread = np.std([curve_payment(shares, row, law).expected for row in noisy])
    assert spread == pytest.approx(claimed, rel=0.06)
    assert np.isnan(curve_payment(shares, values, law).standard_error)


def test_quadrature_of_a_step_in_no_cut():
    def step(u):
        return np.where(u > 0.3217, 1.0, 0.0)[:, None]

    value, error, _, _ = integrate(step, np.array([0.0, 1.0]), 1e-8)
    assert abs(value[0] - (1 - 0.3217)) <= max(error, 1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Lottery(1.0), "mu = 1: must be in"),
        (lambda: Lottery(0.1, 0.0), "exponent = 0: must be in"),
        (lambda: curve_payment([0.0, 0.5], [0, 1], Lottery(0.1)), r"shares\[-1\] = 0.5"),
        (lambda: curve_payment([0.5, 0.2, 1], [0, 1, 1], Lottery(0.1)), r"shares\[1\] = 0.2"),
        (lambda: curve_payment([0, 1], [0, 1, 1], Lottery(0.1)), "as many as values"),
        (lambda: curve_payment([0, 1], [0, np.nan], Lottery(0.1)), r"values\[1\] = nan"),
        (
            lambda: check_one_run(lambda rng: sample_game(rng, 2, 9, KL(1.0)), 10),
            "8 outcomes or fewer",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
