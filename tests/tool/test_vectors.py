"""`mechanism audit --vectors`: every row of sizes is what an audit at these sizes says."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import mechanism
from mechanism import folders
from mechanism.cli import app
from mechanism.core.errors import InvalidInputError
from mechanism.places import data
from mechanism.tool.auditing.vectors import read_vectors

SOUPS = data("soups_helpful_harmless_humor.csv")
WEIGHTS = "method,w_harmless,w_helpful,w_humor"
RULE = """
from mechanism import affine_maximizer_payments
def rule(game):
    return affine_maximizer_payments(game) * FACTOR
"""


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "runs"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(tmp_path)


def run(*words):
    ran = CliRunner().invoke(app, ["audit", *map(str, words), "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def vectors(tmp_path, rows, names=("humor", "harmless", "helpful")):
    path = tmp_path / "vectors.csv"
    lines = [names, *rows]
    path.write_text("\n".join(",".join(map(str, line)) for line in lines) + "\n")
    return path


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_row_of_candidates_is_the_audit_at_its_sizes(tmp_path, jobs):
    """The file names its columns, in an order of its own."""
    rows = [(1, 2, 3), (5, 1, 1), (0.5, 7, 2)]
    common = [SOUPS, "--candidate", WEIGHTS, "--sizes"]
    path = vectors(tmp_path, rows)
    found = run(*common, "harmless=1,helpful=1,humor=1", "--vectors", path, "--jobs", jobs)
    assert len(found["vectors"]) == 3
    for (humor, harmless, helpful), one in zip(rows, found["vectors"], strict=True):
        sizes = f"harmless={harmless},helpful={helpful},humor={humor}"
        assert one.pop("sizes") == {"harmless": harmless, "helpful": helpful, "humor": humor}
        assert one == run(*common, sizes)
    assert len({one["chosen"] for one in found["vectors"]}) > 1


def test_a_row_of_samples_is_the_audit_at_its_sizes(tmp_path, monkeypatch):
    from mechanism.tool.auditing import support
    from mechanism.tool.auditing import vectors as many

    monkeypatch.setattr(support, "PROMPTS", 3)
    monkeypatch.setattr(many, "PROMPTS", 3)
    rng = np.random.default_rng(0)
    lines = [f"p{p},s{s},{a:.4f},{b:.4f}" for p in range(5) for s in range(4 + p % 2)
             for a, b in [rng.random(2)]]  # fmt: skip
    (tmp_path / "samples.csv").write_text("\n".join(["prompt,sample,a,b", *lines]) + "\n")
    rows = [(3, 1), (1, 4)]
    path = vectors(tmp_path, rows, ("a", "b"))
    common = ["samples.csv", "--lam", 0.2, "--sizes"]
    found = run(*common, "a=1,b=1", "--vectors", path)
    for (a, b), one in zip(rows, found["vectors"], strict=True):
        assert one.pop("sizes") == {"a": a, "b": b}
        assert one == run(*common, f"a={a},b={b}") and "3 of 5" in one["coverage"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_rule_of_ones_own_is_found_by_every_process(tmp_path, jobs):
    name = f"rule_of_{jobs}"  # workers of an earlier test look into another folder
    (tmp_path / f"{name}.py").write_text(RULE.replace("FACTOR", "0.5"))
    path = vectors(tmp_path, [(1, 2, 3), (5, 1, 1)])
    sizes = ["--candidate", WEIGHTS, "--sizes", "harmless=1,helpful=1,humor=1"]
    words = [SOUPS, *sizes, "--vectors", path, "--payments", f"{name}:rule"]
    found = run(*words, "--jobs", jobs)
    gains = [max(one["rule"]["gains"].values()) for one in found["vectors"]]
    assert max(gains) > 0.01  # at half the price some lie pays


def test_people_get_a_row_a_vector(tmp_path):
    path = vectors(tmp_path, [(1, 2, 3), (5, 1, 1)])
    words = ["audit", SOUPS, "--candidate", WEIGHTS, "--sizes", "harmless=1,helpful=1,humor=1"]
    ran = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*map(str, words), "--vectors", str(path)])
    assert ran.exit_code == 0 and "Best gains at each vector of sizes" in ran.stdout
    assert len([line for line in ran.stdout.splitlines() if line.startswith("│")]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,c\n1,2\n", "not the groups of --sizes, a, b"),
        ("a,b,b\n1,2,3\n", "not the groups"),
        ("a,b\n", "has no row"),
        ("", "not the groups"),
        ("a,b\n1,2\n3\n", "row 3 has 1 cells, not 2"),
        ("a,b\n1,0\n", "row 2 has no number > 0 for 'b', but '0'"),
        ("a,b\n1,nan\n", "row 2 has no number > 0 for 'b'"),
        ("a,b\nx,1\n", "row 2 has no number > 0 for 'a', but 'x'"),
    ],
)
def test_a_file_that_holds_no_sizes_is_refused(tmp_path, text, said):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=said):
        read_vectors(tmp_path / "v.csv", ["a", "b"])


def test_a_file_that_is_not_there_and_a_figure_of_many_are_refused(tmp_path, inside):
    table = tmp_path / "t.csv"
    table.write_text("candidate,a,b\nA,1,0\nB,0,1\n")
    path = vectors(tmp_path, [(1, 2)], ("a", "b"))
    words = ["audit", str(table), "--sizes", "a=1,b=1", "--vectors"]
    for more, said in (
        (["gone.csv"], "cannot be read"),
        ([str(path), "--figure", str(tmp_path / "f.png")], "show one audit"),
    ):
        code, out, err = inside([*words, *more])
        assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_a_table_travels_to_other_processes():
    import pickle

    table = mechanism.load(SOUPS, {"harmless": 1, "humor": 2}, candidate=WEIGHTS)
    assert pickle.loads(pickle.dumps(table)).names == table.names


def test_without_joblib_the_vectors_are_audited_and_nothing_is_kept(tmp_path, monkeypatch, capsys):
    from mechanism.sweeps import kept

    monkeypatch.setattr(kept, "find_spec", lambda name: None)
    path = vectors(tmp_path, [(1, 2, 3)])
    sizes = ["--candidate", WEIGHTS, "--sizes", "harmless=1,helpful=1,humor=1"]
    assert len(run(SOUPS, *sizes, "--vectors", path)["vectors"]) == 1
    assert not (tmp_path / "runs").exists()
