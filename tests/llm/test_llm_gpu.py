"""The run on a GPU, dry and whole on the tiny scale: from its order to what the pages show."""

import json
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.figures.llm.misreports import plot_reports
from mechanism.figures.llm.payments import plot_payments
from mechanism.llm.runs import exact, outcomes, prices, record, reports
from mechanism.llm.studies import gpu, gpu_record, gpu_rloo
from mechanism.llm.studies.gpu_plan import EVERYTHING, Job
from mechanism.tables.candidates import SIZES, from_table
from mechanism.tables.trained import TRUE, objectives, sw_max_model
from mechanism.theorems.one_training import Lottery, curve_payment

SHORT = {"pool_samples": 40, "fit_batch": 40, "fit_epochs": 6, "rounds": 1, "round_samples": 20,
         "samples": 64, "support_samples": 64}  # fmt: skip


def machine(folder, seconds=600.0):
    settings = gpu.settings_for("tiny", "harmless_humor", 0, 1.0).model_copy(update=SHORT)
    made = gpu.Machine(settings, folder, time.monotonic() + seconds)
    texts = {"settings": settings.model_dump_json(), "origin": json.dumps({"command": "c"})}
    for name, text in texts.items():
        (made.folder / f"{name}.json").write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a whole run leaves behind: both rewards, a soup, and every model for reports."""
    made = machine(tmp_path_factory.mktemp("gpu"))
    left = list(gpu.work(made, Job("harmless_humor", 0, EVERYTHING, True), 0.0))
    assert left == []
    return made.folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    settings = machine(folder.parent).settings
    return record.read(gpu_record.write(folder, settings, tmp_path_factory.mktemp("records")))


@pytest.fixture(scope="module")
def small(run):
    """The same tables as if the laws of the models were not known, as on the small scale."""
    return replace(run, exact=None)


def test_a_record_has_every_model_and_says_where_it_came_from(folder, run):
    names = list(run.samples["candidate"].unique())
    assert names[:4] == ["initial", "soup 0.00", "soup 0.50", "soup 1.00"]
    assert set(objectives()) <= set(names)
    assert (run.samples.loc[run.samples["sample"] >= gpu_record.TEXTS, "text"] == "").all()
    assert set(run.training["trained_for"]) == {"harmless", "humor", *objectives()}
    assert set(run.training.query("trained_for == 'humor'")["round"]) == {0, 1}
    assert np.isfinite(run.training[["loss_last", "grad_norm", "value_r2"]]).all(axis=None)
    won = gpu_record.outcomes(folder, run.settings)
    assert set(won["trained for"]) >= {"harmless", "humor", *objectives()}
    assert np.isfinite(won["net"]).all() and "c" == run.provenance["command"]


def test_samples_are_those_of_the_models_that_were_trained(run):
    """Means of each table against the law of the model that drew it: 5 standard errors."""
    table = exact.deviations(run.samples, run.exact, run.settings.rewards)
    assert set(objectives()) <= set(table["candidate"])
    assert table["z"].abs().max() < 5
    law = exact.exact_candidates(run.exact, run.settings.rewards)
    found = [law.names.index(name) for name in ("alpha 2 at 5, 5", "alpha 0.25 at 5, 5")]
    assert np.subtract(*law.rewards[0].mean(axis=-1)[found]) > 0.01  # trained for what they say


@pytest.mark.parametrize("sizes", SIZES)
def test_payments_by_retraining_are_those_of_the_trained_laws(run, sizes):
    """Within 5 errors of sampling; with the two pivots swapped they are not."""
    table = prices.retraining_table(run, sizes).set_index(["method", "group"])
    sampled, law = table.loc["retraining"], table.loc["retraining, evaluated exactly"]
    assert ((sampled["payment"] - law["payment"]).abs() <= 5 * sampled["error"]).all()
    assert (law["error"] == 0).all() and (sampled["error"] > 0).all()
    assert (sampled["exact"] > 0).all() and (sampled["trainings"] == 2).all()
    assert set(table.index.get_level_values(0)) >= {
        "best candidate", "released model, jackknife", prices.PIVOT_ONLY, "heuristic 2"
    }  # fmt: skip
    swapped = run.exact.rename(columns={
        exact.PREFIX + a: exact.PREFIX + b
        for a, b in ((f"group 1 alone, {sizes[0]:g}", f"group 2 alone, {sizes[1]:g}"),
                     (f"group 2 alone, {sizes[1]:g}", f"group 1 alone, {sizes[0]:g}"))
    })  # fmt: skip
    wrong = prices.retraining_table(replace(run, exact=swapped), sizes)
    wrong = wrong.set_index(["method", "group"]).loc["retraining, evaluated exactly"]
    assert ((sampled["payment"] - wrong["payment"]).abs() > 5 * sampled["error"]).any()


def test_the_pages_show_payments_by_retraining_where_the_models_are_there(run, small):
    for one in (run, small):
        found = prices.retrained(one, TRUE)
        assert found[0].method == "retraining"
        plt.close(plot_payments(found))
        assert (
            not prices.retraining_table(one, TRUE)[["payment", "trainings"]].isna().any(axis=None)
        )
    without = small.samples[small.samples["candidate"] != sw_max_model(TRUE)]
    assert prices.retrained(replace(small, samples=without), TRUE) == ()


def test_the_pages_show_misreports_where_the_models_are_there(run, small):
    """Eight lies and two truths; the figure has both panels, exact curves on the tiny scale."""
    for one, curves in ((run, True), (small, False)):
        found = reports.lying(one)
        assert len(found.lies) == 8 and len(found.table) == 10
        assert found.words.startswith(("Yes", "No"))
        assert np.isfinite(found.table.drop(columns=["kind", "model"])).all(axis=None)
        law = reports.exact_curves(one)
        assert (law is not None) == curves
        figure = plot_reports(found.table, law)
        assert len(figure.axes) == 2
        plt.close(figure)
    assert len(reports.verdicts((run, small))) == 2
    only = small.samples[~small.samples["candidate"].str.startswith(("alpha", "beta"))]
    assert reports.lying(replace(small, samples=only)) is None


@pytest.mark.parametrize("game", outcomes.REWARDS)
def test_recorded_retraining_agrees_with_exact_payments_and_lying_does_not_pay(game):
    """Within 3 errors at all three size vectors; the trained laws are off by a fifth at most."""
    recorded = reports.tiny(game)
    assert reports.lying(recorded).holds
    for sizes in SIZES:
        table = prices.retraining_table(recorded, sizes).set_index("method")
        assert table.loc["retraining", "in errors"].abs().max() < 3
        law = table.loc["retraining, evaluated exactly"]
        assert (law["off"].abs() <= law["exact"] / 5).all()


def test_one_training_is_priced_from_the_trained_curve(run):
    shares, values, errors = reports.share_curve(run)
    assert shares.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0] and (errors > 0).all()
    paid = curve_payment(shares, values, Lottery(0.1), errors=errors)
    assert np.isfinite([paid.expected, paid.standard_error]).all()


def test_records_are_found_as_those_of_the_small_scale(run, tmp_path, monkeypatch):
    """What is not run is computed: with such a record nothing of seed 0 is missing."""
    before = outcomes.not_run()
    assert "harmless_humor, SW-Max 7, 3" in before
    given = replace(run, settings=run.settings.model_copy(update={"game": "harmless_humor"}))
    monkeypatch.setattr(outcomes, "seeds_of", lambda game: (given,) * (game == "harmless_humor"))
    after = outcomes.not_run()
    assert not [name for name in after if name.startswith("harmless_humor") and "seed" not in name]
    assert reports.runs_with_lies() == (given,)


def test_what_the_time_does_not_allow_is_named(tmp_path):
    made = machine(tmp_path)
    job = Job("harmless_humor", 0, EVERYTHING)
    assert list(gpu.work(made, job, seconds_a_model=1e9)) == list(job.models)
    assert json.loads((made.folder / "log.json").read_text(encoding="utf-8"))
    assert not list(made.folder.glob("*.parquet"))


def test_rloo_is_trained_on_as_many_completions_and_named_apart(tmp_path):
    """40 + 20 completions to each of 4 prompts are 240: four steps of 4 prompts times 16."""
    settings = gpu_rloo.rloo_settings(machine(tmp_path).settings)
    made = gpu.Machine(settings, tmp_path, time.monotonic() + 600)
    assert made.folder.name == "harmless_humor_0_rloo" and settings.warmup == 0.1
    job = Job("harmless_humor", 0, {"RLOO": frozenset({"humor"})}, rloo=True)
    assert list(gpu.work(made, job, 0.0)) == []
    log = json.loads((made.folder / "adapter_humor" / "log.json").read_text(encoding="utf-8"))
    steps = [line for line in log if "grad_norm" in line]
    assert len(steps) * settings.batch == settings.batch * round(240 / settings.batch)
    assert {path.stem for path in made.folder.glob("*.parquet")} == {"initial", "humor"}
    (made.folder / "origin.json").write_text(json.dumps({"command": "c"}), encoding="utf-8")
    kept = record.read(gpu_record.write(made.folder, settings, tmp_path / "records", "so"))
    assert kept.folder.name == "tiny_harmless_humor_rloo_equal"
    assert list(kept.samples["candidate"].unique()) == ["initial", "soup 0.00"]
    assert len(kept.training) == len(steps) and kept.training["kl"].notna().all()
    assert kept.provenance["command_note"] == "so"
    assert list(gpu.work(made, job, 1e9)) == ["humor"]


def test_a_run_of_some_models_completes_an_earlier_record(folder, run, tmp_path):
    """New models replace those of the same name; all others stay, with their origin."""
    some = tmp_path / "harmless_humor_0"
    some.mkdir()
    name = gpu.slug("alpha 2 at 5, 5")
    for file in (f"{name}.parquet", f"{name}.npy", f"{name}.json", "log.json", "settings.json"):
        (some / file).write_bytes((folder / file).read_bytes())
    (some / "origin.json").write_text(json.dumps({"command": "later"}), encoding="utf-8")
    root = tmp_path / "records"
    (tmp_path / "initial").symlink_to(folder.parent / "initial")
    settings = run.settings
    before = record.read(gpu_record.write(folder, settings, root))
    after = record.read(gpu_record.write(some, settings, root))
    assert list(after.exact.columns) == list(before.exact.columns)
    assert list(after.samples["candidate"].unique()) == list(before.samples["candidate"].unique())
    assert len(after.samples) == len(before.samples) and len(after.training) == len(before.training)
    assert after.provenance["command"] == "later"
    (earlier,) = after.provenance["earlier"]
    assert earlier["command"] == "c" and "alpha 2 at 5, 5" not in earlier["candidates"]
    same = (from_table(one.samples, settings.rewards).rewards for one in (before, after))
    np.testing.assert_allclose(*same)


def test_models_that_cannot_be_compared_are_refused(small):
    fewer = small.samples.query("sample < 3 or candidate != 'alpha 2 at 5, 5'")
    with pytest.raises(InvalidInputError, match="alike"):
        reports.lying(replace(small, samples=fewer))
