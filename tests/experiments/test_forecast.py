"""The forecast of Tables 3 and 5: left as recorded, scored against the opened tables."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechanism.experiments.published import forecast
from mechanism.experiments.published import reproduction as published
from mechanism.experiments.published.linear_system import MIXTURE, all_distinct, least_half_width
from mechanism.experiments.published.reproduction import CELLS, recovered, refitted

ROOT = Path(__file__).parents[2]
PREDICTIONS = ROOT / "results" / "published" / "predictions.csv"
OPENED = ROOT / "mechanism" / "data" / "published_tables_3_5.csv"
RECORDED = "6a63a324c24532ca"  # of the file as first committed


def test_the_forecast_is_left_as_it_was_recorded(tmp_path, monkeypatch):
    forecast.check_unchanged()
    assert set(forecast.forecast_record()["files"]) == {
        "predictions.csv", "predictions_unseen.csv",
    }  # fmt: skip
    for name in ("forecast.json", "predictions.csv", "predictions_unseen.csv"):
        (tmp_path / name).write_bytes((PREDICTIONS.parent / name).read_bytes())
    touched = tmp_path / "predictions.csv"
    touched.write_text(touched.read_text().replace("3.54668", "3.54000"))
    monkeypatch.setattr(forecast, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match=r"predictions\.csv is not what was recorded"):
        forecast.check_unchanged()


def test_the_digest_is_that_of_the_commit_before_the_tables_were_opened():
    digests = forecast.forecast_record()["files"]
    assert digests["predictions.csv"].startswith(RECORDED)
    assert forecast.forecast_record()["date"] == "2026-11-23"


def test_score_by_plain_loops_in_exact_arithmetic():
    """Fractions and text: shares no code with `score`."""
    predicted = pd.read_csv(PREDICTIONS, dtype=str)
    paper = pd.read_csv(OPENED, dtype=str, comment="#")
    half, exact, inside = Fraction(1, 200), 0, 0
    for _, line in paper.iterrows():
        match = (predicted.table == line.table) & (predicted.value == line.value)
        (_, ours), = predicted[match].iterrows()  # fmt: skip
        for name in CELLS:
            cell, value = Fraction(line[name]), Fraction(ours[name])
            exact += abs(value - cell) < half
            low, high = Fraction(ours[f"{name}_low"]), Fraction(ours[f"{name}_high"])
            inside += low - half <= cell <= high + half
    said = forecast.headline()
    assert (said["cells"], said["exact"], said["inside"]) == (36, exact, inside) == (36, 32, 36)
    assert said["met"] == said["published"] == 90


def test_both_misses_are_of_one_candidate():
    scored = forecast.score()
    wrong = scored[~scored.exact]
    columns = set(zip(wrong.table, wrong.value, strict=True))
    assert columns == {("table3", 2.0), ("table5", 2.0)}
    wanted = [c for c in published.wanted_columns() if (c.table, c.value) in columns]
    assert {published.run_mechanism(recovered().rows, c).chosen for c in wanted} == {3}
    assert (scored.error <= 0.01).sum() == 34


def test_a_wrong_forecast_scores_less():
    worse = published.recorded("predictions.csv")
    worse["utility"] += 0.02
    worse[["welfare_low", "utility_high"]] = 0.0
    scored = forecast.score(worse)
    assert scored.exact.sum() < 25 and scored.inside.sum() < 36


def test_the_refit_narrows_what_three_tables_left_open():
    before, after = recovered(), refitted()
    assert (after.search.candidates, len(after.search.found)) == (6, 1)
    assert after.system.assignment[:18] == before.system.assignment
    assert np.all(after.low >= before.low - 1e-6) and np.all(after.high <= before.high + 1e-6)
    assert (after.high - after.low).sum() < 0.8 * (before.high - before.low).sum()
    assert least_half_width(after.system) < 0.005


def test_the_mixture_is_refuted_by_all_tables():
    columns = published.all_columns()
    assert least_half_width(all_distinct(columns)) < 0.005
    mixed = [type(c)(**{**vars(c), "blend": MIXTURE}) for c in columns]
    assert least_half_width(all_distinct(tuple(mixed))) > 0.03
