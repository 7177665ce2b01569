"""Approximate incentives and the loss of soups, on synthetic arrays and enumerable games."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mechanism import KL, CandidateGame, Mechanism, RLHFGame, sw_max
from mechanism.core import misreports
from mechanism.core.errors import InvalidInputError
from mechanism.core.samplers import sample_game
from mechanism.figures.llm import payments as figures
from mechanism.payments import study as payment_study
from mechanism.tables import frontier, incentives, noisy_training
from mechanism.theorems.approximate_dsic import with_noise

LAM = 0.1
SIZES = np.array([0.3, 0.7])


def make_game(outcomes=60, prompts=8, seed=0):
    rng = np.random.default_rng(seed)
    game = sample_game(rng, 2, outcomes, KL(LAM), "maximum", batch=(prompts,))
    return RLHFGame(game.rewards, SIZES, game.reference, KL(LAM))


def make_soups(seed=0, prompts=48, candidates=7, noise=0.2, base=0.5):
    """Means (n, k), values (n, k, P) and KL (k, P) of a synthetic front, hard prompts included."""
    rng = np.random.default_rng(seed)
    weight = np.linspace(0, 1, candidates)
    means = np.stack([0.4 + 0.3 * weight, 0.7 - 0.3 * weight**2])
    hard = base * rng.normal(size=prompts)
    values = means[..., None] + hard + noise * rng.normal(size=(2, candidates, prompts))
    kl = np.abs(2 * weight - 1)[:, None] + 0.1 * rng.normal(size=(candidates, prompts))
    return means, values, kl


@pytest.fixture(scope="module")
def game():
    return make_game()


def test_candidate_gains_are_those_of_the_mechanism():
    """The best of all forced candidates, found by running the mechanism on each report."""
    mechanism = Mechanism.affine_maximizer()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true, costs = rng.random((2, 6)), 0.2 * rng.random(6)
        heard = true + 0.3 * rng.normal(size=(2, 6))
        found = incentives.candidate_gains(true, heard, costs, SIZES)
        truth = CandidateGame(heard, SIZES, costs)
        for i in range(2):
            judged = truth.with_report(i, reward=true[i])
            forced = [truth.with_report(i, reward=50 * row) for row in np.eye(6)]
            utilities = [mechanism.utilities(judged, report)[i] for report in [truth, *forced]]
            assert found[i] == pytest.approx(max(utilities) - utilities[0], abs=1e-9)


def test_resampled_gains_stay_below_the_bound():
    """The bound holds split by split; with a tenth of it as the bound it would not."""
    _, values, kl = make_soups(noise=0.6)
    found = incentives.resampled_gains(values, kl, SIZES, LAM)
    assert np.all(found.known <= found.bound + 1e-12)
    assert np.any(found.known > 0.1 * found.bound)
    assert found.known.min() >= 0
    assert np.all(found.honest.mean(axis=0) <= found.known.mean(axis=0))
    again = incentives.resampled_gains(values, kl, SIZES, LAM)
    np.testing.assert_array_equal(found.honest, again.honest)


def test_noise_free_rewards_leave_nothing_to_gain():
    means, _, kl = make_soups()
    values = np.repeat(means[..., None], 48, axis=-1)
    found = incentives.resampled_gains(values, kl, SIZES, LAM, repeats=20)
    assert np.abs(found.known).max() < 1e-12
    assert np.abs(found.honest).max() < 1e-12


def test_shortfall_is_a_divergence_from_the_optimum(game):
    rng = np.random.default_rng(0)
    policies = rng.dirichlet(np.ones(60), size=(3, 8))
    best = np.asarray(sw_max(game))
    kl = (policies * np.log(policies / best)).sum(axis=-1).mean(axis=-1)
    found = noisy_training.training_shortfall(game, policies)
    np.testing.assert_allclose(found, LAM * kl, rtol=1e-9)
    assert noisy_training.training_shortfall(game, best) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_gains_under_noise_are_reached_and_bounded(game, share):
    """The best report makes the released model optimal for truth and hearsay."""
    i, noise = 0, 0.1 * np.random.default_rng(0).choice([-1.0, 1.0], (2, 8, 60))
    found = noisy_training.noisy_gain(game, i, noise, share)
    assert 0 <= found.strategy <= found.gain <= found.bound
    assert found.epsilon == pytest.approx(0.1)
    heard = with_noise(game, noise.transpose(1, 0, 2))
    mixed = heard.with_report(i, reward=game.rewards[:, i])
    others = heard.scores() - SIZES[i] * heard.rewards[:, i]
    said = (mixed.scores() / share - others) / SIZES[i] - noise[i]
    rule = Mechanism(
        lambda g: payment_study.checkpoint_models(g, [share])[0],
        lambda g: np.zeros((8, 2)),
    )
    pivot_free = [
        rule.utilities(game, with_noise(report, noise.transpose(1, 0, 2)))[:, i]
        + mixed.welfare(rule.training_rule(with_noise(report, noise.transpose(1, 0, 2))), without=i)
        for report in (replace(game, normalization=None).with_report(i, reward=said), game)
    ]
    assert (pivot_free[0] - pivot_free[1]).mean() == pytest.approx(found.gain, abs=1e-9)


@pytest.mark.parametrize("strategy", ["alpha", "beta"])
def test_strategies_are_those_of_the_paper(game, strategy, monkeypatch):
    """The gain on the grids, by handing in every report and adding the noise to it."""
    noise = 0.4 * np.random.default_rng(0).choice([-1.0, 1.0], (2, 8, 60))
    other = "BETAS" if strategy == "alpha" else "ALPHAS"
    monkeypatch.setattr(noisy_training, other, np.ones(1))
    found = noisy_training.noisy_gain(game, 0, noise)
    worths = []
    for factor in (1.0, *(noisy_training.ALPHAS if strategy == "alpha" else noisy_training.BETAS)):
        if strategy == "alpha":
            report = misreports.scale_size(game, 0, factor)
        else:
            report = misreports.mix_rewards(game, 0, factor, 1)
        model = sw_max(with_noise(report, noise.transpose(1, 0, 2)))
        judged = with_noise(game, noise.transpose(1, 0, 2)).with_report(0, game.rewards[:, 0])
        worths.append(judged.welfare(model).mean())
    assert found.strategy == pytest.approx(max(worths) - worths[0], abs=1e-12)
    assert found.strategy > 1e-4


def test_noise_study_holds_and_needs_both_terms(game):
    table = noisy_training.noise_study(game, draws=5)
    assert np.all(table.gain <= table.bound)
    full = table[table.share == 1.0]
    assert np.all(full.gain <= full.sharp * (1 + 1e-9))
    assert np.all(full.sharp < full.bound)
    assert np.all(full[full.noise == "worst"].gain >= 0.9 * full[full.noise == "worst"].sharp)
    # negative controls: without delta, and without eps, the bound is broken
    assert np.any(table.gain > table.bound - table.delta + 1e-9)
    assert np.any(table.gain > table.delta + 1e-9)


def test_restriction_knows_what_is_lost(game):
    best = np.asarray(sw_max(game))
    path = payment_study.checkpoint_models(game, [0.0, 0.5, 0.8])
    found = frontier.restriction(game, path)
    kl = (path[2] * np.log(path[2] / best)).sum(axis=-1)
    assert found.chosen == 2
    assert found.loss == pytest.approx(LAM * kl.mean())
    assert found.loss_by_prompt <= found.loss
    assert 0 < found.share < 1
    whole = frontier.restriction(game, np.concatenate([path, best[None]]))
    assert whole.loss == pytest.approx(0, abs=1e-12)
    assert whole.share == pytest.approx(1)
    table = frontier.exact_frontier(game, path)
    assert np.all(table.loss >= 0)
    assert table.loss[2] == pytest.approx(found.loss)
    assert np.all(np.diff(table.v1) > 0)


def sampled_scores(game, count, repeats, seed=0):
    shape = (repeats, 8, count)
    index = payment_study.draw(game.reference, np.random.default_rng(seed).random(shape))
    return index, payment_study.gather(game.scores()[:, None], index)[..., 0, :]


def test_the_bracket_holds_the_optimum_on_average(game):
    """600 draws of 32: below and above by over 4 standard errors, the middle much closer."""
    _, scores = sampled_scores(game, 32, 600)
    bracket = frontier.optimum_bracket(scores, LAM)
    exact = game.welfare(sw_max(game)).mean()
    low, middle, high = (
        (getattr(bracket, name).mean(axis=-1) - exact) for name in ("lower", "corrected", "upper")
    )
    error = [one.std() / np.sqrt(600) for one in (low, middle, high)]
    assert low.mean() < -4 * error[0]
    assert high.mean() > 4 * error[2]
    assert abs(middle.mean()) < 0.25 * abs(low.mean())


def test_held_out_halves_give_the_plug_in_of_the_other_half(game):
    """Weights of half two with the normaliser of half one: lam log Z of half one."""
    _, scores = sampled_scores(game, 32, 1)
    one, two = scores[0, :, :16] / LAM, scores[0, :, 16:] / LAM
    log_z = np.log(np.exp(one).mean(axis=-1, keepdims=True))
    weights = np.exp(two) / np.exp(two).sum(axis=-1, keepdims=True)
    held_out = LAM * (weights * (two - (two - log_z))).sum(axis=-1)
    np.testing.assert_allclose(held_out, LAM * log_z[:, 0], rtol=1e-12)


def test_choosing_and_valuing_on_the_same_prompts_flatters():
    """Negative control: models of pure noise, of which the best looks good only to itself."""
    rng, naive, honest = np.random.default_rng(0), [], []
    rewards = rng.random((24, 2, 8))
    for seed in range(150):
        values = 0.5 + 0.3 * rng.normal(size=(2, 9, 24))
        found = frontier.sampled_loss(values, np.zeros((9, 24)), rewards, SIZES, LAM, seed=seed)
        naive.append(found.naive - 0.5)
        honest.append(found.soups - 0.5)
    assert np.mean(naive) > 4 * np.std(naive) / np.sqrt(150)
    assert abs(np.mean(honest)) < 4 * np.std(honest) / np.sqrt(150)


def test_sampled_loss_brackets_the_exact_loss(game):
    """Soups are evaluated exactly here, so that only the optimum is uncertain; 300 draws."""
    path = payment_study.checkpoint_models(game, [0.0, 0.5, 0.8])
    values = game.valuations(path).transpose(2, 0, 1)
    kl = np.asarray(game.divergence_cost(path)) / LAM
    index, _ = sampled_scores(game, 48, 300)
    rows = payment_study.gather(game.rewards, index)
    found = [frontier.sampled_loss(values, kl, one, SIZES, LAM) for one in rows]
    exact = frontier.restriction(game, path).loss
    loss = np.array([one.loss for one in found]) - exact
    error = loss.std(axis=0) / np.sqrt(300)
    assert loss[:, 0].mean() < -4 * error[0]
    assert loss[:, 2].mean() > 4 * error[2]
    assert np.all(found[0].error > 0)
    first = float(game.welfare(game.reference).mean())
    optimum, best = (
        float(game.welfare(sw_max(game)).mean()),
        first + np.mean([o.won for o in found]),
    )
    initial = np.array([one.initial for one in found]) - first
    assert abs(initial.mean()) < 4 * initial.std() / np.sqrt(300)
    kept = np.array([one.kept for one in found])
    assert np.median(kept) == pytest.approx((best - first) / (optimum - first), abs=0.05)
    assert found[0].won_error > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: incentives.resampled_gains(np.ones((2, 3, 1)), np.ones((3, 1)), SIZES, 1.0),
            "P >= 2",
        ),
        (
            lambda: incentives.resampled_gains(np.ones((2, 3, 2)), np.ones((3, 2)), SIZES, 1.0),
            "3 prompts",
        ),
        (lambda: frontier.restriction(make_game(), np.ones((2, 60))), "policies"),
        (lambda: frontier.optimum_bracket(np.ones((2, 3)), 1.0), "at least 4"),
        (
            lambda: frontier.sampled_loss(
                np.ones((2, 3, 5)), np.ones((3, 5)), np.ones((4, 2, 8)), SIZES, 1.0
            ),
            "5 prompts",
        ),
    ],
)
def test_errors_name_the_fault(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_figures_are_drawn(game):
    table = noisy_training.noise_study(game, epsilons=(0.03, 0.1), shares=(1.0, 0.5), draws=2)
    assert len(figures.plot_gain_and_bound(table).axes) == 2
    path = payment_study.checkpoint_models(game, [0.0, 0.5])
    front = frontier.exact_frontier(game, path)
    plane = figures.plot_exact_frontier(front, game.valuations(path).mean(axis=1).T)
    assert len(plane.axes) == 2
    brackets = {
        count: frontier.optimum_bracket(sampled_scores(game, count, 5)[1], LAM) for count in (8, 32)
    }
    drawn = figures.plot_bracket(brackets, 0.5)
    assert len(drawn.axes[0].lines) == 4
    plt.close("all")
