"""`mechanism price`: the hand's numbers, every format, every refusal, the command's manners."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from scipy.special import logsumexp
from typer.testing import CliRunner

import mechanism
from mechanism.cli import app
from mechanism.core.errors import InvalidInputError
from mechanism.tool import tables
from mechanism.tool.bootstrap import block_intervals
from mechanism.tool.command import parse_sizes
from mechanism.tool.price import price
from mechanism.tool.reading.engine import Engine

HAND = "candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n"


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in arguments])


def document(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))


@pytest.fixture
def hand(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(HAND)
    return path


def test_hand_worked_table(hand):
    found = document("price", hand, "--sizes", "a=5,b=4")
    assert found["chosen"] == "C" and found["welfare"] == pytest.approx(5.4)
    a, b = found["groups"]["a"], found["groups"]["b"]
    assert (a["payment"], b["payment"]) == (pytest.approx(1.6), pytest.approx(2.0))
    assert (a["valuation"], a["utility"], b["utility"]) == tuple(
        map(pytest.approx, (0.6, 1.4, 0.4))
    )
    assert a["pivotal"] and a["without"] == "B" and b["without"] == "A"
    assert a["payment_low"] is None and "no divergence" in found["warnings"][0]
    assert set(a) >= {"size", "valuation", "payment", "payment_low", "payment_high", "utility"}


@pytest.mark.parametrize("seed", range(20))
def test_candidates_against_brute_force(tmp_path, seed):
    rng = np.random.default_rng(seed)
    n, k = rng.integers(1, 4), rng.integers(2, 7)
    raw, sizes, kl = rng.normal(size=(n, k)), rng.integers(1, 9, n), rng.random(k)
    rows = [f"m{j},{','.join(map(repr, map(float, raw[:, j])))},{float(kl[j])!r}" for j in range(k)]
    path = tmp_path / "t.csv"
    path.write_text("candidate," + ",".join(f"g{i}" for i in range(n)) + ",divergence\n"
                    + "\n".join(rows))  # fmt: skip
    wish = ",".join(f"g{i}={sizes[i]}" for i in range(n))
    found = document("price", path, "--sizes", wish, "--lam", "0.7")
    v = [[(x - min(row)) / (max(row) - min(row)) for x in row] for row in raw.tolist()]
    total = [sum(sizes[i] * v[i][j] for i in range(n)) - 0.7 * kl[j] for j in range(k)]
    best = total.index(max(total))
    assert found["chosen"] == f"m{best}" and found["welfare"] == pytest.approx(total[best])
    for i in range(n):
        rest = [total[j] - sizes[i] * v[i][j] for j in range(k)]
        pay = max(rest) - rest[best]
        assert found["groups"][f"g{i}"]["payment"] == pytest.approx(pay, abs=1e-12)


def test_support_against_brute_force(tmp_path):
    rng = np.random.default_rng(1)
    lines, cells = ["prompt,sample,a,b,log_prob,log_prob_initial"], {}
    for p, count in enumerate((3, 5, 3)):
        for s in range(count):
            row = rng.normal(size=2).tolist() + (-rng.random(2)).tolist()
            cells.setdefault(p, []).append(row)
            lines.append(f"p{p},{s}," + ",".join(map(repr, row)))
    (tmp_path / "s.csv").write_text("\n".join(lines))
    found = document("price", tmp_path / "s.csv", "--sizes", "a=2,b=3", "--lam", "0.4")
    every = np.array(list(itertools.chain(*cells.values())))
    low, high = every[:, :2].min(axis=0), every[:, :2].max(axis=0)
    pays = []
    for rows in map(np.array, cells.values()):
        v = (rows[:, :2] - low) / (high - low)
        ref = rows[:, 3] - rows[:, 2]
        ref = ref - logsumexp(ref)
        value = lambda s, ref=ref: 0.4 * logsumexp(s / 0.4 + ref)  # noqa: E731
        s = v @ [2, 3]
        p = np.exp(s / 0.4 + ref - logsumexp(s / 0.4 + ref))
        pays.append([value(s - w * v[:, i]) - (value(s) - w * (p @ v[:, i]))
                     for i, w in enumerate((2, 3))])  # fmt: skip
    got = [group["payment"] for group in found["groups"].values()]
    assert got == pytest.approx(np.mean(pays, axis=0), abs=1e-12)
    assert found["prompts"] == 3 and found["samples"] == 11 and found["chosen"] is None


def test_paired_bootstrap_covers(tmp_path):
    """Intervals of a payment must hold the value of the many prompts about 95 times in 100."""
    rng, hits, games = np.random.default_rng(0), 0, 150
    truth = np.array([[0.9, 0.1, 0.55], [0.0, 1.0, 0.6]])
    exact = price(mechanism.from_arrays(truth, {"a": 5, "b": 4}, normalization="none"))
    for _ in range(games):
        drawn = truth[..., None] + 0.3 * rng.normal(size=(2, 3, 60))
        blocks = tables.Blocks(drawn, np.ones((2, 60)), None)
        table = tables.CandidateTable("t", ("A", "B", "C"), ("a", "b"), np.array([5.0, 4.0]),
                                      drawn.mean(-1), None, blocks, 60, "none", None)  # fmt: skip
        found = price(table, replicates=200).groups["a"]
        hits += found.payment_low <= exact.groups["a"].payment <= found.payment_high
    assert 0.88 <= hits / games <= 0.99


def test_intervals_of_a_support_are_those_of_a_mean():
    rows = np.random.default_rng(5).normal(size=(400, 2))
    low, high = block_intervals(rows, np.ones(400), 2000, 0.95, 0)
    error = rows.std(axis=0, ddof=1) / 20
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert (low + high) / 2 == pytest.approx(rows.mean(axis=0), abs=0.02)


def test_blocks_of_prompts_give_the_same_intervals(tmp_path, monkeypatch):
    from mechanism.tool.reading import collect

    rng = np.random.default_rng(3)
    lines = ["candidate,prompt,a,b"]
    for p in range(600):
        for c, (a, b) in {"A": (1, 0), "B": (0, 1), "C": (0.6, 0.6)}.items():
            lines.append(f"{c},{p},{a + rng.normal()},{b + rng.normal()}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    fine = document("price", tmp_path / "t.csv", "--sizes", "a=5,b=4")
    monkeypatch.setattr(collect, "BLOCKS", 100)
    coarse = document("price", tmp_path / "t.csv", "--sizes", "a=5,b=4")
    one, other = (f["groups"]["a"] for f in (fine, coarse))
    assert one["payment"] == pytest.approx(other["payment"], abs=1e-12)
    assert other["payment_high"] - other["payment_low"] == pytest.approx(
        one["payment_high"] - one["payment_low"], rel=0.35
    )


def test_load_gives_what_the_command_gives(hand):
    table = mechanism.load(hand, {"a": 5, "b": 4})
    assert (
        price(table).as_dict()["groups"] == document("price", hand, "--sizes", "a=5,b=4")["groups"]
    )
    assert table.game().candidates == 3


def test_warnings(tmp_path):
    (tmp_path / "t.csv").write_text("candidate,a\nx,-1\ny,2\nz,2\n")
    found = document("price", tmp_path / "t.csv", "--sizes", "a=1", "--normalization", "none")
    said = " ".join(found["warnings"])
    assert "negative" in said and "2 candidates tie" in said and "y, z" in said
    (tmp_path / "t.csv").write_text("candidate,a,cost\nx,-1,3\ny,2,4\n")
    found = document("price", tmp_path / "t.csv", "--sizes", "a=1")
    assert any("cost" in note for note in found["notes"])


def test_missing_rows_are_dropped_when_asked(tmp_path):
    (tmp_path / "t.csv").write_text(HAND + "D,,1\n")
    assert run("price", tmp_path / "t.csv", "--sizes", "a=5,b=4").exit_code == 2
    found = document("price", tmp_path / "t.csv", "--sizes", "a=5,b=4", "--missing", "drop")
    assert found["candidates"] == 3 and "1 of 4 rows dropped" in found["notes"][0]
    (tmp_path / "t.csv").write_text(HAND + "D,-1,1\n")
    found = document("price", tmp_path / "t.csv", "--sizes", "a=5,b=4", "--na", "-1",
                     "--missing", "drop")  # fmt: skip
    assert found["candidates"] == 3


def test_prompts_without_a_candidate(tmp_path):
    rows = [f"{c},{p},{v}" for p in "uvw" for c, v in (("A", 1), ("B", 2)) if (c, p) != ("B", "v")]
    path = tmp_path / "t.csv"
    path.write_text("candidate,prompt,a\n" + "\n".join(rows))
    failed = run("price", path, "--sizes", "a=1")
    assert failed.exit_code == 2 and "'v'" in failed.stderr and "B" in failed.stderr
    found = document("price", path, "--sizes", "a=1", "--missing", "drop")
    assert found["prompts"] == 2 and any("1 prompts dropped" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [(["a=3,b=7"], {"a": 3, "b": 7}), (["a=1", "b=2.5"], {"a": 1, "b": 2.5}),
     (["x,y=3,z=1"], {"x,y": 3, "z": 1}), ([" a =3"], {"a": 3}), (["p=q=2"], {"p=q": 2})],
)  # fmt: skip
def test_sizes_are_read(texts, sizes):
    assert parse_sizes(texts) == sizes


@pytest.mark.parametrize("text", ["a", "a=x", "=3", "a=1,a=2", "a=", ""])
def test_sizes_are_refused(text):
    with pytest.raises(InvalidInputError, match="--sizes"):
        parse_sizes([text]) or tables.checked_sizes({})


def test_output_is_whole_and_json_is_pure(hand, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("old")
    found = document("price", hand, "--sizes", "a=5,b=4", "--output", out)
    assert json.loads(out.read_text()) == found
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    failed = run("price", hand, "--sizes", "a=5,b=4", "--output", tmp_path / "no" / "out.json")
    assert (failed.exit_code == 2 and "--output" in failed.stderr) or "output" in failed.stderr


def test_names_from_files_steer_nothing(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("candidate,[red]a\n\x1b[31mA[/bold],1\nB,2\nC[link=x],3\n")
    result = run("price", path, "--sizes", "[red]a=1")
    assert result.exit_code == 0 and "\x1b" not in result.stdout and "[red]a" in result.stdout


def test_pipes_interrupts_and_ascii(hand):
    command = [sys.executable, "-m", "mechanism.cli", "price", str(hand), "--sizes", "a=5,b=4"]
    pipe = " ".join(command) + " | head -0"
    closed = subprocess.run(pipe, shell=True, capture_output=True, text=True)
    assert "Traceback" not in closed.stderr
    env = dict(os.environ, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    hand.write_text(HAND.replace("C,", "Zoë,"), encoding="utf-8")
    ascii = subprocess.run(command, capture_output=True, env=env)
    assert ascii.returncode == 0 and b"Traceback" not in ascii.stderr


@pytest.fixture
def interruptible():
    """A process in which Ctrl-C counts: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_a_running_statement(interruptible):
    with Engine(quiet=True) as engine:
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.one("SELECT sum(sqrt(i)) FROM range(1000000000000) t(i)")
        assert time.monotonic() - start < 20  # alone it would take hours
        assert engine.one("SELECT 1") == (1,)


def test_interrupt_says_what_was_kept(hand, monkeypatch):
    from mechanism.tool import loading

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "ingest", stop)
    result = run("price", hand, "--sizes", "a=5,b=4", "--output", "x.json")
    assert result.exit_code == 130 and "x.json" in result.stderr
