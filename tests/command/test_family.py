"""However a command ends, within a second no process of it is left."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from mechanism import family
from mechanism.places import ROOT

MARK = "TEST_FAMILY_MARK"
CALL = "from mechanism.cli import app; app()"
WAYS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
# two children, one in a session of its own; all ignore signals
TREE = """
import subprocess, sys, time
if len(sys.argv) < 4:
    for apart in (False, True):
        words = [sys.executable, __file__, *sys.argv[1:], "x"]
        subprocess.Popen(words, start_new_session=apart)
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
open(f"{sys.argv[1]}/{time.monotonic_ns()}", "w")
time.sleep(60)
"""


def start(words, folder, **variables):
    """Start a command whose processes can be found by a variable of their environment."""
    mark = f"{MARK}_{time.monotonic_ns()}"
    own = {mark: "1", "PYTHONPATH": str(ROOT), "MECHANISM_RUNS": str(folder / "runs")}
    environment = os.environ | own | variables
    with (folder / "log").open("w") as log:
        ran = subprocess.Popen(
            words, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    return ran, mark


def living(mark):
    return {pid: psutil.Process(pid).cmdline() for pid in family.marked(mark)}


def until(holds, seconds=20):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def check_end(ran, mark, number, code=None):
    """Send a signal; within a second the command and all that it started must be gone."""
    ran.send_signal(number)
    time.sleep(1)
    left = living(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == {}
    assert ran.wait(1) == (-number if code is None or number == signal.SIGKILL else code)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "begun").mkdir()
    (tmp_path / "tree.py").write_text(TREE)
    words = [sys.executable, "tree.py", str(tmp_path / "begun"), "1"]
    return words, lambda: len(list((tmp_path / "begun").iterdir())) == 3


@pytest.mark.parametrize("number", WAYS, ids=lambda number: number.name)
def test_claims_end_with_their_workers(tmp_path, number):
    words = [sys.executable, "-c", CALL, "claims", "--budget", "200000"]
    ran, mark = start(words, tmp_path)
    until(lambda: sum("loky" in " ".join(line) for line in living(mark).values()) >= 2)
    check_end(ran, mark, number, 128 + number)
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert ("interrupted; finished work is kept" in said) == (number != signal.SIGKILL)


@pytest.mark.parametrize("number", WAYS, ids=lambda number: number.name)
def test_make_ends_with_all_that_it_started(tmp_path, tree, number):
    """As the Makefile runs every command; make alone gets the signal."""
    words, begun = tree
    run = f"{sys.executable} -P {ROOT / 'mechanism/family.py'} "
    line = run + " ".join(words)
    (tmp_path / "Makefile").write_text(f"all:\n\t@{line}\n")
    ran, mark = start(["make"], tmp_path)
    until(begun)
    check_end(ran, mark, number, -number)


@pytest.mark.parametrize("number", WAYS, ids=lambda number: number.name)
def test_a_runner_ends_with_all_that_it_started(tmp_path, tree, number):
    """The runner alone gets the signal; children ignore what they are sent."""
    words, begun = tree
    ran, mark = start([sys.executable, "-P", str(ROOT / "mechanism/family.py"), *words], tmp_path)
    until(begun)
    check_end(ran, mark, number, 128 + number)


def test_code_that_never_comes_back_ends_too(tmp_path):
    """A command that cannot answer a signal, since it is not in Python, is ended from outside."""
    code = (
        "from mechanism import family; family.keep_together()\n"
        "import itertools; open('ready', 'w')\n"
        "sum(itertools.repeat(1))"  # holds the interpreter, and never looks at signals
    )
    ran, mark = start([sys.executable, "-c", code], tmp_path)
    until(lambda: (tmp_path / "ready").exists())
    time.sleep(0.3)
    ran.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert living(mark) == {}
    ran.wait(1)


def test_a_runner_hands_on_the_exit_code(tmp_path):
    for code in (0, 1, 2, 130):
        words = [sys.executable, "-P", family.__file__, sys.executable, "-c", f"exit({code})"]
        assert subprocess.run(words).returncode == code
    words = [sys.executable, "-P", family.__file__, "no such command"]
    assert subprocess.run(words, capture_output=True).returncode == 127


def test_a_command_left_in_the_background_goes_on(tmp_path):
    """The shell that started a command may go (nohup, &): only make is watched as a parent."""
    code = "from mechanism import family; family.keep_together(); import time; time.sleep(30)"
    ran, mark = start(["sh", "-c", f'"{sys.executable}" -c "{code}" & sleep 0.5'], tmp_path)
    assert ran.wait() == 0
    time.sleep(0.5)
    left = living(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert any(code in line for line in left.values())
