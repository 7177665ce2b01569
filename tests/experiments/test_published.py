"""Tables 2 to 6: the recovery is attacked from outside, and made to fail where it should."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechanism.experiments.published import reproduction as published
from mechanism.experiments.published import validation
from mechanism.experiments.published.linear_system import System
from mechanism.experiments.published.recovery import find_assignments, predict_range
from mechanism.experiments.published.reproduction import (
    CELLS,
    REWARDS,
    published_columns,
    recovered,
)
from mechanism.experiments.soups import soups_frame
from tests.experiments.printed_tables import satisfies, seen_through_two_decimals

RESULTS = Path(__file__).parents[2] / "results" / "published"


def test_all_90_cells_are_reproduced():
    cells = published.reproduce()
    assert len(cells) == 90
    assert all(cell.ok for cell in cells)
    assert max(cell.absolute_error for cell in cells) < 0.005
    assert {c.table for c in cells} == {f"table{k}" for k in range(2, 7)}
    assert sum(cell.ok for cell in published.compare(recovered().rows, published_columns())) == 54
    assert {c.row for c in cells} >= {"alpha=0.2", "beta=0.5"}
    assert all((c.relative_error is None) == (c.paper == 0) for c in cells)


def test_a_wrong_candidate_misses_cells():
    rows = recovered().rows.copy()
    rows[3, 0] += 0.01
    cells = published.compare(rows, published_columns())
    assert not all(cell.ok for cell in cells)


def test_recorded_candidates_give_54_cells_in_exact_arithmetic():
    """Fractions and plain loops: shares no code with the library."""
    table = pd.read_csv(RESULTS / "candidates.csv", dtype=str)
    rows = [[Fraction(text) for text in table.loc[k, list(REWARDS)]] for k in table.index]
    frame = pd.read_csv(
        RESULTS.parents[1] / "mechanism" / "data" / "published_tables.csv", dtype=str
    )
    fifth = Fraction(1, 5)
    hits = 0
    for _, line in frame.iterrows():
        sizes = [Fraction(line[w]) for w in ("w1", "w2", "w3")]
        values = [list(row) for row in rows]
        if line.table == "table6":
            values = [[(1 - fifth) * b + fifth * a, (1 - fifth) * a + fifth * b, c]
                      for a, b, c in rows]  # fmt: skip
        first = [sizes[0] * v[0] for v in values]
        rest = [sizes[1] * v[1] + sizes[2] * v[2] for v in values]
        score = [Fraction(line.value) * a + b for a, b in zip(first, rest, strict=True)]
        k = score.index(max(score))
        ours = first[k], first[k] + rest[k] - max(rest), first[k] + rest[k]
        hits += sum(
            abs(a - Fraction(line[c])) < Fraction(1, 200) for a, c in zip(ours, CELLS, strict=True)
        )
    assert hits == 54


def test_the_assignment_is_unique_and_the_central_rows_satisfy_everything():
    found = recovered()
    assert found.search.candidates == 6
    assert len(found.search.found) == 1
    assert satisfies(found.system, found.rows)
    assert np.all(found.low - 1e-9 <= found.rows)
    assert np.all(found.rows <= found.high + 1e-9)
    outside = found.rows.copy()
    outside[1, 0] = found.high[1, 0] + 1e-4
    assert not satisfies(found.system, outside)


@pytest.mark.parametrize("half", [0.004, 0.0055, 0.0075, 0.01])
def test_the_assignment_does_not_hang_on_the_rounding(half):
    columns = published_columns()
    assert find_assignments(columns, half).found == find_assignments(columns).found


@pytest.mark.parametrize("seed", range(2))
def test_known_candidates_are_recovered(seed):
    """Print tables of invented candidates; the truth must lie in every interval."""
    truth = np.random.default_rng(seed).uniform(size=(5, 3))
    chosen, printed = seen_through_two_decimals(truth, published_columns())
    system = System(printed, chosen, len(truth))
    assert satisfies(system, truth)
    for k, i in np.ndindex(truth.shape):
        low, high = system.interval(system.coordinate(k, i))
        assert low - 1e-7 <= truth[k, i] <= high + 1e-7
    for column in published.wanted_columns()[::3]:
        spread = predict_range((system,), column)
        ours = published.run_mechanism(truth, column)
        assert ours.chosen in spread.chosen
        for name in CELLS:
            low, high = getattr(spread, name)
            assert low - 1e-7 <= getattr(ours, name) <= high + 1e-7


def test_the_search_finds_a_merging_of_real_models():
    rows = soups_frame("RS", "MOD")[list(REWARDS)].to_numpy()
    chosen, printed = seen_through_two_decimals(rows, published_columns())
    search = find_assignments(printed)
    assert 0 < search.candidates <= len(set(chosen))


@pytest.mark.parametrize(
    ("table", "candidates", "least_inside"),
    [("table2", 6, 18), ("table4", 5, 15), ("table6", 6, 18)],
)
def test_hold_out(table, candidates, least_inside):
    result = validation.hold_out(table)
    assert (result.candidates, result.cells) == (candidates, 18)
    assert result.inside >= least_inside
    assert 0 < result.exact <= result.inside


def test_another_central_point_reproduces_the_cells_too():
    rows = validation.chebyshev_rows(recovered().system)
    assert satisfies(recovered().system, rows)
    assert all(cell.ok for cell in published.compare(rows, published_columns()))


def test_candidates_are_determined_but_for_c5():
    assert validation.information()["rank"].tolist() == [3, 3, 3, 3, 2, 3]


def test_real_models_say_how_far_to_trust_the_predictions():
    table = validation.seen_rows_suffice().groupby("table").exact.sum()
    assert table["table3"] > 0.9 * 42
    assert table["table5"] < 0.5 * 42
    assert (validation.nearest_models("RS", "MOD").distance < 0.13).all()


def test_predictions_lie_in_their_intervals_and_truth_is_best():
    table = published.predictions()
    unseen = pd.read_csv(RESULTS / "predictions_unseen.csv")
    for name in CELLS:
        assert (table[f"{name}_low"] <= table[name] + 1e-9).all()
        assert (table[name] <= table[f"{name}_high"] + 1e-9).all()
        assert (unseen[f"{name}_low"] <= table[f"{name}_low"] + 1e-5).all()
        assert (unseen[f"{name}_high"] >= table[f"{name}_high"] - 1e-5).all()
    for _, rows in table.groupby("table"):
        truth = rows[rows.value == 1].utility.item()
        assert truth == pytest.approx(rows.utility.max(), abs=1e-12)


def test_recorded_results_are_what_the_code_gives():
    candidates = pd.read_csv(RESULTS / "candidates.csv")
    header = [f"{name}{end}" for name in REWARDS for end in ("", "_low", "_high")]
    assert list(candidates.columns) == ["candidate", *header]
    pd.testing.assert_frame_equal(
        candidates, published.candidates_frame(), check_dtype=False, rtol=0, atol=2e-5
    )
    predictions = pd.read_csv(RESULTS / "predictions.csv")
    header = [f"{name}{end}" for name in CELLS for end in ("", "_low", "_high")]
    assert list(predictions.columns) == ["table", "w1", "w2", "w3", "parameter", "value", *header]
    pd.testing.assert_frame_equal(
        predictions, published.predictions(), check_dtype=False, rtol=0, atol=2e-5
    )
    assert (RESULTS / "provenance.json").exists()
