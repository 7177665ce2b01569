"""Curves over reports: one game at a time, replicate by replicate, and broken payments."""

import time
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from mechanism import affine_maximizer_payments, misreports, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.oracles import brute_force_candidates
from mechanism.tables import checks, reports
from mechanism.tables.candidates import SIZES
from mechanism.tables.curves import ALPHAS, curves
from mechanism.tables.support import Support
from tests.tables.sample_tables import FEW, LAM, NAMES, samples, soups

matplotlib.use("Agg")


def halved(own, reported, *rest, play=reports.play_candidates):
    played = play(own, reported, *rest)
    return replace(played, payment=played.payment / 2)


@pytest.fixture
def half_payments(monkeypatch):
    """Break the payments of both routes."""
    candidates, drawn = reports.play_candidates, reports.play_samples
    for module in ("reports", "curves"):
        monkeypatch.setattr(
            f"mechanism.tables.{module}.play_candidates",
            lambda *a: halved(*a, play=candidates),
        )
    monkeypatch.setattr("mechanism.tables.reports.play_samples", lambda *a: halved(*a, play=drawn))


def one_by_one(games, strategy, parameter, group):
    """Mean valuation, payment and model of a batch of true games, one report at a time."""
    if strategy == "alpha":
        reported = misreports.scale_size(games, group, parameter)
    else:
        reported = misreports.mix_rewards(games, group, parameter, 1 - group)
    model, paid = sw_max(reported), affine_maximizer_payments(reported)[..., group]
    valuation = games.sizes[group] * games.valuations(model)[..., group]
    return np.mean(valuation), np.mean(paid), model


@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("sizes", SIZES)
def test_candidate_curves_are_the_mechanism_run_report_by_report(sizes, group):
    for seed in range(5):
        source = soups(seed)
        game = source.game(sizes, LAM)
        found = curves(source, LAM, [sizes], group, replicates=1)
        for row in found.frame.itertuples():
            if row.parameter == 0:
                continue
            valuation, paid, model = one_by_one(game, row.strategy, row.parameter, group)
            assert row.choice == source.names[model]
            assert row.valuation == pytest.approx(valuation, abs=1e-12)
            assert row.payment == pytest.approx(paid, abs=1e-12)
            assert row.utility == pytest.approx(valuation - paid, abs=1e-12)
        truth = found.curve(sizes, "alpha").query("parameter == 1").iloc[0]
        index, payments = brute_force_candidates(game)
        assert truth.choice == source.names[index]
        assert truth.payment == pytest.approx(payments[group], abs=1e-12)


@pytest.mark.parametrize("group", [0, 1])
def test_sample_curves_are_the_mechanism_run_report_by_report(group):
    source = samples()
    found = curves(source, LAM, group=group, **FEW)
    for sizes in SIZES:
        games = source.games(sizes, LAM)
        for strategy in ("alpha", "beta"):
            for row in found.curve(sizes, strategy).query("parameter > 0").itertuples():
                valuation, paid, model = one_by_one(games, strategy, row.parameter, group)
                assert row.valuation == pytest.approx(valuation, abs=1e-11)
                assert row.payment == pytest.approx(paid, abs=1e-11)
                assert row.ess == pytest.approx(np.median(1 / (model**2).sum(axis=-1)), abs=1e-8)


@pytest.mark.parametrize("source", [soups(), samples()], ids=["candidates", "samples"])
def test_alpha_zero_is_the_limit_in_which_nothing_is_paid(source):
    grid = np.array([0.0, 1e-7, 1.0])
    for sizes in SIZES:
        rows = curves(source, LAM, [sizes], alphas=grid, replicates=1).curve(sizes, "alpha")
        assert rows.payment[0] == 0
        assert rows.valuation[0] == pytest.approx(rows.valuation[1], abs=1e-5)
        assert rows.payment[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("source", [soups(3), samples(3)], ids=["candidates", "samples"])
def test_swapping_the_groups_swaps_the_results(source):
    if isinstance(source, Support):
        swapped = Support(NAMES[::-1], source.rewards[:, ::-1], source.low[::-1], source.high[::-1])
    else:
        swapped = replace(source, reward_names=NAMES[::-1], rewards=source.rewards[::-1])
    one = curves(source, LAM, SIZES, group=0, **FEW).frame
    two = curves(swapped, LAM, [s[::-1] for s in SIZES], group=1, **FEW).frame
    for name in ("valuation", "payment", "utility", "utility_low", "gain_high"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-12)


def test_identical_groups_pay_nothing_where_nothing_diverges():
    """Up to alpha = 1 group 2 alone wants the same candidate; a divergence changes that."""
    source = soups(2)
    twins = replace(source, rewards=np.stack([source.rewards[0]] * 2))
    frame = curves(twins, 0.0, replicates=5).frame
    assert np.abs(frame.payment).max() == 0
    assert np.abs(frame.payment_high).max() == 0
    rewards = samples().rewards[:, :1].repeat(2, axis=1)
    both = Support(NAMES, rewards, rewards.min(axis=(0, 2)), rewards.max(axis=(0, 2)))
    assert curves(both, LAM, **FEW).summary().payment.min() > 1e-3


def test_truth_is_best_on_every_curve():
    gains = [curves(soups(seed), LAM, replicates=1).worst_gain for seed in range(20)]
    gains += [curves(samples(seed), lam, replicates=1).worst_gain for seed in (0, 1)
              for lam in (0.03, 1)]  # fmt: skip
    assert max(gains) <= 1e-13
    assert max(gains[-4:]) < 0  # on samples every other report loses


@pytest.mark.parametrize("source", [soups(1), samples(1)], ids=["candidates", "samples"])
def test_half_payments_leave_something_to_gain(half_payments, source):
    """Negative control of `worst_gain` and of the area identity."""
    broken = curves(source, LAM, **FEW)
    assert broken.worst_gain > 1e-3
    assert not any(area.holds for area in checks.area_identities(source, broken))


@pytest.mark.parametrize("group", [0, 1])
def test_the_area_identity_holds_on_candidates(group):
    for seed in range(20):
        source = soups(seed, k=11)
        for grid in (ALPHAS, np.array([1.0, 8.0])):
            found = curves(source, LAM, group=group, alphas=grid, replicates=1)
            for area in checks.area_identities(source, found):
                assert area.holds, area
                assert area.tolerance < 1e-11


def test_the_area_is_that_of_a_fine_grid():
    """The midpoint rule on 20,000 cells, which knows no breakpoints."""
    source = soups(5)
    own = reports.point_stakes(source, (5, 5), LAM, 0)
    middles = (np.arange(20_000) + 0.5) / 20_000
    rough = reports.play_candidates(own, own.alpha(middles)).valuation.mean()
    area = checks.area_identities(source, curves(source, LAM, [(5, 5)], replicates=1))[0]
    assert area.area == pytest.approx(rough, abs=1e-3)
    assert area.steps >= 2


@pytest.mark.parametrize("lam", [0.03, 0.3])
def test_the_area_identity_holds_on_samples(lam):
    source = samples(4)
    for area in checks.area_identities(source, curves(source, lam, **FEW)):
        assert area.holds, area
        assert area.tolerance < 1e-10


@pytest.mark.parametrize("source", [soups(), samples()], ids=["candidates", "samples"])
def test_the_area_identity_notices_a_small_error_in_one_payment(source):
    found = curves(source, LAM, **FEW)
    frame = found.frame.copy()
    frame.loc[3, "payment"] += 1e-6
    assert not checks.area_identities(source, replace(found, frame=frame))[0].holds


def test_all_curves_of_64_prompts_and_64_samples_take_well_under_a_second():
    source = samples(0, 64, 64)
    start = time.perf_counter()
    curves(source, LAM)
    assert time.perf_counter() - start < 1.0  # measured: 0.07 s on one core


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alphas": np.array([0.0, 2.0])}, "alphas.*must contain 1"),
        ({"betas": np.array([1.0, 0.5])}, "betas.*rising grid"),
        ({"alphas": np.array([-0.5, 1.0])}, r"alphas\[0\] = -0.5"),
        ({"sizes": [(3, 7, 1)]}, "one size for each of 2 rewards"),
        ({"group": 2}, "i = 2: must be a group index"),
        ({"level": 1.0}, "level must be in"),
        ({"replicates": 0}, "replicates >= 1"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(InvalidInputError, match=message):
        curves(soups(), LAM, **change)


def test_other_errors_name_the_argument():
    with pytest.raises(InvalidInputError, match="lam = 0"):
        curves(samples(), 0.0)
    with pytest.raises(InvalidInputError, match=r"\(1, 9\), alpha: no such curve"):
        curves(soups(), LAM, replicates=1).curve((1, 9), "alpha")


def test_the_summary_finds_the_fall_of_a_valuation():
    """Along beta a valuation may fall, along alpha it cannot."""
    found = curves(samples(2, 20, 8), 0.03, replicates=1)
    summary = found.summary().set_index(["sizes", "strategy"])
    rows = found.curve((7, 3), "beta")
    fall = max(rows.valuation[:k].max() - rows.valuation[k] for k in range(1, len(rows)))
    assert summary.loc[("(7, 3)", "beta"), "valuation_fall"] == pytest.approx(fall)
    assert fall > 1e-3
    along_alpha = summary.xs("alpha", level="strategy")
    assert along_alpha[["valuation_fall", "payment_fall"]].to_numpy().max() < 1e-12


def test_figures_show_what_the_frames_hold():
    from matplotlib import pyplot as plt

    from mechanism.figures.llm import curves as llm

    source = soups()
    found, other = curves(source, LAM, **FEW), curves(soups(9), LAM, **FEW)
    figure = llm.figure_2(found, "beta", [other])
    assert len(figure.axes) == 9
    axes = figure.axes[4]
    rows = found.curve((5, 5), "beta")
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), rows.payment)
    np.testing.assert_array_equal(axes.lines[2].get_ydata(), rows.payment[rows.parameter == 1])
    np.testing.assert_array_equal(axes.lines[3].get_ydata(), other.curve((5, 5), "beta").payment)
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == rows.payment_low.min() and heights.max() == rows.payment_high.max()
    names = (*source.names, "initial", "random")
    rewards = np.concatenate([source.rewards, source.rewards[:, :2]], axis=1)
    more = replace(source, names=names, rewards=rewards, kl=np.zeros((9, 12)),
                   kl_k3=np.zeros((9, 12)))  # fmt: skip
    front = llm.front(more)
    labels = [text.get_text() for text in front.legends[0].get_texts()]
    assert len(labels) == 5 and "initial model" in labels
    plt.close("all")
