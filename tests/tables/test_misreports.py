"""Does lying pay? On models that are exactly optimal, and on ones that are not."""

import numpy as np
import pandas as pd
import pytest

from mechanism import KL, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.payments import retraining
from mechanism.payments.study import draw, exact_payments
from mechanism.tables import misreports
from mechanism.tables.candidates import INITIAL, SIZES
from mechanism.tables.trained import TRUE, objectives, reports, sw_max_model, without
from tests.payments.payment_games import make_game

LAM, NAMES, SAMPLES = 0.1, ("one", "two"), 400


def optimum(game, weights):
    """The optimal model for some weights of the two rewards, (P, m)."""
    sizes = np.maximum(weights[:2], 1e-12)
    return np.asarray(sw_max(RLHFGame(game.rewards, sizes, game.reference, KL(LAM))))


def table_of(game, models, samples=SAMPLES, seed=0):
    """A sample table of models (P, m) by name, all drawn from the same uniforms."""
    uniforms = np.random.default_rng(seed).random((1, len(game.reference), samples))
    parts = []
    for name, model in models.items():
        index = draw(model, uniforms)[0]
        at = {"candidate": name, "prompt": np.repeat(range(len(index)), samples),
              "sample": np.tile(range(samples), len(index))}  # fmt: skip
        logs = (np.take_along_axis(np.log(part), index, -1) for part in (model, game.reference))
        columns = dict(
            zip(("log_prob", "log_prob_initial"), (log.ravel() for log in logs), strict=True)
        )
        for i, reward in enumerate(NAMES):
            columns[f"reward_{reward}"] = np.take_along_axis(game.rewards[:, i], index, -1).ravel()
        parts.append(pd.DataFrame(at | columns))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def game():
    return make_game(lam=LAM, prompts=24)


@pytest.fixture(scope="module")
def models(game):
    found = {INITIAL: game.reference}
    return found | {n: optimum(game, w) for n, w in objectives().items() if n != "random"}


@pytest.fixture(scope="module")
def table(game, models):
    return table_of(game, models)


def at(game, sizes):
    return RLHFGame(game.rewards, 0.1 * np.array(sizes), game.reference, KL(LAM))


def test_every_figure_is_that_of_a_loop_over_rows(table):
    """Slow oracle: one report, row by row."""
    found = misreports.trained_reports(table, NAMES, LAM).set_index("model")
    rows = {name: part.reset_index() for name, part in table.groupby("candidate")}
    own, others = {}, {}
    for name, part in rows.items():
        own[name] = [0.5 * r for r in part["reward_one"]]
        ratio = part["log_prob"] - part["log_prob_initial"]
        others[name] = [0.5 * r - LAM * k for r, k in zip(part["reward_two"], ratio, strict=True)]
    lie, truth, alone = "alpha 3 at 5, 5", sw_max_model(TRUE), without(TRUE, 0)
    paid = [a - b for a, b in zip(others[alone], others[lie], strict=True)]
    gain = [a - p - b + q - r for a, p, b, q, r in zip(
        own[lie], paid, own[truth], others[alone], others[truth], strict=True)]  # fmt: skip
    assert found.loc[lie, "payment"] == pytest.approx(sum(paid) / len(paid))
    assert found.loc[lie, "utility_gain"] == pytest.approx(sum(gain) / len(gain))
    means = pd.Series(gain).groupby(rows[lie]["prompt"]).mean()
    assert found.loc[lie, "utility_gain_se"] == pytest.approx(means.std() / len(means) ** 0.5)


def test_optimal_models_lie_on_the_exact_curves(game, table):
    """Within 5 errors of sampling at every report, and the exact curve peaks at the truth."""
    found = misreports.trained_reports(table, NAMES, LAM, fixed_prompts=True)
    curves = misreports.exact_reports(at(game, TRUE), steps=61)
    for row in found.itertuples():
        line = curves[(curves["kind"] == row.kind) & np.isclose(curves["value"], row.value)]
        for name in misreports.QUANTITIES:
            off = getattr(row, name) - line[name].item()
            assert abs(off) <= 5 * getattr(row, f"{name}_se")
    for kind, rows in curves.groupby("kind"):
        assert rows.loc[rows["utility"].idxmax(), "value"] == pytest.approx(1.0), kind
    truth = curves[np.isclose(curves["value"], 1.0)].iloc[0]
    exact = affine_maximizer_payments(at(game, TRUE)).mean(axis=0)[0]
    assert truth["payment"] == pytest.approx(exact, abs=1e-9)


def test_lying_pays_without_payments_and_not_with_them(table):
    found = misreports.Lying(misreports.trained_reports(table, NAMES, LAM))
    assert found.holds and found.words.startswith("Yes") and found.worse >= 4
    assert found.best["value"] > 1 and found.best["without"] > 2


def test_the_verdict_can_be_no(game, models):
    """Controls: a truthful model that was not trained; and lies that change nothing."""
    bad = table_of(game, models | {sw_max_model(TRUE): game.reference}, 100)
    found = misreports.Lying(misreports.trained_reports(bad, NAMES, LAM))
    assert found.pays_with and not found.holds and found.words.startswith("No")
    same = {name: models[sw_max_model(TRUE)] for name in models}
    noise = [
        table_of(game, {name: model}, 100, seed) for seed, (name, model) in enumerate(same.items())
    ]
    idle = misreports.Lying(misreports.trained_reports(pd.concat(noise), NAMES, LAM))
    assert idle.lies["paid"].abs().max() < 4 and not idle.holds


@pytest.mark.parametrize("sizes", SIZES)
def test_retraining_agrees_with_exact_payments_where_models_are_optimal(game, table, sizes):
    """Within 4 errors of sampling, all four ways but the best candidate, which is a bound."""
    priced = at(game, sizes)
    found = retraining.retraining_estimates(table, NAMES, sizes, LAM, fixed_prompts=True)
    exact = exact_payments(priced)
    for one in found[:3]:
        assert np.all(np.abs(one.payment - exact) <= 4 * one.standard_error), one.method
    loud = np.array([one.standard_error for one in found[:3]])
    assert (loud < 0.5 * exact).all()  # errors are small enough to say something
    swapped = table.replace({"candidate": {without(sizes, 0): "x", without(sizes, 1): "y"}})
    swapped = swapped.replace({"candidate": {"x": without(sizes, 1), "y": without(sizes, 0)}})
    wrong, *_ = retraining.retraining_estimates(swapped, NAMES, sizes, LAM, fixed_prompts=True)
    assert np.any(np.abs(wrong.payment - exact) > 4 * wrong.standard_error)


def test_what_a_left_out_training_lacks_is_the_shortfall(game, models, table):
    """Optimal models lack nothing; a half-trained one lacks more than 4 errors."""
    whole = retraining.agreement(table, NAMES, TRUE, LAM)
    assert (whole["in errors"].abs() < 4).all()
    half = models | {without(TRUE, 0): optimum(game, (0.0, 0.2))}
    lacking = retraining.agreement(table_of(game, half), NAMES, TRUE, LAM)
    assert lacking["in errors"][0] > 4 and abs(lacking["in errors"][1]) < 4
    gap = lacking["pivot only"] - lacking["retraining"]
    np.testing.assert_allclose(gap, lacking["shortfall"])


def test_faults_are_named(table):
    assert retraining.available(table, TRUE) and misreports.available(table)
    cut = table[table["candidate"] != without(TRUE, 1)]
    assert not retraining.available(cut, TRUE)
    with pytest.raises(InvalidInputError, match="alike"):
        misreports.drawn(cut, [without(TRUE, 1)], NAMES)
    only = table[table["candidate"].isin({sw_max_model(TRUE), *(r.model for r in reports()[1:])})]
    assert misreports.trained_reports(only, NAMES, LAM)["payment"].isna().all()
