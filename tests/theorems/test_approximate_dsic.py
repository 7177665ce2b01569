"""Noise: Lemmas D.1 and D.2, Theorem 4.12, the sharp loss, IR under noise, and every control."""

from fractions import Fraction

import numpy as np
import pytest

from mechanism import (
    KL,
    Alpha,
    ChiSquared,
    InvalidInputError,
    JensenShannon,
    Mechanism,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.attack.games import draw_games, pick
from mechanism.certificates.approximate_dsic import (
    certify_kl_tightness,
    prove_lemma_d_1,
    prove_lemma_d_2,
    prove_thm_4_12,
)
from mechanism.controls.approximate_dsic import CONTROLS
from mechanism.theorems.approximate_dsic import (
    affine_utilities,
    check_lemma_d_2,
    check_thm_4_12,
    dependent_noise_witness,
    expected_gains,
    ir_witness,
    noise_loss,
    sharp_divergence,
    sharp_loss,
    tight_game,
    tight_noise,
    two_outcome_loss,
    two_valued_noise,
    with_noise,
    worst_two_outcomes,
)

SHARP = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)


@pytest.mark.parametrize("seed", [0, 1])
def test_lemma_d_2_holds(seed):
    result = check_lemma_d_2(budget=600, seed=seed)
    assert result.status == "holds"
    assert result.margin < 0.01  # the search comes within 1 % of the bound


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("with_sizes", [False, True])
def test_theorem_4_12_holds(games, with_sizes):
    result = check_thm_4_12(games=games, budget=800, with_sizes=with_sizes)
    assert result.status == "holds"
    assert result.margin < 0.02


def test_constant_two_is_reached_by_candidates():
    assert abs(check_thm_4_12(games="candidate", budget=800).margin) < 1e-8


@pytest.mark.parametrize("claim,name", [(c, n) for c, row in CONTROLS.items() for n in row])
def test_control_is_noticed(claim, name):
    result = CONTROLS[claim][name](1000, 11)
    assert result.claim == claim
    assert result.status == "violated"


@pytest.mark.parametrize("family", SHARP)
@pytest.mark.parametrize("t", [3.0, 20.0])
def test_two_outcome_loss_is_reached_and_not_exceeded(family, t):
    loss, game = worst_two_outcomes(family, t)
    formula = float(two_outcome_loss(family(1.0), t))
    assert 0.93 * formula < loss <= formula * (1 + 1e-9)
    assert loss == pytest.approx(float(noise_loss(game, [t, 0.0])), abs=1e-9)


@pytest.mark.parametrize("family", [ReverseKL, SquaredHellinger, JensenShannon])
def test_a_third_outcome_reaches_the_whole_spread_where_slopes_are_bounded(family):
    divergence, epsilon = family(1e-4), 0.05
    game = tight_game(divergence, epsilon)
    loss = float(noise_loss(game, tight_noise(game, epsilon)))
    assert loss > 0.99 * 0.1 > 1.001 * float(two_outcome_loss(family(0.1), 0.1))


@pytest.mark.parametrize("family", SHARP)
def test_no_random_game_exceeds_the_sharp_loss(family):
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(60):
        lam, m = float(10 ** rng.uniform(-2, 1)), int(rng.integers(2, 9))
        q = rng.dirichlet(np.full(m, 0.3)) + 1e-9
        game = RLHFGame(rng.random((2, m)), [1, 2], q / q.sum(), family(lam))
        spread = float(10 ** rng.uniform(-2, 1))
        loss = float(noise_loss(game, two_valued_noise(game, spread, rng)))
        worst = max(worst, loss / float(sharp_loss(family(lam), spread)))
    assert 0.05 < worst <= 1 + 1e-9


@pytest.mark.parametrize("family", SHARP[:3])
def test_tight_game_meets_the_sharp_loss(family):
    divergence, epsilon = family(0.01), 0.05
    game = tight_game(divergence, epsilon, size=3.0)
    assert game.normalization == "summation"
    loss = float(noise_loss(game, 3.0 * epsilon * np.array([-1.0, 1.0])))
    assert loss == pytest.approx(float(sharp_loss(divergence, 0.3)), rel=2e-3)


def test_tight_game_refuses_large_noise():
    with pytest.raises(InvalidInputError, match="epsilon"):
        tight_game(KL(0.01), 0.4)


def test_sharp_loss_has_no_formula_for_alpha():
    with pytest.raises(InvalidInputError, match="no closed form"):
        sharp_loss(Alpha(3.0, 1.0), 1.0)


def test_kl_gain_is_quadratic_for_small_noise():
    """(w eps)^2 / (2 lam): spread 2 w eps."""
    assert sharp_loss(KL(2.0), 2e-3) == pytest.approx(1e-6 / (2 * 2.0), rel=1e-3)


def test_two_valued_noise_beats_random_noise():
    rng = np.random.default_rng(0)
    game = pick(draw_games(rng, 1, "KL"), 0)
    spread = 2.0 * game.divergence.lam
    chosen = noise_loss(game, two_valued_noise(game, spread, rng))
    random = noise_loss(game, spread * rng.uniform(-0.5, 0.5, (500, game.outcomes)))
    assert chosen >= random.max()


def test_dependent_noise_breaks_the_bound_up_to_the_others_sizes():
    game, truth, report = dependent_noise_witness(0.1, 1.0, 3.0)
    for heard in (truth, report):
        assert np.abs(heard.values - game.values).max() <= 0.1 + 1e-12
    gain = (affine_utilities(game, report) - affine_utilities(game, truth))[0]
    assert gain == pytest.approx(2 * 0.1 * (1 + 2 * 3), rel=1e-6)
    assert gain > 2 * 0.1 * 1.0


def test_ir_loses_one_or_two_w_eps():
    for signed, share in [(False, 1.0), (True, 2.0)]:
        game, noisy = ir_witness(0.1, 2.0, signed)
        assert np.abs(noisy.rewards - game.rewards).max() <= 0.1 + 1e-12
        assert (noisy.rewards.min() < 0) == signed
        utility = affine_utilities(game, noisy)[0]
        assert -share * 0.2 <= utility < -0.99 * share * 0.2


def test_ir_never_loses_more():
    rng = np.random.default_rng(3)
    for _ in range(50):
        game = pick(draw_games(rng, 1), 0)
        epsilon = float(10 ** rng.uniform(-3, 0))
        noise = epsilon * rng.choice([-1.0, 1.0], (40, *game.rewards.shape))
        utilities = affine_utilities(game, with_noise(game, noise))
        assert (utilities >= -2 * epsilon * game.sizes - 1e-9).all()
        kept = np.maximum(game.rewards + noise, 0.0) - game.rewards
        utilities = affine_utilities(game, with_noise(game, kept))
        assert (utilities >= -epsilon * game.sizes - 1e-9).all()


def test_delta_optimal_rule_needs_delta():
    """Candidates: of those within delta of the best, the rule takes the last."""
    delta = 0.05

    def rule(game):
        scores = game.scores()
        return np.flatnonzero(scores >= scores.max() - delta)[-1]

    def payments(game):
        rows = [game.sizes[j] * game.values[j] for j in range(game.groups)]
        total, chosen = sum(rows), rule(game)
        costs = 0.0 if game.divergences is None else game.divergences
        return np.array([(total - r - costs).max() - (total - r - costs)[chosen] for r in rows])

    sloppy = Mechanism(rule, payments)
    assert check_thm_4_12(sloppy, "candidate", 800).status == "violated"
    assert check_thm_4_12(sloppy, "candidate", 800, delta=delta).status == "holds"


def test_expected_gain_is_within_the_bound():
    game = tight_game(KL(0.05), 0.1)
    gains = expected_gains(game, game.with_report(0, reward=[1.0, 0.0]), 0, 0.1, 400)
    assert gains.shape == (400,)
    assert gains.mean() <= 0.2
    assert (gains <= 0.2 + 1e-12).all()


def test_user_mechanism_is_checked():
    own = Mechanism(sw_max, affine_maximizer_payments)
    assert check_thm_4_12(own, budget=300).status == "holds"
    free = Mechanism(sw_max, lambda game: 0 * affine_maximizer_payments(game))
    assert check_thm_4_12(free, budget=300).status == "violated"


def test_witness_replays():
    result = check_thm_4_12(budget=300)
    assert abs(result.witness.replay() - result.margin) <= result.tolerance


def test_certificates():
    proofs = [*prove_lemma_d_1(), prove_lemma_d_2(), *prove_thm_4_12()]
    assert all(proof.proved for proof in proofs)
    gain = proofs[4]
    assert "others' noise does not follow the report" in gain.core
    assert "noise at T at least -eps" in gain.unused
    ball = certify_kl_tightness(Fraction(1000), Fraction(993))
    assert ball.slack > 0
    assert ball.share > 0.99


def test_sharp_divergence_is_seeded():
    first, second = (sharp_divergence(np.random.default_rng(4), 0.1) for _ in range(2))
    assert first == second
