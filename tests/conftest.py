"""Shared games and divergences: one table drives every test of an optimum."""

import gc
import os
import sys
import warnings

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

FOREIGN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "MPLBACKEND", "GIT_DIR", "GIT_WORK_TREE")
for name in [*FOREIGN, "MECHANISM_RUNS"]:  # tests set what they need, whatever the user has
    os.environ.pop(name, None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process compiles everything again
sys.dont_write_bytecode = False
os.environ["OMP_NUM_THREADS"] = "1"  # of two workers with two threads each, all wait for the others
collect_ignore = ["llm/short_run_packages.py"]  # no test, and the slowest import of all

from mechanism import (  # noqa: E402
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)

settings.register_profile(
    "book", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("book")

NAMED = {
    "KL": KL,
    "ChiSquared": ChiSquared,
    "TotalVariation": TotalVariation,
    "ReverseKL": ReverseKL,
    "SquaredHellinger": SquaredHellinger,
    "JensenShannon": JensenShannon,
    "Alpha(-1)": lambda lam: Alpha(-1.0, lam),
    "Alpha(0)": lambda lam: Alpha(0.0, lam),
    "Alpha(0.3)": lambda lam: Alpha(0.3, lam),
    "Alpha(1)": lambda lam: Alpha(1.0, lam),
    "Alpha(1.5)": lambda lam: Alpha(1.5, lam),
    "Alpha(3)": lambda lam: Alpha(3.0, lam),
}


def pytest_collection_modifyitems(items):
    """What trains comes first: one worker keeps its packages, and no long test is left last."""
    items.sort(key=lambda item: "tests/llm/" not in item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported by its end stays: the collector need not look at it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(params=NAMED, scope="session")
def divergence_class(request):
    """Every named divergence in turn, as a function of lam."""
    return NAMED[request.param]


@pytest.fixture(autouse=True)
def _no_floating_point_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.fixture(scope="session")
def short_run(tmp_path_factory):
    """Folder of one short tiny run, trained once for all workers, and its seconds."""
    from tests.llm.short_run import undisturbed

    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, clock = root / "short_run", root / "short_run.seconds"
    with FileLock(root / "short_run.lock"):
        if not clock.exists():
            clock.write_text(str(undisturbed(folder)))
    return folder, float(clock.read_text())


@pytest.fixture(scope="session")
def chapters_served(tmp_path_factory):
    """The variable that leads to a process from which chapters are forked, as in a build."""
    from tools.execution import environment
    from tools.kernel import forks

    with forks.server(tmp_path_factory.mktemp("served") / "forks", environment()) as variable:
        yield variable


@pytest.fixture(scope="module")
def forked(chapters_served):
    """Chapters are forked there, so that none imports the packages anew."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chapters_served.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def chapters_served_again(tmp_path_factory):
    """The variable that leads to another such process, as in a build's second run."""
    from tools.execution import environment
    from tools.kernel import forks

    with forks.server(tmp_path_factory.mktemp("again") / "forks", environment()) as variable:
        yield variable


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A book of one chapter and one page of text, with the current folder at its root."""
    from tests.book.book_project import write_project

    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path)


@pytest.fixture
def inside(monkeypatch):
    """Run the command in this process; return its exit code, its output and its errors."""
    import io

    from mechanism import cli, terminal

    def run(words, faults=(), answer="", **variables):
        monkeypatch.setattr(terminal.family, "keep_together", lambda: None)
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        monkeypatch.setenv("TQDM_DISABLE", "1")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for owner, name, value in faults:
            monkeypatch.setattr(owner, name, value)
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        kept = (out.buffer, err.buffer)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "argv", ["mechanism", *words])
        with pytest.raises(SystemExit) as end:
            cli.app()
        said = [buffer.getvalue().decode() for buffer in kept]
        monkeypatch.undo()
        return end.value.code, *said

    return run
