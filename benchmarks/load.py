"""Solves while every core is busy: the threads that libraries take by default, beside one thread.

Two processes, one of each setting, solve at the same time against the same load, so that whatever
else the machine does is met by both; what counts is how many solves each gets done in a second. The
loads are tied to a core each: the two that are compared then meet the same number of rivals
wherever they run.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from benchmarks.solving import LAM, vector
from benchmarks.timing import Row, environment, spread
from mechanism import RLHFGame, sw_max
from mechanism.attack.games import FAMILIES

OUTCOMES = 10**6
WINDOW, ROUNDS = 1.0, 3  # seconds of a round, and rounds of a divergence
SERVE = "from benchmarks.load import serve; serve()"
BUSY = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [int(sys.argv[1])])
while True:
    pass
"""


def under_load(names: Sequence[str] = tuple(FAMILIES), rounds: int = ROUNDS) -> Iterator[Row]:
    """Default threads over one thread: seconds of a solve, and the work of all threads in it."""
    tied = hasattr(os, "sched_getaffinity")
    cores = sorted(os.sched_getaffinity(0)) if tied else range(os.cpu_count() or 1)
    with ExitStack() as stack:
        both = [stack.enter_context(Started(SERVE, threads=many)) for many in (True, False)]
        for worker in both:
            _answer(worker)  # what a process does once is no part of the comparison
        for core in cores:
            stack.enter_context(Started(BUSY, str(core)))
        found = {name: np.array([_round(both, name) for _ in range(rounds)]) for name in names}
    for name, seconds in found.items():
        for k, part in enumerate(("under load", "work under load")):
            default, one = seconds[:, 0, k], seconds[:, 1, k]
            yield Row(part, name, float(np.median(default)), OUTCOMES, 1, 1, "of one thread",
                      **spread(default / one), target="" if k else "<= 1.5")  # fmt: skip


class Started(subprocess.Popen[str]):
    """A process of Python that is ended with its block, whatever happens."""

    def __init__(self, code: str, *arguments: str, threads: bool = False) -> None:
        command = [sys.executable, "-c", code, *arguments]
        pipe = subprocess.PIPE
        super().__init__(command, stdin=pipe, stdout=pipe, text=True, env=environment(threads))

    def __exit__(self, *reason: object) -> None:
        self.kill()
        super().__exit__(*reason)


def _answer(worker: subprocess.Popen[str]) -> list[float]:
    assert worker.stdout is not None
    return json.loads(worker.stdout.readline())


def _round(workers: Sequence[subprocess.Popen[str]], name: str) -> list[list[float]]:
    """Seconds, and seconds of work, that a solve takes in each of the processes; side by side."""
    for worker in workers:
        assert worker.stdin is not None
        print(name, file=worker.stdin, flush=True)
    return [_answer(worker) for worker in workers]


def serve() -> None:
    """Solve for a second whatever divergence is named on a line, and say what a solve took."""
    rewards, reference = vector(OUTCOMES)[None], np.full(OUTCOMES, 1 / OUTCOMES)
    games = {f: RLHFGame(rewards, [1.0], reference, FAMILIES[f](LAM)) for f in FAMILIES}
    for game in games.values():
        sw_max(game)
    print("[]", flush=True)
    for line in sys.stdin:
        game, done = games[line.strip()], 0
        start, work = time.perf_counter(), time.process_time()
        while (taken := time.perf_counter() - start) < WINDOW:
            sw_max(game)
            done += 1
        print(json.dumps([taken / done, (time.process_time() - work) / done]), flush=True)
