"""A chapter runs in an environment that the build names; pictures, full disks, two builds."""

import ast
import itertools
import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from tests.book.book_project import PICTURE, page
from tools.chapters import ROOT, Chapter, ChapterError
from tools.execution import FIXED, check_pictures, environment, execute, explain_failure, pictures
from tools.kernel import forks

FOREIGN = {
    "MPLBACKEND": "Agg",
    "MATPLOTLIBRC": "elsewhere",
    "PYTHONOPTIMIZE": "1",
    "PYTHONPATH": "elsewhere",
    "PYTHONIOENCODING": "ascii",
    "IPYTHONDIR": "elsewhere",
    "JUPYTER_PATH": "elsewhere",
    "COLUMNS": "20",
    "LC_ALL": "C",
    "TZ": "Asia/Tokyo",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
}
ASK = (
    "import os, mechanism as m\nprint((__debug__, m.__file__, {k: os.environ.get(k) for k in %r}))"
)


def test_variables_of_the_user_do_not_reach_a_chapter(project, monkeypatch):
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    chapter = Chapter("book/part/one")
    chapter.source.write_text(page(ASK % sorted(FOREIGN), PICTURE.format("0.5")))
    execute(chapter, [chapter.source])
    made = nbformat.read(chapter.notebook, as_version=4)
    debug, module, found = ast.literal_eval(made.cells[1].outputs[0].text)
    assert debug and module == str(ROOT / "mechanism/__init__.py")
    assert found == {name: FIXED.get(name) for name in FOREIGN} and pictures(made) == 1


def test_fewer_pictures_than_before_is_red(project):
    """Whatever the cause: here the page itself has none, and the stored run has two."""
    chapter = Chapter("book/part/one")
    chapter.notebook.parent.mkdir(parents=True)
    shown = nbformat.v4.new_output("display_data", {"image/png": "x"})
    cells = [nbformat.v4.new_code_cell("draw()", outputs=[shown, shown])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), chapter.notebook)
    stored = chapter.notebook.read_text()
    with pytest.raises(ChapterError, match="0 pictures, and the stored run has 2"):
        execute(chapter, [chapter.source])
    assert chapter.notebook.read_text() == stored
    chapter.notebook.unlink()  # what the message advises where fewer are meant
    check_pictures(chapter, nbformat.v4.new_notebook())


def test_a_full_disk_is_called_so(project):
    chapter = Chapter("book/part/one")
    chapter.source.write_text(page("raise OSError(28, 'No space left on device')"))
    with pytest.raises(ChapterError, match="no space left on device; free some"):
        execute(chapter, [chapter.source])
    chapter.report.write_text('{"cells": [')  # what a full disk leaves
    message = explain_failure(chapter, "Traceback\nOSError: [Errno 122] Disk quota exceeded")
    assert message == "book/part/one.md failed: disk quota exceeded; free some, and build again"
    assert "half" in explain_failure(chapter, "half a notebook")


def test_the_second_build_waits_and_says_so(tmp_path):
    """While one process holds the lock another says that it waits, and goes on afterwards."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tools.environment import lock\n"
        "with lock('lock', 'another build'):\n    print('in', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    first = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert first.stdout.readline() == "in\n"
    second = subprocess.Popen([sys.executable, "-c", code], **pipes)
    time.sleep(0.5)
    first.kill()  # a lock goes with its process
    assert second.communicate("\n", timeout=10)[0] == "waiting: another build\nin\n"
    first.communicate()


def test_the_stored_style_is_what_seaborn_sets():
    """What a chapter draws with, name by name; and no kernel pays for seaborn's import."""
    script = """
import json, sys
import matplotlib.pyplot as plt
from mechanism import plotting
assert plotting.STYLE.read_text("utf-8") == json.dumps(plotting.seaborn_style(), indent=1) + "\\n"
plotting.use_style()
ours = dict(plt.rcParams)
plt.rcdefaults()
import seaborn
seaborn.set_theme(context="notebook", style="whitegrid", font="DejaVu Sans")
print([name for name, value in plt.rcParams.items() if value != ours[name]])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    ours = ["axes.prop_cycle", "figure.constrained_layout.use", "figure.dpi", "figure.figsize"]
    assert ran.stdout == f"{[*ours, 'image.cmap', 'savefig.dpi', 'svg.hashsalt']}\n", ran.stderr
    script = "import mechanism.plotting, sys; print('seaborn' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout == "False\n", ran.stderr


# chapters forked from one process


STATE = """\
import gc, os, signal, sys, warnings
shown = ["mechanism" in sys.modules, sys.path, sys.argv[0], sys.flags, os.getcwd(), os.umask(0o22)]
shown += [sys.stdout.encoding, gc.isenabled(), signal.getsignal(signal.SIGTERM)]
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from pandas._config import config
shown += [[each[:1] + each[2:3] + each[4:] for each in warnings.filters if "error" in each]]
warnings.simplefilter("ignore")  # some options are deprecated
options = [(name, config.get_option(name)) for name in config._select_options("")]
shown += [str(options).lower(), sorted(plt.rcParams.items()), plt.get_backend()]
shown += [np.geterr(), np.get_printoptions()]
shown += [sorted(set(os.environ) - {"JPY_PARENT_PID", "JPY_SESSION_NAME", "MECHANISM_FORKS"})]
print(*shown, sep="\\n")
"""


def test_a_forked_chapter_cannot_tell(project, chapters_served, monkeypatch):
    """Settings of Python, pandas and matplotlib, folder and variables are those without a fork."""
    found = []
    for variables in ({}, chapters_served):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        chapter = Chapter("book/part/one")
        chapter.source.write_text(page(STATE, PICTURE.format(0.5)) + "\n" * len(found))
        execute(chapter, [chapter.source])
        cells = nbformat.read(chapter.notebook, as_version=4).cells
        found.append([cell.get("outputs") for cell in cells])
        chapter.notebook.unlink()
    assert found[0] == found[1]


def fork(variables, folder, code, **options):
    """Begin to run code in a fork, as a module of this folder."""
    (folder / "asked.py").write_text(code)
    return subprocess.Popen(
        [*forks.RUN, "asked"], env=environment() | variables, cwd=folder, text=True,
        stdout=subprocess.PIPE, **options,
    )  # fmt: skip


CHANCE = "import sys, numpy as np\nprint('fork' if 'numba' in sys.modules else 'new', {})"


@pytest.mark.parametrize("chance", ["hash('a')", "id(object())", "np.random.rand()"])
def test_what_changes_from_run_to_run_changes_with_the_server(
    chapters_served, chapters_served_again, tmp_path, chance
):
    ways = (chapters_served, chapters_served_again, {}, {forks.VARIABLE: str(tmp_path / "nobody")})
    runs = [fork(way, tmp_path, CHANCE.format(chance)) for way in ways]
    kinds, values = zip(*(run.communicate()[0].split() for run in runs), strict=True)
    assert kinds == ("fork", "fork", "new", "new") and len(set(values)) == 4


def test_a_fork_ends_as_a_process_does(chapters_served, tmp_path):
    ends = {"raise SystemExit(3)": 3, "1 / 0": 1, "import os\nos.kill(os.getpid(), 9)": -9}
    for variables, (code, expected) in itertools.product(({}, chapters_served), ends.items()):
        asking = fork(variables, tmp_path, code, stderr=subprocess.PIPE)
        written = asking.communicate()[1]
        assert asking.returncode == expected and ("ZeroDivision" in written) == (expected == 1)


SLEEP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"


def begun(variables, folder):
    """Begin a fork that sleeps; return who asked for it, and its id."""
    asking = fork(variables, folder, SLEEP, stderr=subprocess.DEVNULL)
    pid = int(asking.stdout.readline())
    assert pid != asking.pid
    return asking, pid


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_fork_ends_with_who_asked(chapters_served, tmp_path, end):
    asking, pid = begun(chapters_served, tmp_path)
    os.kill(asking.pid, end)
    assert asking.wait() == -end
    until = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not psutil.pid_exists(pid)
    asking.stdout.close()


def test_a_fork_ends_with_the_server(tmp_path):
    with forks.server(tmp_path / "forks", environment()) as variable:
        asking, pid = begun(variable, tmp_path)
    assert not psutil.pid_exists(pid)
    assert asking.wait() == -signal.SIGKILL
    asking.stdout.close()
