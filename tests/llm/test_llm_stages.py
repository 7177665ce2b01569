"""Stages are whole or absent, and a run that is killed ends with the same numbers."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

from mechanism.folders import MARKER
from mechanism.llm import command
from mechanism.llm.runs import pipeline, record
from mechanism.llm.stages import Store, stage_key
from tests.llm.short_run import SHORT, start, undisturbed


def test_a_stage_is_whole_or_absent(tmp_path):
    store, calls = Store(tmp_path), []

    def fails(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    def works(folder):
        calls.append(sorted(p.name for p in folder.iterdir() if p.name != MARKER))
        (folder / "whole").write_text("y")

    with pytest.raises(KeyboardInterrupt):
        store.run("a", {"seed": 0}, [], fails)
    assert not any((p / "stage.json").exists() for p in tmp_path.iterdir() if p.is_dir())
    first = store.run("a", {"seed": 0}, [], works)
    again = store.run("a", {"seed": 0}, [], works)
    assert calls == [[]]  # the half-made folder was cleared, and the finished one found
    assert first == again and (first.path / "whole").exists()
    other = store.run("a", {"seed": 1}, [], works)
    assert len(calls) == 2 and other.path != first.path


def test_a_resumable_stage_finds_what_it_left(tmp_path):
    store, found = Store(tmp_path), []

    def build(folder):
        found.append((folder / "checkpoint").exists())
        (folder / "checkpoint").write_text("x")
        if len(found) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run("a", {}, [], build, resumable=True)
    store.run("a", {}, [], build, resumable=True)
    assert found == [False, True]


def test_a_stage_key_follows_its_inputs(tmp_path):
    first = Store(tmp_path).run("a", {"seed": 0}, [], lambda folder: None)
    assert stage_key({"x": 1}, [first]) != stage_key({"x": 1}, [])
    assert stage_key({"x": 1, "y": 2}, []) == stage_key({"y": 2, "x": 1}, [])


def killed(folder, reached):
    """Start the run and kill it as soon as `reached` says so, if it has not ended by then."""
    process = start(folder)
    while process.is_alive() and not reached():
        time.sleep(0.02)
    process.kill()
    process.join()


def assert_same_numbers(one, two):
    for table in ("samples", "support", "exact"):
        left, right = (
            getattr(record.read(one / "record"), table),
            getattr(record.read(two / "record"), table),
        )
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_a_run_killed_twice_ends_with_the_same_numbers(short_run, tmp_path):
    """In training, with a checkpoint there, and again among the evaluations, which start afresh."""
    clock = "train-*.part/seconds.json"  # written after a checkpoint
    killed(tmp_path, lambda: any(tmp_path.glob(clock)))
    assert any(tmp_path.glob(clock)), "no checkpoint was left behind"
    killed(tmp_path, lambda: any(tmp_path.glob("evaluate-*.part")))
    assert not list(tmp_path.glob("train-*.part")) and not (tmp_path / "record").exists()
    undisturbed(tmp_path)
    assert_same_numbers(short_run[0], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_a_run_killed_anywhere_ends_with_the_same_numbers(short_run, tmp_path, number):
    folder, seconds = short_run
    moment = np.random.default_rng(number).uniform(0.05, 0.95)
    end = time.monotonic() + moment * seconds
    killed(tmp_path, lambda: time.monotonic() > end)
    undisturbed(tmp_path)
    assert_same_numbers(folder, tmp_path)


def test_a_killed_command_leaves_no_worker_behind(tmp_path):
    """Both games are made side by side, each in a process that must end with the command."""
    sets = [f"--set={name}={value}" for name, value in SHORT.items()]
    code = "from mechanism.cli import app; app()"
    words = [sys.executable, "-c", code, "llm", "run", "--preset", "tiny", *sets]
    environment = os.environ | {"MECHANISM_RUNS": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None and not list(tmp_path.glob("stages/initial-*")):
            time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    makers = [each for each in workers if "popen_loky" in " ".join(each.cmdline())]
    process.kill()
    process.wait()
    assert len(makers) == 2
    _, late = psutil.wait_procs(workers, timeout=1)
    alive = [each for each in late if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not alive  # what has ended and waits to be reaped does not run


def test_every_seed_leaves_a_record_of_its_own(tmp_path, monkeypatch):
    """Recorded under its seed, so that none is lost; here the first is the run itself."""
    written = []
    monkeypatch.setattr(record, "LOCAL", tmp_path / "here")
    monkeypatch.setattr(record, "RECORDED", tmp_path / "kept")
    monkeypatch.setattr(pipeline, "run", lambda settings, root, say: settings)

    def write(settings, folder, command):
        written.append((folder.relative_to(tmp_path).as_posix(), settings.seed))
        return SimpleNamespace(samples=None, support=None, headline="")

    monkeypatch.setattr(record, "write", write)
    monkeypatch.setattr(command, "prepare", lambda asked, cluster: None)
    monkeypatch.setattr(command, "print_summary", lambda table, headline: None)
    words = ["run", "--game", "harmless_humor", "--seeds", "2", "--set", "seed=4", "--record"]
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.output
    name = "tiny_harmless_humor_trained"
    assert written == [
        (f"kept/{name}_seed4", 4),
        (f"here/finished/{name}", 4),
        (f"kept/{name}_seed5", 5),
        (f"here/finished/{name}_seed5", 5),
    ]
