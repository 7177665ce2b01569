"""Estimated payments against exact ones on random enumerable games; no language model is needed."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mechanism import KL, CandidateGame, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.figures.llm import payments as figures
from mechanism.payments import estimates, models, recorded
from mechanism.payments import study as studies
from mechanism.theorems.efficient_payments import (
    checkpoint_payments,
    early_stopped_payments,
    others_welfare,
)
from tests.payments.payment_games import LAM, SIZES, drawn, make_game


@pytest.fixture(scope="module")
def game():
    return make_game()


@pytest.fixture(scope="module")
def study(game):
    return studies.study(game, counts=(16, 64), repeats=150)


def pick(study, method, samples):
    return study[(study.method == method) & (study.samples == samples)]


def test_samples_have_the_frequencies_of_the_policy(game):
    index, rows = drawn(game, game.reference, 4000, 1)
    for p in range(8):
        found = np.bincount(index[0, p], minlength=80) / 4000
        error = np.sqrt(game.reference[p] * (1 - game.reference[p]) / 4000)
        assert np.all(np.abs(found - game.reference[p]) <= 4.5 * error + 1e-3)
    np.testing.assert_array_equal(rows[0, 3, 1], game.rewards[3, 1, index[0, 3]])


def test_the_plug_in_is_the_exact_payment_of_the_sampled_support(game):
    _, rows = drawn(game, game.reference, 32, 3)
    support = RLHFGame(rows, SIZES, np.full(32, 1 / 32), KL(LAM))
    found = estimates.log_partition(rows, SIZES, LAM)
    exact = affine_maximizer_payments(support)
    np.testing.assert_allclose(found.per_prompt, exact, atol=1e-12)
    assert found.per_prompt.min() >= -1e-12


def test_every_outcome_with_its_weight_gives_the_exact_payment(game):
    """A uniform proposal that is enumerated leaves no noise, so the log ratio is used rightly."""
    log_ratio = -np.log(game.reference * 80)
    found = estimates.log_partition(game.rewards, SIZES, LAM, log_ratio=log_ratio)
    np.testing.assert_allclose(found.per_prompt, affine_maximizer_payments(game), atol=1e-12)
    turned = estimates.log_partition(game.rewards, SIZES, LAM, log_ratio=-log_ratio)
    assert np.abs(turned.per_prompt - affine_maximizer_payments(game)).max() > 1e-3


def test_the_area_under_exact_intermediate_models_is_the_payment(game):
    """Twelve trained strengths suffice for 1e-9; two do not."""
    exact = studies.exact_payments(game)
    own = game.valuations(sw_max(game))
    gaps = []
    for count in (2, 12):
        nodes, _ = models.gauss_strengths(count)
        found = models.intermediate_models(game, nodes)
        curve = np.vecdot(found, game.rewards)
        area = models.thermodynamic(curve, own, SIZES)
        assert area.trainings == 2 * count
        gaps.append(np.abs(area.payment - exact).max())
    assert gaps[1] < 1e-9
    assert gaps[0] > 1e-6


UNBIASED = (
    "log-partition, jackknife",
    "log-partition, pivot only, jackknife",
    "thermodynamic",
)


@pytest.mark.parametrize("method", UNBIASED)
def test_corrected_estimates_are_right_on_average(study, method):
    """64 completions, 150 draws: within 4 standard errors of the mean (one second-order rest)."""
    rows = pick(study, method, 64)
    assert len(rows) == 2
    assert np.all(rows.bias.abs() <= 4 * rows.bias_error + 0.01 * rows.exact)
    np.testing.assert_allclose(rows.claimed / rows.spread, 1.0, atol=0.25)
    assert rows.coverage.min() > 0.85


def test_the_wrong_sign_is_noticed(study):
    rows = pick(study, "wrong sign (control)", 64)
    assert np.all(rows.bias.abs() > 20 * rows.bias_error + 0.01 * rows.exact)


def test_dropping_the_correction_raises_the_bias_at_small_effective_size(game):
    """Negative control at an effective sample size of about 3."""
    _, rows = drawn(game, game.reference, 12, 2000)
    exact = studies.exact_payments(game)
    plain, delta, jackknife = (
        estimates.log_partition(rows, SIZES, LAM, c).against(exact) for c in estimates.CORRECTIONS
    )
    assert 2 < plain.effective_size < 4
    error = plain.error.std(axis=0) / np.sqrt(2000)
    bias = [np.abs(one.error.mean(axis=0)) for one in (plain, delta, jackknife)]
    assert np.all(bias[0] > 8 * error)
    assert np.all(bias[1] < bias[0])
    assert np.all(bias[2] < 0.5 * bias[0])


def test_the_pivot_is_biased_downwards(game):
    """Jensen: the plug-in pivot charges too little, here by over 4 standard errors of the mean."""
    _, rows = drawn(game, game.reference, 16, 1500)
    welfare = others_welfare(game, np.asarray(sw_max(game)))
    found = estimates.log_partition(rows, SIZES, LAM, released=welfare)
    error = found.against(studies.exact_payments(game)).error
    assert np.all(error.mean(axis=0) < -4 * error.std(axis=0) / np.sqrt(1500))


def test_common_samples_cancel(study):
    shared, apart = (pick(study, m, 64) for m in ("log-partition", "independent samples"))
    assert np.all(apart.spread.to_numpy() > 1.8 * shared.spread.to_numpy())


def test_left_out_estimates_agree_with_a_loop(game):
    _, rows = drawn(game, game.reference, 6, 1)
    whole = estimates.log_partition(rows[0], SIZES, LAM)
    corrected = estimates.log_partition(rows[0], SIZES, LAM, "jackknife")
    keep = ~np.eye(6, dtype=bool)
    left = [estimates.log_partition(rows[0][..., k], SIZES, LAM).per_prompt for k in keep]
    slow = 6 * whole.per_prompt - 5 * np.mean(left, axis=0)
    np.testing.assert_allclose(corrected.per_prompt, slow, atol=1e-11)


def test_delta_and_jackknife_agree_where_samples_are_many(game):
    _, rows = drawn(game, game.reference, 4000, 1)
    delta, jackknife = (
        estimates.log_partition(rows[0], SIZES, LAM, c).correction for c in ("delta", "jackknife")
    )
    np.testing.assert_allclose(delta, jackknife, rtol=0.1, atol=1e-7)


def test_the_released_model_alone_prices_itself(game):
    """Any released model, also one that is not optimal, if log(p/q) is known; 4 standard errors."""
    half = studies.checkpoint_models(game, [0.5])[0]
    welfare = others_welfare(game, half)
    without = models.intermediate_models(game, [0.0])[0].transpose(1, 0, 2)
    table = others_welfare(game, np.concatenate([half[None], without]))
    exact = models.leave_one_out(table, 0, [1, 2]).payment
    np.testing.assert_allclose(welfare, table[0])
    index, rows = drawn(game, half, 2000, 1)
    ratios = np.take_along_axis(np.log(half / game.reference), index[0], axis=-1)
    found = estimates.from_released(rows[0], SIZES, LAM, "jackknife", ratios)
    assert np.all(np.abs(found.payment - exact) <= 4 * found.standard_error)
    as_optimal = estimates.from_released(rows[0], SIZES, LAM, "jackknife")
    assert np.abs(as_optimal.payment - exact).max() > 4 * found.standard_error.max()


def test_the_released_models_plug_in_is_never_negative():
    rng = np.random.default_rng(0)
    rows, ratios = rng.normal(size=(200, 2, 5)), rng.normal(size=(200, 5))
    found = estimates.from_released(rows, SIZES, 0.3, log_ratio=ratios)
    assert found.per_prompt.min() >= -1e-12


def test_heuristics_are_those_of_the_theorem_chapter():
    game = make_game(prompts=1)
    single = RLHFGame(game.rewards[0], SIZES, game.reference[0], KL(LAM))
    found = {one.method: one for one in studies.model_estimates(game)}
    for method, exact in (
        ("leave-one-out", affine_maximizer_payments(single)),
        ("heuristic 1", checkpoint_payments(single)),
        ("heuristic 2", early_stopped_payments(single)),
    ):
        np.testing.assert_allclose(found[method].payment, exact, atol=1e-12)
    assert [found[m].trainings for m in found] == [2.0, 0.0, 1.0]
    assert np.isnan(found["heuristic 1"].prompt_error).all()


def test_evaluated_models_are_priced_as_a_candidate_game():
    rng = np.random.default_rng(1)
    values, kl = rng.random((2, 6, 9)), rng.random((6, 9))
    game = CandidateGame(values.mean(axis=-1), SIZES, LAM * kl.mean(axis=-1))
    table = models.welfare_table(values, kl, SIZES, LAM)
    found = models.heuristic_1(table, int(sw_max(game)))
    np.testing.assert_allclose(found.payment, affine_maximizer_payments(game), atol=1e-12)
    assert np.isfinite(found.prompt_error).all()
    assert models.heuristic_1(table, 0, [1]).payment.min() < found.payment.min()


def test_recorded_runs_are_priced_in_every_way(game):
    """Trained soups that are known exactly: every estimate within 4 errors of its exact target."""
    path = studies.checkpoint_models(game, [0.0, 0.4, 0.7])
    values = game.valuations(path).transpose(2, 0, 1)
    kl = np.asarray(game.divergence_cost(path)) / LAM
    chosen = recorded.released_candidate(values, kl, SIZES, LAM)
    assert chosen == 2
    index, rows = drawn(game, game.reference, 3000, 1)
    index, taken = drawn(game, path[chosen], 3000, 1, seed=1)
    ratios = np.take_along_axis(np.log(path[chosen] / game.reference), index[0], axis=-1)
    given = values, kl, rows[0], SIZES, LAM
    found = {
        one.method: one
        for one in recorded.trained_estimates(*given, taken[0], ratios, {0: 1, 1: 0})
    }
    without = models.intermediate_models(game, [0.0])[0].transpose(1, 0, 2)
    table = others_welfare(game, np.concatenate([path, without]))
    exact = models.leave_one_out(table, chosen, [3, 4]).payment
    known = models.welfare_table(values, kl, SIZES, LAM)[chosen]
    pivot = estimates.log_partition(rows[0], SIZES, LAM, "jackknife", released=known)
    np.testing.assert_array_equal(found[pivot.method].payment, pivot.payment)
    for one in (pivot, found["released model, jackknife"]):
        assert np.all(np.abs(one.payment - exact) <= 4 * one.standard_error)
    for name in ("best candidate", pivot.method):  # of soups' own noise their means say nothing
        assert np.isnan(found[name].standard_error).all()
    assert np.all(found["best candidate"].payment <= exact)
    assert found["leave-one-out"].trainings == 2
    np.testing.assert_allclose(
        found["leave-one-out"].payment, [(table[k, :, i] - table[2, :, i]).mean()
                                         for i, k in enumerate((1, 0))]
    )  # fmt: skip
    free = estimates.log_partition(rows[0], SIZES, LAM, "jackknife")
    target = studies.exact_payments(game)
    assert np.all(np.abs(free.payment - target) <= 4 * free.standard_error)
    with pytest.raises(InvalidInputError, match="log_ratio"):
        recorded.trained_estimates(*given, taken[0])


def test_estimates_say_what_they_cost(game):
    found = next(studies.model_estimates(game))
    assert found.seconds(60.0, 0.5) == 120.0
    _, rows = drawn(game, game.reference, 10, 1)
    sampled = estimates.log_partition(rows[0], SIZES, LAM)
    assert sampled.seconds(60.0, 0.5) == 8 * 10 * 0.5
    with pytest.raises(InvalidInputError, match="exact payment is not known"):
        _ = sampled.error


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimates.log_partition(np.ones((3, 2, 1)), SIZES, 1.0), "K >= 2"),
        (lambda: estimates.log_partition(np.ones((3, 2, 4)), [1.0], 1.0), "rewards"),
        (lambda: estimates.log_partition(np.ones((3, 2, 4)), SIZES, -1.0), "lam"),
        (lambda: estimates.log_partition(np.ones((3, 2, 4)), SIZES, 1.0, "bad"), "correction"),
        (lambda: estimates.log_partition(1e5 * np.eye(4)[None, :2], SIZES, 1.0), "outweighs"),
        (lambda: models.leave_one_out(np.ones((3, 2, 2)), 0, [1]), "pivots"),
    ],
)
def test_errors_name_the_fault(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_figures_show_every_method(game, study):
    bias = figures.plot_bias(study, ("log-partition", "thermodynamic"))
    assert [len(axes.collections) for axes in bias.axes[:2]] == [2, 2]
    shown = list(studies.model_estimates(game))
    payments = figures.plot_payments(shown)
    labels = [label.get_text() for label in payments.axes[0].get_yticklabels()]
    assert labels == ["leave-one-out", "heuristic 1", "heuristic 2"]
    plt.close("all")
