"""A reader changes the seed, as `Try it` says: every cell holds, and groups keep their colours."""

import matplotlib.pyplot as plt
import pytest

from mechanism.figures import coalitions
from mechanism.plotting import GROUP_COLORS, group_style
from tests.chapters.chapter_run import run
from tests.chapters.group_colors import faults
from tools.chapters import ROOT, find_chapters

PARTS = ("game/", "incentives/", "payments/", "practice/")
THEOREMS = [c.name for c in find_chapters() if c.name.startswith(PARTS)]
OTHERS = [c.name for c in find_chapters() if c.name not in THEOREMS]


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    yield
    plt.close("all")


def test_a_figure_in_the_colours_of_its_groups_is_good():
    figure, axes = plt.subplots()
    for i in range(3):
        axes.plot([0, 1], [i, i], **group_style(i))
        axes.bar([i], [1], color=GROUP_COLORS[i], label=f"group {i + 1}, bars")
        axes.errorbar([0], [i], yerr=[1], color=GROUP_COLORS[i], label=f"group {i + 1}, errors")
        axes.scatter([0], [i], color=GROUP_COLORS[i], label=f"group {i + 1} alone")
    axes.plot([0, 1], [2, 2], color="black", label="welfare")
    axes.legend()
    assert faults(figure) == []


@pytest.mark.parametrize("kind", ["plot", "bar", "scatter", "fill_between"])
def test_a_group_in_the_colour_of_another_is_noticed(kind):
    figure, axes = plt.subplots()
    getattr(axes, kind)([0, 1], [1, 1], color=GROUP_COLORS[2], label="group 1 alone")
    assert faults(figure)
    axes.legend()
    assert len(faults(figure)) >= 2


def test_two_groups_together_and_one_alone():
    gains = {(0, "both overstate"): [0, 1], (1, "both overstate"): [0, 1], (0, "alone"): [0, -1]}
    assert faults(coalitions.plot_joint_sizes([1, 2], gains)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", THEOREMS)
def test_a_chapter_holds_at_another_seed(name, tmp_path):
    assert run(name, tmp_path, seed=7) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_groups_keep_their_colours_in_the_other_chapters(name, tmp_path):
    assert run(name, tmp_path) == ""
