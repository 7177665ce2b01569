"""The command: tables for people, one JSON document for machines, exit codes for scripts."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mechanism.cli import app
from mechanism.experiments.published import reproduction as published
from mechanism.experiments.synthetic import reproduction as synthetic

CELL = {
    "table", "row", "column", "paper", "ours", "absolute_error", "relative_error", "target", "ok",
}  # fmt: skip


def refuse_constant(name):
    raise AssertionError(f"{name} in JSON")


@pytest.fixture(scope="module")
def table1():
    return CliRunner().invoke(app, ["reproduce", "table1", "--json"])


@pytest.fixture(scope="module")
def tables():
    return CliRunner().invoke(app, ["reproduce", "tables", "--json"])


def test_table1_meets_every_target(table1):
    document = json.loads(table1.stdout, parse_constant=refuse_constant)
    assert table1.exit_code == 0 and document["ok"] is True
    assert len(document["cells"]) == len(document["stated_cells"]) == 14
    assert all(set(cell) == CELL for cell in document["cells"] + document["stated_cells"])
    assert {cell["row"] for cell in document["cells"]} >= {"epsilon=0.001", "epsilon=0.1"}
    assert all(abs(cell["relative_error"]) <= 0.015 for cell in document["cells"])
    assert not any(cell["ok"] for cell in document["stated_cells"])
    assert document["setting"]["groups"] == 3 and document["stated_setting"]["groups"] == 5


def test_tables_meet_every_target(tables):
    document = json.loads(tables.stdout, parse_constant=refuse_constant)
    assert tables.exit_code == 0 and document["ok"] is True
    assert len(document["cells"]) == 90
    assert all(set(cell) == CELL for cell in document["cells"])
    assert {"alpha=0.2", "beta=0.5"} <= {cell["row"] for cell in document["cells"]}
    zeros = [cell for cell in document["cells"] if cell["paper"] == 0]
    assert zeros and all(cell["relative_error"] is None for cell in zeros)


@pytest.mark.parametrize("module", [published, synthetic])
def test_a_missed_target_exits_with_1(monkeypatch, module):
    cells = published.reproduce()
    missed = [type(cell)(**{**vars(cell), "ok": False}) for cell in cells]
    name, made = ("tables", "reproduce") if module is published else ("table1", "cells")
    few = [] if module is published else ["--samples", "100"]  # what is drawn is not looked at
    codes = []
    for given in (missed, [*cells[1:], missed[0]]):
        monkeypatch.setattr(module, made, lambda *_, given=given: given)
        for flag in ([], ["--json"]):
            codes.append(CliRunner().invoke(app, ["reproduce", name, *few, *flag]).exit_code)
    monkeypatch.setattr(module, made, lambda *_: cells)
    assert CliRunner().invoke(app, ["reproduce", name, *few]).exit_code == 0
    assert codes == [1] * 4


def test_tables_for_people(monkeypatch):
    cells = published.reproduce()[:3]
    monkeypatch.setattr(published, "reproduce", lambda: cells)
    result = CliRunner().invoke(app, ["reproduce", "tables"])
    assert "3 of 3 cells meet their target." in result.stdout


def test_wrong_arguments_exit_with_2():
    assert CliRunner().invoke(app, ["reproduce", "table9"]).exit_code == 2
    assert CliRunner().invoke(app, ["reproduce", "table1", "--samples", "0"]).exit_code == 2


def test_core_needs_numpy_and_scipy_alone():
    code = (
        "import sys, mechanism\n"
        "heavy = {'torch', 'transformers', 'trl', 'pandas', 'matplotlib', 'seaborn', 'cvxpy',"
        " 'pydantic', 'typer', 'rich', 'joblib', 'mpmath'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
