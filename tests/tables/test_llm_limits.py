"""Fixed units beside the paper's, and what the recorded runs lose: against slow sums."""

import numpy as np
import pytest

from mechanism import sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.llm.runs import limits, outcomes, prices
from mechanism.tables import curves, frontier, objective, scales, support
from mechanism.tables.candidates import INITIAL, from_table
from tests.tables.sample_tables import FEW, LAM, soups

HALF = (5.0, 5.0)


@pytest.fixture(scope="module")
def run():
    return outcomes.seeds_of("faithful_summary")[0]


def test_min_max_as_fixed_units_gives_the_same_curves():
    """Units fixed at what min-max would find change no point; the intervals do change."""
    paper = soups()
    fixed = paper.in_units(*paper.scale)
    one, other = (curves.curves(source, LAM, seed=1, **FEW).frame for source in (paper, fixed))
    for column in ("valuation", "payment", "utility"):
        assert np.allclose(one[column], other[column])
    assert not np.allclose(one["utility_high"], other["utility_high"])


def test_min_max_is_the_rule_of_fixed_units_with_sizes_over_spans():
    paper = soups(seed=3)
    low, high = paper.scale
    fixed = paper.in_units(np.zeros(2), np.ones(2))
    one = paper.game((3.0, 7.0), LAM)
    other = fixed.game(np.array([3.0, 7.0]) / (high - low), LAM)
    welfare = [g.sizes @ g.values - g.divergences for g in (one, other)]
    assert np.ptp(welfare[0] - welfare[1]) < 1e-12


def test_a_bootstrap_in_fixed_units_keeps_them():
    source = soups().in_units([0.0, 0.0], [2.0, 0.5])
    means = np.random.default_rng(0).uniform(size=(5, 2, 7))
    assert np.allclose(source.normalized(means), means / np.array([2.0, 0.5])[:, None])


def test_units_must_rise():
    with pytest.raises(InvalidInputError, match="must exceed low"):
        soups().in_units([0.0, 0.5], [1.0, 0.5])


def test_the_comparison_of_units_is_that_of_slow_sums(run):
    fixed, lam = outcomes.soups_of(run, initial=True), run.settings.lam
    paper = from_table(run.samples, run.settings.rewards).soups()
    few = FEW | {"replicates": 2}
    drawn = [curves.curves(source, lam, **few) for source in (fixed, paper)]
    table = scales.compare(fixed, *drawn).set_index("sizes")
    for sizes in ((3.0, 7.0), (7.0, 3.0)):
        w, row = 0.1 * np.array(sizes), table.loc[curves.size_label(sizes)]
        means, kl = fixed.rewards.mean(-1), fixed.kl.mean(-1)
        objective = {n: w @ means[:, k] - lam * kl[k] for k, n in enumerate(fixed.names)}
        scaled = (means - means[:, 1:].min(-1)[:, None]) / np.ptp(means[:, 1:], axis=-1)[:, None]
        theirs = {n: w @ scaled[:, k] - lam * kl[k] for k, n in enumerate(fixed.names) if k}
        best, other = (max(one, key=one.get) for one in (objective, theirs))
        assert fixed.names[0] == INITIAL
        assert (row["choice, fixed"], row["choice, min-max"]) == (best, other)
        assert row["costs"] == pytest.approx(objective[best] - objective[other])
        assert row["lam for summary"] == pytest.approx(lam * np.ptp(means[1, 1:]))


def test_constants_of_the_initial_model_are_moved_by_no_candidate(run):
    """Another model for a report leaves them, and lam; min-max moves with the candidates."""
    found, lam = outcomes.soups_of(run), run.settings.lam
    table = scales.spreads(run.samples, found, lam)
    better = run.samples.copy()
    reported = better["candidate"] == "soup 1.00"
    better.loc[reported, "reward_faithful"] += 0.1
    moved = from_table(better, run.settings.rewards).only(found.names)
    after = scales.spreads(better, moved, lam)
    kept = ["initial, 5 %", "initial, 95 %", "lam, initial"]
    assert table[kept].equals(after[kept])
    assert after["lam, min-max"][0] == pytest.approx(table["lam, min-max"][0] + 0.1 * lam)
    first = run.samples.query("candidate == 'initial'")["reward_faithful"]
    assert (first < table["initial, 5 %"][0]).mean() <= 0.05 < (first <= 0.5).mean()
    assert table["lam, initial"][0] == pytest.approx(lam / np.ptp(np.quantile(first, [0.05, 0.95])))


@pytest.mark.parametrize("sizes", [(3.0, 7.0), HALF])
def test_lam_means_the_same_in_training_choice_and_support(run, sizes):
    """Welfare that the rule compares is the objective of the training; so is the support's."""
    found, lam, weights = outcomes.soups_of(run, True), run.settings.lam, 0.1 * np.array(sizes)
    game = found.game(sizes, lam)
    welfare = game.sizes @ game.values - game.divergences
    at = found.names.index(INITIAL)
    for name in ("soup 0.00", "soup 1.00"):
        got = objective.gains(run.samples, run.settings.rewards, weights, lam, name)
        won = welfare[found.names.index(name)] - welfare[at]
        assert won == pytest.approx(got.net.mean(), abs=1e-12)
        paper = from_table(run.samples, run.settings.rewards).only(found.names).game(sizes, lam)
        theirs = paper.sizes @ paper.values - paper.divergences
        assert abs(theirs[found.names.index(name)] - theirs[at] - won) > 0.01
    drawn = support.from_table(run.support, run.settings.rewards, scale=outcomes.RAW)
    games = drawn.games(sizes, lam)
    scores = np.tensordot(weights, drawn.values, (0, 1))
    best = games.welfare(sw_max(games))
    np.testing.assert_allclose(best, frontier.optimum_bracket(scores, lam).lower, atol=1e-9)


def test_the_utility_left_is_worth_less_payment(run):
    table = prices.utilities(run, HALF)
    assert len(table) == 4 and np.allclose(table["w v"] - table.payment, table.utility)
    found = from_table(run.samples, run.settings.rewards)
    first = 0.5 * found.rewards[:, found.names.index(INITIAL)].mean(-1)
    assert np.allclose((table.utility - table["over initial"]).to_numpy()[:2], first)


def test_the_pivot_over_all_models_charges_what_the_soups_lose(run):
    """Payments of the two pivots differ by the others' loss to the soups: at least 0 but noise."""
    table = prices.utilities(run, HALF).pivot(index="group", columns="method", values="payment")
    assert (table[prices.PIVOT_ONLY] > table["best candidate"]).all()


def test_few_prompts_cost_little_and_the_loss_lies_between_its_bounds(run):
    gains = limits.gains_from_few_prompts(run, HALF, seed=0)
    assert (gains["honest gain"] <= gains["gain, knowing"]).all()
    assert (gains["gain, knowing"] <= gains["w range"]).all()
    lost = limits.welfare_lost(run, HALF, seed=0)
    assert 0 < lost["loss, low"] < lost["loss, high"] and 0 < lost["kept"] < 1
