"""Shared games and divergences: one table drives every test of an optimum."""

import os
import warnings

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

FOREIGN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "MPLBACKEND", "GIT_DIR", "GIT_WORK_TREE")
for name in [*FOREIGN, "MECHANISM_RUNS"]:  # tests set what they need, whatever the user has
    os.environ.pop(name, None)

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
    from tests.short_run import undisturbed

    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, clock = root / "short_run", root / "short_run.seconds"
    with FileLock(root / "short_run.lock"):
        if not clock.exists():
            clock.write_text(str(undisturbed(folder)))
    return folder, float(clock.read_text())
