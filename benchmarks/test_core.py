"""Speed as ratios of one run: `make bench`. Medians; nothing here is a timed test.

Targets: KL at m = 10^6 within 4 times torch.softmax on the same float64 vector, chi-squared and
total variation within 15; every divergence at m = 1000, a game of a batch of 1000, at least 300
times faster than one cvxpy solve; payments for 5 groups within 1.5 (n + 1) solves; memory within 6
arrays of the input's size; under load with default threads no divergence over 1.5 times its run
with one thread.
"""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from mechanism import (
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    sw_max,
)
from mechanism.core.samplers import sample_game
from mechanism.oracles import optimum_cvxpy

LARGE = 10**6
DIVERGENCES = [
    KL(0.2),
    ChiSquared(0.2),
    TotalVariation(0.2),
    ReverseKL(0.2),
    SquaredHellinger(0.2),
    JensenShannon(0.2),
    Alpha(-1.0, 0.2),
    Alpha(0.3, 0.2),
    Alpha(1.5, 0.2),
    Alpha(3.0, 0.2),
]
RESULTS: dict[str, float] = {}


@pytest.fixture(scope="module", autouse=True)
def _one_thread_and_report():
    torch.set_num_threads(1)
    yield
    print("\n")
    for line, ratio in RESULTS.items():
        print(f"{line:72} {ratio:10.2f}")


def median(benchmark, function, *arguments):
    benchmark.pedantic(function, arguments, rounds=9, warmup_rounds=2)
    return benchmark.stats.stats.median


@pytest.fixture(scope="module")
def vector():
    return np.random.default_rng(0).random(LARGE)


@pytest.fixture(scope="module")
def softmax_seconds(vector):
    import timeit

    tensor = torch.tensor(vector)
    return float(np.median(timeit.repeat(lambda: torch.softmax(tensor, 0), number=1, repeat=15)))


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=str)
def test_million_outcomes_against_softmax(benchmark, divergence, vector, softmax_seconds):
    game = RLHFGame(vector[None], [1.0], np.full(LARGE, 1 / LARGE), divergence)
    seconds = median(benchmark, sw_max, game)
    RESULTS[f"{divergence}: m = 10^6, times torch.softmax"] = seconds / softmax_seconds
    tracemalloc.start()
    sw_max(game)
    RESULTS[f"{divergence}: m = 10^6, peak memory in arrays of the input's size"] = (
        tracemalloc.get_traced_memory()[1] / vector.nbytes
    )
    tracemalloc.stop()


LOADED = """
import sys, timeit
import numpy as np
from benchmarks.test_core import DIVERGENCES, LARGE
from mechanism import RLHFGame, sw_max
vector = np.random.default_rng(0).random(LARGE)
for divergence in DIVERGENCES:
    game = RLHFGame(vector[None], [1.0], np.full(LARGE, 1 / LARGE), divergence)
    print(np.median(timeit.repeat(lambda: sw_max(game), number=1, repeat=7)))
"""


def test_default_threads_under_load():
    """Every core busy: the threads that BLAS takes by default must not slow a solve (<= 1.5)."""
    root = str(Path(__file__).parents[1])
    plain = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    load = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        one, default = (
            subprocess.run(
                [sys.executable, "-c", LOADED], env=plain | {"PYTHONPATH": root} | threads,
                capture_output=True, text=True, check=True, cwd=root,
            ).stdout.split()
            for threads in ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, {})
        )  # fmt: skip
    finally:
        for process in load:
            process.kill()
    for divergence, slow, fast in zip(DIVERGENCES, default, one, strict=True):
        line = f"{divergence}: m = 10^6 under load, default threads / one thread"
        RESULTS[line] = float(slow) / float(fast)


@pytest.mark.filterwarnings("ignore:Power atom")
@pytest.mark.parametrize("divergence", DIVERGENCES, ids=str)
def test_thousand_games_against_cvxpy(benchmark, divergence):
    import timeit

    rng = np.random.default_rng(1)
    games = sample_game(rng, 5, 1000, divergence, "maximum", batch=(1000,), skew=0.5)
    one = sample_game(rng, 5, 1000, divergence, "maximum", skew=0.5)
    conic = np.median(
        timeit.repeat(
            lambda: optimum_cvxpy(one.scores(), one.reference, divergence), number=1, repeat=3
        )
    )
    single = np.median(timeit.repeat(lambda: sw_max(one), number=1, repeat=15))
    payments = np.median(timeit.repeat(lambda: affine_maximizer_payments(one), number=1, repeat=15))
    seconds = median(benchmark, sw_max, games) / 1000
    RESULTS[f"{divergence}: m = 1000, cvxpy / one game of a batch of 1000"] = conic / seconds
    RESULTS[f"{divergence}: m = 1000, cvxpy / single call"] = conic / single
    RESULTS[f"{divergence}: m = 1000, payments / ((n + 1) solves), n = 5"] = payments / (6 * single)
