"""Broken files end with one message that names file, place, rule and fix; fuzzed ones too."""

import json
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import mechanism
from mechanism.cli import app
from mechanism.core.errors import InvalidInputError
from mechanism.places import data
from mechanism.tool.auditing.candidates import audit
from mechanism.tool.price import price
from mechanism.tool.reading.engine import Engine
from tests.tool.broken_files import CASES, DIR, HAND

RUNNER = CliRunner()
EXAMPLES_EACH = int(os.environ.get("MECHANISM_FUZZ", "25"))  # 1000 takes ten minutes


def run(*arguments):
    return RUNNER.invoke(app, [str(word) for word in arguments])


def laid_out(folder, files):
    for name, content in files.items():
        path = folder / name
        if content is DIR:
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [folder / name.split("/")[0] for name in files] or [folder / "t.csv"]


@pytest.mark.parametrize("command", ["price", "audit"])
@pytest.mark.parametrize("name", CASES)
def test_broken_file_is_refused_in_one_message(tmp_path, monkeypatch, name, command):
    files, arguments, words = CASES[name]
    paths = laid_out(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    found = run(command, *paths, *arguments, "--json")
    assert found.exit_code == 2, (found.stdout, found.stderr)
    assert found.stdout == "" and found.stderr.count("\n") == 1
    assert found.stderr.startswith("Error: ") and "Fix: " in found.stderr
    for word in words:
        assert word in found.stderr, found.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before  # nothing was executed or left


def test_the_engine_keeps_its_own_bar_off_standard_output():
    with Engine(quiet=True) as engine:
        rows = engine.rows(
            "SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar_print'"
        )
    assert rows == [("false",)]


def test_there_are_forty_and_more():
    assert len(CASES) >= 40


def test_many_candidates(tmp_path):
    count = 200_000  # the million is a benchmark
    path = tmp_path / "t.csv"
    rows = "\n".join(f"m{j},{(j * 7919) % 100003},{(j * 104729) % 99991}" for j in range(count))
    path.write_text("candidate,a,b\n" + rows)
    found = run("price", path, "--sizes", "a=5,b=4", "--json")
    assert found.exit_code == 0 and json.loads(found.stdout)["candidates"] == count


CELLS = st.one_of(
    st.floats(-10, 10).map(repr),
    st.sampled_from(["", "nan", "inf", "-inf", "1e308", "-1e308", "abc", '"', "'", "1,5", "\u0000",
                     "\u202e", "=1+1", "0", "0", "1", "1", "1", "true", "N/A", "x\ny", "\r"]),
)  # fmt: skip
NAMES = st.sampled_from(["candidate", "prompt", "sample", "divergence", "a", "b", "log_prob",
                         "log_prob_initial", "", "step", "completion", "advantage"])  # fmt: skip
SIZES = st.sampled_from(["a=1", "a=1,b=2", "a=1e308", "b=2", "a=1e-9,b=1e9", "divergence=1"])
OPTIONS = st.lists(
    st.sampled_from(
        [
            ("--lam", "0.5"),
            ("--lam", "0"),
            ("--missing", "drop"),
            ("--normalization", "none"),
            ("--na", "1"),
            ("--candidate", "a"),
            ("--candidate", "prompt"),
            ("--format", "support"),
            ("--format", "candidates"),
            ("--encoding", "latin-1"),
            ("--format", "trl"),
            ("--format", "lm_eval"),
            ("--format", "ultrafeedback"),
            ("--level", "0.5"),
        ]
    ),
    max_size=3,
    unique=True,
).map(lambda pairs: [word for pair in pairs for word in pair])


@st.composite
def delimited(draw):
    header = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    rows = draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=8))
    mark = draw(st.sampled_from([",", ",", ";", "\t"]))
    quoted = [['"' + c.replace('"', '""') + '"' if draw(st.booleans()) else c for c in row]
              for row in rows]  # fmt: skip
    return "\n".join(mark.join(row) for row in [header, *quoted])


@st.composite
def documents(draw):
    keys = st.sampled_from(["candidate", "prompt", "a", "b", "doc_id", "metrics", "scores_chosen",
                            "scores_rejected", "scores", "id", "input", "output", "score", "step",
                            "instruction", "completions", "filter"])  # fmt: skip
    leaf = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-5, 5),
                     st.text(max_size=3))  # fmt: skip
    value = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3)
                         | st.dictionaries(keys, inner, max_size=3), max_leaves=5)  # fmt: skip
    rows = draw(st.lists(st.dictionaries(keys, value, max_size=6), min_size=1, max_size=5))
    if draw(st.booleans()):
        return json.dumps(rows, indent=draw(st.sampled_from([None, 1])))
    indent = draw(st.sampled_from([None, 2]))
    return "\n".join(json.dumps(row, indent=indent) for row in rows)


def survives(content, suffix, sizes, options):
    """The command ends with 0 or 2, its message in one line, its JSON whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}"
        path.write_bytes(content)
        for command in ("price", "audit"):
            found = run(command, path, "--sizes", sizes, "--replicates", "5", "--json", *options)
            if found.exception and not isinstance(found.exception, SystemExit):
                raise found.exception
            assert found.exit_code in (0, 2), found.stderr
            if found.exit_code == 0:
                json.loads(found.stdout, parse_constant=lambda name: pytest.fail(name))
            else:
                assert found.stdout == "" and "Traceback" not in found.stderr


@settings(max_examples=EXAMPLES_EACH)
@given(delimited(), SIZES, OPTIONS)
def test_fuzzed_tables(text, sizes, options):
    survives(text.encode(), ".csv", sizes, options)


@settings(max_examples=EXAMPLES_EACH)
@given(documents(), st.sampled_from(["a=1", "score=1", "t=1", "helpfulness=1", "t/a=1"]), OPTIONS)
def test_fuzzed_documents(text, sizes, options):
    survives(text.encode(), ".json", sizes, options)


EXAMPLES = {
    "ric": ("obtained_score1=1", []), "trl": ("harmless_reward=1", ["--lam", "1"]),
    "verl": ("humor=1", ["--lam", "1"]), "lm_eval": ("arc_easy=1", []),
    "rewardbench": ("t=1", ["--lam", "1"]), "alpaca_eval": ("win_rate=1", []),
    "ultrafeedback": ("honesty=1", ["--lam", "1", "--missing", "drop"]),
}  # fmt: skip


@settings(max_examples=EXAMPLES_EACH)
@given(st.sampled_from(sorted(EXAMPLES)), st.randoms(use_true_random=False), st.integers(1, 12))
def test_flipped_bytes(name, rng, flips):
    files = [p for p in sorted(data("formats", name).rglob("*")) if p.is_file()]
    path = rng.choice(files)
    content = bytearray(path.read_bytes())
    for _ in range(flips):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        content = content[: rng.randrange(len(content))]
    survives(bytes(content), path.suffix, *EXAMPLES[name])


@settings(max_examples=EXAMPLES_EACH)
@given(
    st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=4),
             min_size=1, max_size=3),
    st.lists(st.floats(-1, 1e300), min_size=1, max_size=3),
    st.none() | st.floats(-1, 3),
    st.sampled_from(["min-max", "none"]),
)  # fmt: skip
def test_public_functions_refuse_or_answer(rows, sizes, lam, how):
    named = {f"g{i}": w for i, w in enumerate(sizes)}
    costs = None if lam is None else [0.5] * len(rows[0])
    try:
        table = mechanism.from_arrays(rows, named, divergences=costs, lam=lam, normalization=how)
        found, searched = price(table), audit(table)
    except InvalidInputError:
        return
    assert found.chosen in table.names and searched.chosen == found.chosen


def test_a_random_walk_over_options(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(HAND)
    rng = random.Random(0)
    flags = [["--level", "2"], ["--replicates", "-1"], ["--delta", "nan"], ["--epsilon", "-1"],
             ["--memory", "lots"], ["--seed", "-1"], ["--figure", "x.gif"], ["--report", "x.txt"],
             ["--report", str(tmp_path / "no" / "x.html")], ["--missing", "maybe"],
             ["--normalization", "z"]]  # fmt: skip
    for flag in flags:
        found = run("audit", path, "--sizes", "a=5,b=4", *flag, *rng.choice([[], ["--json"]]))
        assert found.exit_code == 2 and found.stdout == "", (flag, found.stdout)
        assert found.exception is None or isinstance(found.exception, SystemExit)
