"""The chapter's tables: the tool against the project's own route, and the report page."""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mechanism
from mechanism.cli import app
from mechanism.experiments.soups import soups_frame
from mechanism.places import results
from mechanism.tables import candidates, support
from mechanism.tool.auditing.candidates import audit
from mechanism.tool.chapter_figures import plot_intervals, plot_sizes
from mechanism.tool.price import price
from mechanism.tool.your_own_models import EXAMPLES, load_example, load_soups

RUN = results("llm", "small_harmless_humor_trained")
GROUPS = {"reward_harmless": 3.0, "reward_humor": 7.0}


def test_recorded_run_is_priced_like_the_candidates_of_the_chapter_on_language_models():
    table = mechanism.load(RUN / "samples.parquet", GROUPS, lam=0.1)
    rewards = ["harmless", "humor"]
    frame = pd.read_parquet(RUN / "samples.parquet")
    ours = candidates.from_table(frame, rewards)
    assert table.names == ours.names
    assert np.allclose(table.values, ours.values, atol=1e-12)
    assert np.allclose(table.divergences, ours.kl.mean(axis=-1), atol=1e-12)
    game = mechanism.CandidateGame(ours.values, [3, 7], 0.1 * ours.kl.mean(axis=-1))
    paid = [group.payment for group in price(table).groups.values()]
    assert paid == pytest.approx(mechanism.affine_maximizer_payments(game).tolist(), abs=1e-12)


def test_recorded_samples_are_priced_like_the_support_of_that_chapter():
    path = RUN / "support.parquet"
    frame = pd.read_parquet(path)
    frame = frame[frame["candidate"] == support.INITIAL]
    ours = support.from_table(frame, ["harmless", "humor"])
    table = mechanism.load(path, GROUPS, lam=1.0, format="support")
    scale = candidates.SIZE_SCALE
    games = ours.games([3 / scale, 7 / scale], 1.0)
    paid = mechanism.affine_maximizer_payments(games).mean(axis=0)
    found = price(table)
    assert [g.payment for g in found.groups.values()] == pytest.approx(paid.tolist(), abs=1e-10)


def test_soups_are_those_of_the_chapter_on_published_tables():
    table = load_soups({"helpful": 3, "harmless": 2, "humor": 1})
    frame = soups_frame()[["helpful", "harmless", "humor"]].to_numpy().T
    assert np.allclose(table.values, frame, atol=1e-12)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_priced_and_audited(name):
    table = load_example(name)
    found = audit(table, replicates=50)
    assert table.format == name
    assert all(lie.paid_gain <= 1e-9 for group in found.groups.values() for lie in group.lies)


def test_figures_are_drawn():
    sweep = pd.DataFrame({"helpful": [1, 2], "harmless": [2, 1], "model": ["a", "b"],
                          "paid": [0.1, 0.2]})  # fmt: skip
    assert len(plot_sizes(sweep).axes) == 3
    runs = pd.DataFrame({"sizes": ["(1, 2)"], "group": ["a"], "payment": [1.0], "low": [0.5],
                         "high": [2.0]})  # fmt: skip
    assert plot_intervals(runs).axes[0].get_xlabel().startswith("payment")


def test_report_is_one_page_without_scripts_or_links(tmp_path):
    evil = '<script>alert(1)</script>"); import os #\\'
    quoted = '"' + evil.replace('"', '""') + '"'
    (tmp_path / "t.csv").write_text(
        f"candidate,{quoted},b\n<img src=x onerror=alert(2)>,1,0\n$x_{{1}}$,0,1\nC,0.6,0.6\n"
    )
    page, picture = tmp_path / "out.html", tmp_path / "out.png"
    found = CliRunner().invoke(app, ["audit", str(tmp_path / "t.csv"), "--sizes", f"{evil}=5",
                                     "--sizes", "b=4", "--report", str(page), "--figure",
                                     str(picture), "--json"])  # fmt: skip
    assert found.exit_code == 0, found.stderr
    text = page.read_text()
    assert "&lt;script&gt;alert(1)" in text and "<script" not in text and "<img src=x" not in text
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", text)
    assert "default-src 'none'" in text and text.count("data:image/png;base64,") == 2
    assert "1.6" in text and "What payments do not stop" in text and "Methods and limits" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_report_as_a_notebook_can_be_opened_and_run_again(tmp_path):
    import nbformat

    (tmp_path / "t.csv").write_text("candidate,a\nA,1\nB,0\n")
    target = tmp_path / "out.ipynb"
    found = CliRunner().invoke(app, ["price", str(tmp_path / "t.csv"), "--sizes", "a=5",
                                     "--report", str(target), "--json"])  # fmt: skip
    assert found.exit_code == 0, found.stderr
    notebook = nbformat.read(target, as_version=4)
    sources = "".join(cell.source for cell in notebook.cells)
    assert "price_figure" in sources and '"chosen' in sources.replace("\\", "")
