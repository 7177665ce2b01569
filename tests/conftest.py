"""Shared games and divergences: one table drives every test of an optimum."""

import warnings

import pytest
from hypothesis import HealthCheck, settings

from mechanism import (
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
