"""What the page on training says of its records: balances, costs, rates, controls."""

import numpy as np
import pandas as pd
import pytest

from mechanism.llm.runs import comparison, outcomes
from mechanism.llm.studies import learning_rates
from mechanism.llm.training import rounds
from mechanism.tables import objective
from mechanism.tables.candidates import from_table
from tests.llm.nets_by_loops import nets_of


@pytest.fixture(scope="module")
def runs():
    return comparison.trainings()


def test_both_trainers_stand_beside_each_other(runs):
    table = comparison.beside(runs)
    assert set(table.trainer) == {"regression", "rloo", "rloo, as many completions"}
    equal = table[table.trainer == "rloo, as many completions"]
    assert list(equal["trained for"]) == ["harmless"]
    rest = table.drop(equal.index)
    assert (rest.groupby(["game", "trained for"]).trainer.nunique() == 2).all()


def test_a_model_pays_its_divergence_back_where_its_objective_rose(runs):
    table = comparison.beside(runs)
    assert ((table["paid back"] > 1) == (table.net > 0)).all()
    assert (table.net < 0).any() and (table.net > 0).any()


def test_won_over_lam_kl_is_two_at_a_nearby_optimum():
    """p ~ q exp(r / lam) for a large lam, exactly; on half of the way there it is larger."""
    rng = np.random.default_rng(0)
    reward, first = rng.uniform(size=50), rng.dirichlet(np.ones(50))

    def paid_back(step, lam=20.0):
        tilted = first * np.exp(step * reward / lam)
        policy = tilted / tilted.sum()
        return (policy - first) @ reward / (lam * policy @ np.log(policy / first))

    assert paid_back(1.0) == pytest.approx(2, rel=0.02)
    assert paid_back(0.5) == pytest.approx(4, rel=0.02)


def test_costs_are_those_of_the_settings(runs):
    by_trainer = {comparison.trainer_of(run): comparison.costs(run) for run in runs}
    slow, fast = by_trainer["rloo"], comparison.costs(runs[0])
    assert runs[0].settings.trainer == "regression" and runs[0].settings.seed == 0
    equal = by_trainer["rloo, as many completions"]
    total = fast["texts for all models"] + fast["texts for each model"]
    assert equal["texts for each model"] == pytest.approx(total, rel=0.03)
    assert slow["texts for all models"] == 0 and slow["texts for each model"] == 30 * 16
    assert fast["texts for all models"] == 330 * 48 and fast["texts for each model"] == 330 * 24
    assert fast["minutes for one model"] is None and slow["minutes for one model"] > 10


def test_shares_of_the_possible_are_those_of_the_samples(runs):
    """The record of outcomes against the samples of the same models: the last fit of each."""
    table = comparison.shares(runs).set_index(["game", "trained for", "seed", "trainer"])
    assert table.index.is_unique and len(table.xs("rloo", level="trainer")) == 4
    for run in runs:
        kind, told = run.settings.trainer, f"regression, {run.settings.rounds} rounds"
        for reward, end in zip(run.settings.rewards, ("soup 1.00", "soup 0.00"), strict=True):
            rows = from_table(run.samples, [reward])
            if end not in rows.names:  # one reward alone was trained for
                continue
            first, last = rows.names.index("initial"), rows.names.index(end)
            won = (rows.rewards[0, last] - rows.rewards[0, first]).mean()
            named = told if kind == "regression" else comparison.trainer_of(run)
            key = run.settings.game, reward, run.settings.seed, named
            assert np.sign(table.loc[key, "share"]) == np.sign(won - 0.1 * rows.kl[last].mean())
            got = objective.reached(run.samples, [reward], np.ones(1), 0.1, end)
            assert table.loc[key, "share"] == pytest.approx(got.share, rel=2e-3)


def test_the_divergence_by_step_is_the_log_and_regression_keeps_none(runs):
    run = outcomes.rloo_run("harmless_humor")
    table = comparison.divergence_by_step(run, parts=2)
    half = run.training.query("trained_for == 'humor' and step <= 30").kl.mean()
    assert table.loc["humor"].iloc[0] == pytest.approx(half)
    with pytest.raises(ValueError, match="logs no divergence"):
        comparison.divergence_by_step(runs[0])


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_the_power_of_the_rate_is_found_again(power):
    rates, rng = np.array([1e-3, 5e-4, 2.5e-4]), np.random.default_rng(1)
    exact = 3 * rates**power
    drawn = []
    for _ in range(400):
        kl = exact * (1 + 0.05 * rng.normal(size=3))
        table = pd.DataFrame({"rate": rates, "kl": kl, "kl_se": 0.05 * exact})
        drawn.append(learning_rates.exponent(table))
    found, errors = np.array(drawn).T
    assert found.mean() == pytest.approx(power, abs=0.01)
    assert errors.mean() == pytest.approx(found.std(), rel=0.15)


def test_the_recorded_rates_refute_the_square():
    power, error = learning_rates.exponent(learning_rates.recorded())
    assert power + 5 * error < 2 and power - 2 * error > 0


def test_soups_are_in_fixed_units_that_a_candidate_cannot_move(runs):
    found = outcomes.soups_of(runs[0], initial=True)
    assert np.array_equal(found.values, found.rewards.mean(-1))
    fewer = found.only(found.names[:3])
    assert np.array_equal(fewer.values, found.values[:, :3])
    paper = from_table(runs[0].samples, runs[0].settings.rewards).only(found.names)
    assert not np.allclose(paper.only(found.names[:3]).values, paper.values[:, :3])


def test_half_a_soup_is_one_by_its_own_samples():
    run = comparison.scaled_run()
    found = comparison.scaled_soups(run).set_index(["sizes", "weight", "scale"])
    assert found.index.is_unique and run.settings.soup_scales == (0.5,)
    rows = from_table(run.samples, run.settings.rewards)
    start = rows.names.index("initial")
    for name, scale in (("soup 0.40", 1.0), ("0.5 of soup 0.40", 0.5)):
        k, weights = rows.names.index(name), np.array([0.3, 0.7])
        won = weights @ (rows.rewards[:, k] - rows.rewards[:, start])
        line = found.loc[("3, 7", 0.4, scale)]
        assert line.won == pytest.approx(won.mean()) and line.kl == pytest.approx(rows.kl[k].mean())
        assert line.net == pytest.approx((won - 0.1 * rows.kl[k]).mean())
    released = found[found.index.get_level_values("weight").isna()]
    best = found.drop(released.index).groupby("sizes").net.max()
    assert len(released) == 6 and (released.net.groupby("sizes").max() <= best).all()


def test_the_scaled_run_is_of_a_seed_whose_record_has_a_larger_pool_and_whole_soups():
    run = comparison.scaled_run()
    (other,) = [
        r for r in outcomes.seeds_of(run.settings.game) if r.settings.seed == run.settings.seed
    ]
    assert other.settings.soup_scales == () and other.folder != run.folder
    assert comparison.texts_drawn(other)[0] > comparison.texts_drawn(run)[0]


def test_a_seed_that_was_trained_again_shows_every_training_and_counts_one():
    """None is left out, and the one that counts is the one whose outcomes the verdict has."""
    table = comparison.repeats("harmless_humor", 1)
    assert table.groupby(["pool", "soups"]).ngroups == 3 and (table.verdict == "yes").sum() == 3
    counted = table[table.verdict == "yes"].set_index("sizes")
    everywhere = outcomes.outcomes(["harmless_humor"])
    mine = everywhere[(everywhere.kind == "released soup") & (everywhere.seed == "1")]
    for row in mine.itertuples():
        assert counted.loc[row.model.removeprefix("soup released at "), "net"] == row.net
    first = table[(table.soups == 3) & (table.sizes == "3, 7")].iloc[0]
    assert first.errors < outcomes.EACH < counted.errors.min()  # what it was trained again for
    texts = table.pool.map(lambda pool: np.prod([int(part) for part in pool.split(" x ")]))
    assert texts.is_monotonic_increasing


def test_texts_and_tokens_are_fitted_to_the_same_pool_and_judged_on_the_same_prompts():
    """Slow oracle: net of each prompt by loops over both records, and their differences."""
    table = comparison.fitted_to().set_index(["trained for", "fit_to"])
    runs = {"texts": comparison.texts_run(), "tokens": comparison.scaled_run()}
    pools = [run.settings.only(*rounds.SETTINGS, "train_prompts") for run in runs.values()]
    assert pools[0] == pools[1] and runs["texts"].settings.fit_to == "texts"
    starts = [run.samples.query("candidate == 'initial'").text.tolist() for run in runs.values()]
    assert starts[0] == starts[1]
    for name, end in (("harmless", "soup 1.00"), ("humor", "soup 0.00")):
        nets = {kind: nets_of(run, name, end) for kind, run in runs.items()}
        for kind, net in nets.items():
            assert table.loc[(name, kind), "net"] == pytest.approx(net.mean())
        less = nets["tokens"] - nets["texts"]
        assert len(less) == 64 and table.loc[(name, "texts"), "less"] == pytest.approx(less.mean())
        assert table.loc[(name, "texts"), "less_se"] == pytest.approx(less.std(ddof=1) / 8)
