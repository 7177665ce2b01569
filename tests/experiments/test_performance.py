"""The recorded benchmark: whole, of a known origin, and read rightly; what a missed target does."""

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import load, record, solving
from benchmarks.timing import LEAST, Row, peak, rounds_of
from mechanism.attack.games import FAMILIES
from mechanism.experiments import performance
from mechanism.figures.performance import plot_floors, plot_scaling


def cli(*words):
    """What the command line of the benchmark does with some words."""
    app = typer.Typer()
    app.command()(record.command)
    return CliRunner().invoke(app, words)


@pytest.fixture(scope="module")
def table():
    return performance.recorded()


def test_every_divergence_is_recorded_at_every_number_of_outcomes(table):
    solves = table[table.part == "solve"]
    found = set(zip(solves.subject, solves.m, strict=True))
    assert found == {(name, m) for name in FAMILIES for m in solving.OUTCOMES}
    for part in ("memory", "floor", "batch", "payments", "under load", "work under load",
                 "cvxpy", "SLSQP", "trust-constr", "single call", "game of a batch"):  # fmt: skip
        assert set(table[table.part == part].subject) == set(FAMILIES), part
    assert {"Table 1", "claims", "price", "audit", "sweep", "priced lies"} <= set(table.part)
    assert set(table[table.part == "payments"].n) == set(solving.GROUPS)


def test_the_record_says_where_it_comes_from():
    found = performance.provenance()
    assert {"command", "date", "hardware", "python", "packages", "seed"} <= found.keys()
    assert {"numpy", "numba", "torch", "cvxpy"} <= found["packages"].keys()


def test_medians_lie_in_their_spread_and_verdicts_are_those_of_the_rows(table):
    lines = table[table.low.notna()]
    assert ((lines.low <= lines.ratio) & (lines.ratio <= lines.high)).all()
    verdicts = performance.verdicts(table)
    assert len(verdicts) > 60
    assert (verdicts.met == (verdicts.margin >= 1)).all()
    summary = performance.summary(verdicts)
    assert summary.met.str.split().str[0].astype(int).sum() == verdicts.met.sum()
    assert summary.margin.min() == verdicts.margin.min()


@pytest.mark.parametrize(
    ("target", "seconds", "ratio", "met"),
    [
        ("", 9.0, 9.0, True),
        ("<= 2", 9.0, 2.0, True),
        ("<= 2", 1.0, 2.1, False),
        (">= 300", 9.0, 301.0, True),
        (">= 300", 9.0, 299.0, False),
        ("< 40 s", 39.0, 99.0, True),
        ("< 40 s", 41.0, 1.0, False),
    ],
)
def test_a_target_is_met_or_missed(target, seconds, ratio, met):
    row = Row("part", "subject", seconds, ratio=ratio, target=target)
    assert row.met is met
    if target:
        assert (performance.verdicts(record.frame([row])).margin.iloc[0] >= 1) == met


@pytest.mark.parametrize(("ratio", "code"), [(1.5, 0), (2.5, 1)])
def test_the_exit_code_tells_of_a_miss(monkeypatch, capsys, ratio, code):
    part = type("part", (), {"rows": lambda: [Row("p", "s", 1.0, ratio=ratio, target="<= 2")]})
    written = []
    monkeypatch.setattr(record, "PARTS", (part,))
    monkeypatch.setattr(record, "write", lambda rows, *of: written.extend(rows))
    assert record.main() == code and len(written) == 1
    assert ("missed: p, s" in capsys.readouterr().out) == bool(code)


@pytest.mark.parametrize(("words", "parts"), [([], "ab"), (["--only", "whole"], "b")])
def test_parts_that_are_asked_for_run_alone_and_only_all_are_recorded(monkeypatch, words, parts):
    ran, written = [], []

    def part(name, letter):
        return type(f"benchmarks.{name}", (), {"rows": lambda: ran.append(letter) or iter(())})

    monkeypatch.setattr(record, "PARTS", (part("solving", "a"), part("whole", "b")))
    monkeypatch.setattr(record, "write", lambda *of: written.append(of))
    assert cli(*words).exit_code == 0
    assert "".join(ran) == parts and len(written) == (not words)


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--only", "nothing"], 2)])
def test_help_and_a_wrong_word_start_nothing(monkeypatch, words, code):
    monkeypatch.setattr(record, "main", lambda *of: pytest.fail("the benchmark was started"))
    found = cli(*words)
    assert found.exit_code == code and "--only" in found.output


def test_exponents_and_costs_of_a_made_up_table():
    m = np.array([10**4, 10**5, 10**6])
    lines = [Row("solve", "KL", 1e-9 * k**1.25, int(k), 1, 1) for k in m]
    table = record.frame([*lines, *(Row("audit", "file", 0.1 * n, 10, n, 10**4) for n in (5, 50))])
    found = performance.growth(table).set_index(["part", "grows with"]).exponent
    np.testing.assert_allclose(found[("solve", "m")], 1.25, rtol=1e-9)
    np.testing.assert_allclose(found[("audit", "n")], 1.0, rtol=1e-9)
    cost = performance.seconds_for(table, 1e12)
    np.testing.assert_allclose(cost["KL"], lines[-1].seconds * 1e6, rtol=1e-12)


def test_rounds_alternate_and_short_calls_are_repeated():
    now, calls = [0.0], []

    def taking(name, seconds):
        def work():
            calls.append(name)
            now[0] += seconds

        return work

    functions = {"a": taking("a", LEAST / 4), "b": taking("b", 3 * LEAST)}
    times = rounds_of(functions, 3, clock=lambda: now[0])
    np.testing.assert_allclose(times["a"], LEAST / 4)
    np.testing.assert_allclose(times["b"], 3 * LEAST)
    assert "".join(calls) == "aabb" + 3 * "aaaab"


def test_under_load_both_settings_answer_the_same_rounds(monkeypatch):
    """Seconds and work of one thread stand below those of default threads, round by round."""
    asked = []

    class Worker:
        def __init__(self, code, *arguments, threads=False):
            self.default = threads
            asked.append((code, threads))

        def __enter__(self):
            return self

        def __exit__(self, *reason):
            asked.append("ended")

    def side_by_side(workers, name):
        asked.append(name)
        factor = float(asked.count(name))
        return [[3.0 * factor, 5.0] if one.default else [factor, 1.0] for one in workers]

    monkeypatch.setattr(load, "Started", Worker)
    monkeypatch.setattr(load, "_answer", lambda worker: [])
    monkeypatch.setattr(load, "_round", side_by_side)
    rows = list(load.under_load(["KL", "chi-squared"], rounds=3))
    processes = [what for what in asked if isinstance(what, tuple)]
    assert processes[:2] == [(load.SERVE, True), (load.SERVE, False)]
    assert {code for code, _ in processes[2:]} == {load.BUSY}
    assert asked.count("ended") == len(processes) > 2 and asked.count("KL") == 3
    assert [(row.part, row.ratio, row.met) for row in rows[:2]] == [
        ("under load", 3.0, False), ("work under load", 5.0, True)
    ]  # fmt: skip
    assert rows[0].seconds == 6.0


def test_memory_is_what_a_call_takes():
    assert peak(lambda: np.ones(10**6)) == pytest.approx(8e6, rel=0.01)


def test_what_the_last_step_applies_is_an_inverse_slope():
    """Each floor is of the right shape: q times it is a policy for some strength of the rewards."""
    gaps = np.linspace(0, 1.4, 50)
    for name, last in solving.LAST.items():
        ratio = last(gaps.copy(), np.empty(50))
        divergence = FAMILIES[name](1.0)
        if name == "total variation":
            assert set(ratio) == {0.0, 1.0}
            continue
        inside = ratio > 0
        slope = divergence.df(ratio[inside])
        rise = np.diff(slope) / np.diff(gaps[inside])
        np.testing.assert_allclose(rise, rise[0], rtol=1e-6, err_msg=name)


def test_figures_draw_what_is_recorded(table):
    solve = table[(table.part == "solve") & (table.subject == "KL")]
    (axes,) = plot_scaling(table).axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), solve.seconds)
    (axes,) = plot_floors(table).axes
    widths = [bar.get_width() for bar in axes.patches[:10]]
    np.testing.assert_allclose(widths, performance.floors(table).solve)


def test_what_has_no_target_is_no_verdict():
    assert performance.verdicts(record.frame([Row("p", "s", 1.0)])).empty
    assert isinstance(performance.verdicts(record.frame([Row("p", "s", 1.0)])), pd.DataFrame)
