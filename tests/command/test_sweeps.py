"""The seam of all sweeps on one machine: order, errors, what is kept, what is found again."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mechanism import folders, sweeps
from mechanism.core.errors import InvalidInputError
from mechanism.experiments.synthetic import reproduction as synthetic
from mechanism.llm.runs import clean
from mechanism.places import ROOT
from mechanism.sweeps import Where, kept, memory, ordered
from tests.command.sweep_tasks import attempts, refused, squared


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of runs, and one in which tasks leave their attempts."""
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "runs"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    (tmp_path / "begun").mkdir()
    return tmp_path / "runs", tmp_path / "begun"


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_is_done_once_and_results_are_in_order(runs, jobs):
    _, begun = runs
    assert ordered(squared, range(4), Where(jobs), begun) == [0, 1, 4, 9]
    assert sorted(attempts(begun)) == [0, 1, 2, 3]
    assert all(len(pids) == 1 for pids in attempts(begun).values())
    here = [str(os.getpid())]
    assert (here in attempts(begun).values()) == (jobs == 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_comes_back_as_it_is(jobs):
    with pytest.raises(InvalidInputError, match="k = 1: is not wanted"):
        ordered(refused, [1, 1, 1], Where(jobs))


def test_jobs_are_counted_from_one():
    with pytest.raises(InvalidInputError, match="--jobs = 0"):
        ordered(abs, [1], Where(0))


@pytest.mark.parametrize("sampling", ["balanced", "independent"])
def test_table_1_does_not_depend_on_the_number_of_processes(monkeypatch, sampling):
    monkeypatch.setattr(synthetic, "TASK", 300)
    settings = (synthetic.BEST, synthetic.STATED)
    one, two = (synthetic.estimates(settings, 1000, 3, sampling, where=Where(j)) for j in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_up_to_one_task_the_games_are_those_of_the_plain_seed(monkeypatch):
    totals = synthetic._totals("balanced", synthetic.EPSILONS, None, (synthetic.BEST, 900, 3))
    plain = synthetic.UNITS * totals / 2700  # three groups in turn
    np.testing.assert_array_equal(synthetic.estimate(synthetic.BEST, 900, 3), plain)
    monkeypatch.setattr(synthetic, "TASK", 300)
    assert (synthetic.estimate(synthetic.BEST, 900, 3) != plain).all()


# what is kept


def interrupted(begun, after=2, name="squares"):
    """Leave a sweep after so many results; return these."""
    sweep = sweeps.run(squared, range(5), Where(name=name), begun)
    found = dict(next(sweep) for _ in range(after))
    sweep.close()
    return found


def test_an_interrupted_sweep_goes_on_and_leaves_nothing_once_finished(runs):
    folder, begun = runs
    assert interrupted(begun) == {0: 0, 1: 1}
    (left,) = (folder / "sweeps").glob("*.part")
    assert folders.is_marked(left)
    assert ordered(squared, range(5), Where(name="squares"), begun) == [0, 1, 4, 9, 16]
    assert {k: len(pids) for k, pids in attempts(begun).items()} == dict.fromkeys(range(5), 1)
    assert list((folder / "sweeps").iterdir()) == []


@pytest.mark.parametrize("change", ["code", "task", "work", "shared", "broken file", "no name"])
def test_a_task_is_found_again_only_by_a_sweep_that_would_do_the_same(
    runs, monkeypatch, capsys, change
):
    folder, begun = runs
    name, tasks, work, shared = "squares", range(5), squared, (begun,)
    interrupted(begun)
    if change == "code":
        monkeypatch.setattr(kept, "code_hash", lambda: "other")
    tasks = range(6) if change == "task" else tasks
    work = functools.partial(squared, begun) if change == "work" else work
    shared = () if change == "work" else (str(begun),) if change == "shared" else shared
    if change == "broken file":
        for path in folder.rglob("*.pickle"):
            path.write_bytes(path.read_bytes()[:-3])
    name = None if change == "no name" else name
    assert ordered(work, tasks, Where(name=name), *shared) == [k * k for k in tasks]
    assert len(attempts(begun)[0]) == 2
    told = "000000.pickle is damaged" in capsys.readouterr().err
    assert told == (change == "broken file")


def test_a_killed_command_goes_on(runs):
    folder, begun = runs
    code = (
        "from mechanism import family; family.keep_together()\n"
        "from mechanism.sweeps import Where, ordered\n"
        "from tests.command.sweep_tasks import squared\n"
        f"print(ordered(squared, range(9), Where(2, name='squares'), {str(begun)!r}))"
    )
    words = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(words, env=environment, cwd=ROOT)
    while len(done := list(folder.rglob("*.pickle"))) < 3:
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    again = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert again.stdout == f"{[k * k for k in range(9)]}\n"
    for path in done:
        assert len(attempts(begun)[int(path.stem)]) == 1


def test_clean_removes_what_an_interrupted_sweep_left(runs):
    folder, begun = runs
    interrupted(begun)
    found = clean.find(folder, everything=False)
    assert [path.suffix for path in found.removable] == [".lock", ".part"] and not found.others
    assert clean.remove(found.removable) == ([], [])
    assert not (folder / "sweeps").exists()


def test_clean_leaves_a_sweep_that_is_going_on(runs):
    folder, begun = runs
    sweep = sweeps.run(squared, range(5), Where(name="squares"), begun)
    next(sweep)
    removable = clean.find(folder, everything=True).removable
    _, used = clean.remove(removable)
    assert {path.suffix for path in used} == {".part", ".lock"}
    assert dict(sweep) == {1: 1, 2: 4, 3: 9, 4: 16}


def test_the_same_sweep_twice_at_once_waits_and_says_so(runs, capsys):
    _, begun = runs
    sweep = sweeps.run(squared, range(5), Where(name="squares"), begun)
    next(sweep)
    second = []
    other = threading.Thread(
        target=lambda: second.extend(ordered(squared, range(5), Where(name="squares"), begun))
    )
    other.start()
    until = time.monotonic() + 10
    said = ""
    while "waiting for another run" not in said and time.monotonic() < until:
        said += capsys.readouterr().err
        time.sleep(0.02)
    assert "waiting for another run" in said
    assert len(dict(sweep)) == 4
    other.join()
    assert second == [0, 1, 4, 9, 16]


def test_where_nothing_can_be_kept_the_sweep_runs_all_the_same(runs, monkeypatch, capsys):
    _, begun = runs
    (begun.parent / "file").write_text("")
    monkeypatch.setenv(folders.VARIABLE, str(begun.parent / "file"))
    assert ordered(squared, range(2), Where(name="squares"), begun) == [0, 1]
    assert "finished tasks are not kept" in capsys.readouterr().err


def test_a_full_disk_ends_the_sweep_and_loses_nothing(runs, monkeypatch):
    folder, begun = runs
    real = folders.write_bytes

    def full(path, content):
        if path.stem == "000003":
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(folders, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        ordered(squared, range(5), Where(name="squares"), begun)
    assert len(list(folder.rglob("*.pickle"))) == 3


def test_progress_is_one_bar(runs, monkeypatch, capsys):
    _, begun = runs
    monkeypatch.delenv("TQDM_DISABLE")
    assert ordered(squared, range(2), Where(name="squares"), begun) == [0, 1]
    out, err = capsys.readouterr()
    assert out == "" and err.count("squares") == 1 and "2/2" in err


@pytest.mark.skipif(not memory.keep(), reason="an allocator that is not glibc's")
@pytest.mark.parametrize("jobs", [1, 2])
def test_tasks_reuse_the_memory_of_freed_arrays(jobs):
    code = (
        "from mechanism.sweeps import Where, ordered\n"
        "from tests.command.sweep_tasks import page_faults\n"
        f"print(max(ordered(page_faults, range(4), Where({jobs}))))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code]
    ran = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert int(ran.stdout) < 100, ran.stderr  # of thousands that the system clears otherwise
