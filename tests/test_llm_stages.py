"""Stages are whole or absent, and a run that is killed ends with the same numbers."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from mechanism.folders import MARKER
from mechanism.llm.runs import record
from mechanism.llm.stages import Store, stage_key
from tests.short_run import SHORT, start, undisturbed


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


def killed_and_resumed(folder, seconds):
    """Kill the run after `seconds`, then let it end; return whether it was still running."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        process = start(folder, log)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    was_running = process.wait() == -signal.SIGKILL
    undisturbed(folder)
    return was_running


def assert_same_numbers(one, two):
    for table in ("samples", "support", "exact"):
        left, right = (
            getattr(record.read(one / "record"), table),
            getattr(record.read(two / "record"), table),
        )
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_a_killed_run_ends_with_the_same_numbers(short_run, tmp_path):
    folder, seconds = short_run
    moment = np.random.default_rng(20261124).uniform(0.4, 0.8)
    killed_and_resumed(tmp_path, moment * seconds)
    assert_same_numbers(folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_a_run_killed_anywhere_ends_with_the_same_numbers(short_run, tmp_path, number):
    folder, seconds = short_run
    moment = np.random.default_rng(number).uniform(0.05, 0.95)
    killed_and_resumed(tmp_path, moment * seconds)
    assert_same_numbers(folder, tmp_path)


def test_killing_in_training_leaves_a_checkpoint_that_is_used(short_run, tmp_path):
    """Stop when a checkpoint is there; the resumed training does not start at step 0."""
    folder, _ = short_run
    with (tmp_path / "log").open("w") as log:
        process = start(tmp_path, log)
        while process.poll() is None and not list(
            tmp_path.glob("train-*.part/seconds.json")  # written after the checkpoint
        ):
            time.sleep(0.02)
        process.kill()
        process.wait()
    left = list(tmp_path.glob("train-*.part/seconds.json"))
    assert left, "no checkpoint was left behind"
    undisturbed(tmp_path)
    assert_same_numbers(folder, tmp_path)


def test_a_killed_command_leaves_no_worker_behind(tmp_path):
    """Both games train side by side, each in a process that must end with the command."""
    sets = [f"--set={name}={value}" for name, value in SHORT.items()]
    code = "from mechanism.cli import app; app()"
    words = [sys.executable, "-c", code, "llm", "run", "--preset", "tiny", *sets]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MECHANISM_RUNS": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None and len(list(tmp_path.glob("stages/train-*.part"))) < 2:
            time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=1)
    assert not alive
