"""How the tables were made: each reading is refuted where it is wrong, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from mechanism.experiments.published import hypotheses
from mechanism.experiments.published.linear_system import (
    MIXTURE,
    System,
    all_distinct,
    least_half_width,
)
from mechanism.experiments.published.recovery import recover
from mechanism.experiments.published.reproduction import REWARDS, published_columns, recovered
from mechanism.experiments.soups import soups_frame
from tests.experiments.printed_tables import seen_through_two_decimals


def test_a_divergence_in_the_numbers_would_be_noticed():
    rows = recovered().rows
    cost = np.array([0.06, 0.0, 0.0, 0.0, 0.0, 0.0])
    chosen, printed = seen_through_two_decimals(rows, published_columns(), cost)
    assert 0 in chosen
    assert not System(printed, chosen, 6).feasible
    costly = System(printed, chosen, 6, divergence="welfare")
    low, high = costly.interval(costly.cost(0))
    assert 0.04 < low <= 0.06 <= high
    again = hypotheses.printed_with_cost(0, 0.06)
    assert again.assignment == chosen
    assert [c.cells for c in again.columns] == [c.cells for c in printed]


def test_the_published_cells_leave_no_room_for_a_divergence():
    bounds = hypotheses.divergence_bounds().set_index("candidate")["greatest cost"]
    assert bounds.drop("c5").max() < 0.05
    assert bounds["c5"] > 1  # seen once: no bound


def test_beta_is_plain_scaling():
    table = hypotheses.beta_meanings().set_index("beta means")
    assert table.feasible.tolist() == [True, False, False, False]
    assert (
        table["half width needed"].iloc[0]
        < 0.005
        < 1.9 * 0.005
        < table["half width needed"].iloc[1]
    )
    three = [("table4", 1.5), ("table4", 3.0), ("table6", 3.0)]
    assert all_distinct(hypotheses.some_columns(*three)).feasible
    assert not all_distinct(hypotheses.some_columns(*three, blend=MIXTURE)).feasible
    for beta in (0.8, 1.5):
        fits = hypotheses.effective_scales(beta, np.array([beta, 1.0]))
        assert fits.tolist() == [beta]


def test_a_mixture_table_would_be_told_from_scaling():
    """Print the tables with the mixture instead: scaling must then be the refuted reading."""
    rows = soups_frame("RS", "MOD")[list(REWARDS)].to_numpy()
    _, printed = seen_through_two_decimals(rows, published_columns(blend=MIXTURE))
    assert all_distinct(printed).feasible
    scaled = tuple(replace(column, blend=(0.0, 0.0, 0.0)) for column in printed)
    assert least_half_width(all_distinct(scaled)) > 0.005


def test_one_wrong_cell_is_noticed():
    noticed = hypotheses.noticed(0.02)
    assert noticed["social_welfare"].all()
    assert noticed["utility"].all()
    assert noticed.to_numpy().mean() > 0.8
    assert not hypotheses.noticed(0.0).any(axis=None)
    with pytest.raises(ValueError, match="0 assignments"):
        recover(hypotheses.perturbed(9, 2, 0.5))


def test_group_1_of_table_6_is_mostly_harmless():
    names = [name for name in hypotheses.mixes() if "humor" not in name]
    fits = hypotheses.preference_scan(names).query("fits")
    assert fits[["group 1", "group 2"]].to_numpy().tolist() == [
        ["0.8 harmless + 0.2 helpful", "0.8 helpful + 0.2 harmless"]
    ]
    shares = hypotheses.mix_coefficients(np.array([0.75, 0.79, 0.8, 0.81, 0.85]))
    assert shares.tolist() == [0.8]


def test_other_ways_out_cost_more():
    assert hypotheses.divergence_spread() < 0.03
    assert hypotheses.fewest_with_costs(MIXTURE) == 7
