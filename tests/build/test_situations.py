"""What takes a whole build: a copied and a renamed checkout, two builds, a full disk, kills.

Everything happens in a throw-away copy of this checkout, whose files are hard links of its own.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest

from mechanism import family
from mechanism.places import ROOT

pytestmark = pytest.mark.slow
STEM = "rlhf_game"
PICTURES = 2


def run(root, *words, **variables):
    """Run a command in a checkout, and return it when it has ended."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        words, cwd=root, env=environment | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def book(root, **variables):
    return run(root, "make", "book", f"ONLY={STEM}", **variables)


def stored(root):
    return root / "_build" / "nb" / "game" / f"{STEM}.ipynb"


def pictures(root):
    return stored(root).read_text("utf-8").count('"image/png"')


def passing(folder, names):
    return [name for name in names if name in ("__pycache__", ".mypy_cache")]


def copied(source, target):
    """Copy a folder as `cp -al` does: files are hard links."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link, ignore=passing)
    return target


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this checkout with one page built."""
    root = tmp_path_factory.mktemp("situations") / "My Böok (v1) & co"
    names = run(ROOT, "git", "ls-files", "-z").stdout.split(chr(0))
    for name in filter(None, names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    copied(ROOT / ".venv", root / ".venv")
    ran = book(root)
    assert ran.returncode == 0, ran.stdout
    return root


def test_the_original_of_a_copy_is_untouched(checkout):
    code = "import mechanism; print(mechanism.__file__)"
    for root in (ROOT, checkout):
        ran = run(root / "book", root / ".venv/bin/python", "-c", code, PYTHONPATH="")
        assert ran.stdout == f"{root / 'mechanism/__init__.py'}\n"


def test_a_variable_of_the_user_takes_no_picture_away(checkout):
    stored(checkout).unlink()
    ran = book(checkout, MPLBACKEND="Agg", PYTHONOPTIMIZE="1", COLUMNS="20")
    assert ran.returncode == 0 and pictures(checkout) == PICTURES, ran.stdout


def test_a_copy_builds_with_its_own_code_and_a_renamed_one_builds(checkout, tmp_path):
    copy = copied(checkout, tmp_path / "copy")
    payments = copy / "mechanism/core/payments.py"
    text = payments.read_text("utf-8").replace(
        "return _candidate_payments(game)", "return 1000.0 + _candidate_payments(game)"
    )
    payments.unlink()
    payments.write_text(text, "utf-8")
    ran = book(copy)
    assert ran.returncode != 0 and "AssertionError" in ran.stdout
    payments.unlink()
    os.link(checkout / "mechanism/core/payments.py", payments)
    renamed = copy.rename(tmp_path / "renamed")
    stored(renamed).unlink()
    ran = book(renamed)
    assert ran.returncode == 0, ran.stdout
    assert "copied or renamed" in ran.stdout and "Installing" not in ran.stdout
    assert run(renamed, ".venv/bin/mechanism", "--version").returncode == 0


def test_the_second_of_two_builds_waits(checkout):
    stored(checkout).unlink()
    words = ["make", "book", f"ONLY={STEM}"]
    first = subprocess.Popen(words, cwd=checkout, stdout=subprocess.PIPE, text=True)
    while "running" not in first.stdout.readline():
        pass
    second = book(checkout)
    said, _ = first.communicate()
    assert first.returncode == 0, said
    assert second.returncode == 0 and "waiting: another build" in second.stdout, second.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("words", [["book", f"ONLY={STEM}"], ["pytest"], ["lint"]])
def test_a_killed_make_leaves_nothing(checkout, words, number):
    stored(checkout).unlink(missing_ok=True)
    mark = f"SITUATION_{time.monotonic_ns()}"
    ran = subprocess.Popen(
        ["make", *words], cwd=checkout, env=os.environ | {mark: "1"}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while len(family.marked(mark)) < 4:  # make, its runner, the watcher and the command
        assert ran.poll() is None
        time.sleep(0.02)
    time.sleep(0 if words == ["lint"] else 3)
    ran.send_signal(number)
    time.sleep(1)
    left = family.marked(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left and "Traceback" not in ran.communicate()[0]


def test_an_ascii_locale_builds(checkout):
    stored(checkout).unlink(missing_ok=True)
    ran = book(checkout, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert ran.returncode == 0, ran.stdout


def test_a_wheel_keeps_runs_with_the_user_and_advises_what_works(checkout, tmp_path):
    python, site = checkout / ".venv/bin/python", tmp_path / "site"
    made = run(checkout, python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
               "-w", tmp_path, ".")  # fmt: skip
    assert made.returncode == 0, made.stdout
    wheel = next(tmp_path.glob("mechanism*.whl"))
    run(tmp_path, python, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from mechanism.cli import app; app()"
    home = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": ""}
    shown = run(tmp_path, python, "-c", code, "llm", "show", **home)
    assert shown.returncode == 2 and "mechanism llm run --preset" in shown.stdout
    assert "make llm" not in shown.stdout
    ran = run(tmp_path, python, "-c", code, "llm", "run", "--no-train", "--game", "harmless_humor",
              **home)  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert list((tmp_path / "home").rglob("provenance.json"))
    assert not list(site.glob("runs")) and not list(site.glob("results"))
    cleaned = run(tmp_path, python, "-c", code, "llm", "clean", "--all", "--yes", **home)
    assert cleaned.returncode == 0 and not list((tmp_path / "home").rglob("provenance.json"))
