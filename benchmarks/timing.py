"""Rows of the table of `make bench`: seconds side by side in rounds, and what a target asks for."""

import gc
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST = 1e-2  # seconds that one sample takes: the first call after other work finds cold caches


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is the median of the rounds, `low` and `high` the least and greatest.

    `part` and `subject` say what ran, for `m` outcomes, `n` groups and `games` games (or prompts);
    `beside` says what `ratio` is, `target` what it, or the seconds, must be: "<= 2", ">= 300",
    "< 40 s". `memory` is the peak in megabytes: of a call beyond its input, or of a whole process.
    """

    part: str
    subject: str
    seconds: float
    m: int = 0
    n: int = 0
    games: int = 0
    beside: str = ""
    ratio: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    target: str = ""
    memory: float = float("nan")

    @property
    def met(self) -> bool:
        """Whether the figure is what its target asks for; one without a target always is."""
        if not self.target:
            return True
        sense, bound, *unit = self.target.split()
        figure = self.seconds if unit else self.ratio
        return figure >= float(bound) if sense == ">=" else figure <= float(bound)


def seconds_of(
    function: Callable[[], Any], count: int = 1, clock: Callable[[], float] = time.perf_counter
) -> float:
    start = clock()
    for _ in range(count):
        function()
    return (clock() - start) / count


def rounds_of(
    functions: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """Seconds of each function in `rounds` rounds; they alternate, so that noise hits all alike.

    By default of this process's own work, which waits for a core do not lengthen.
    """
    counts = {}
    for name, function in functions.items():
        function()
        counts[name] = max(1, round(LEAST / max(seconds_of(function, 1, clock), 1e-9)))
    gc.collect()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds_of(function, counts[name], clock))
    return {name: np.array(found) for name, found in times.items()}


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest, by the names of a `Row`."""
    return dict(
        ratio=float(np.median(ratios)), low=float(np.min(ratios)), high=float(np.max(ratios))
    )


def peak(function: Callable[[], Any]) -> int:
    """Greatest memory in bytes that a call takes beyond what was there."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def environment(threads: bool) -> dict[str, str]:
    """Variables of a process whose libraries take the threads of their default, or one."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return kept if threads else kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def process(code: str, *arguments: str, threads: bool = False) -> tuple[float, float, Any]:
    """Seconds, peak memory in bytes and the JSON that a Python process of its own prints."""
    start = time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(threads))
    assert running.stdout is not None
    with running.stdout as pipe:
        out = pipe.read()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert isinstance(usage, resource.struct_rusage)
    if running.returncode:
        raise RuntimeError(f"a benchmark ended with {running.returncode}: {code[:60]}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024.0, json.loads(out)
