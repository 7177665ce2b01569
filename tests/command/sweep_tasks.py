"""Work for sweeps, in a module that workers can import; every attempt leaves a line in a file."""

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np

from mechanism.core.errors import InvalidInputError


def squared(folder, k):
    """k squared, after a while."""
    with (Path(folder) / f"{k}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.15)
    return k * k


def refused(k):
    raise InvalidInputError("k", k, "is not wanted", "leave it out")


def page_faults(k):
    """Pages that the system has to clear while the same arrays are made again and again."""
    for turn in range(10):
        if turn == 2:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.ones(800_000) for _ in range(3)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def deadly(k):
    """End the worker, whoever it is."""
    os.kill(os.getpid(), signal.SIGKILL)


def attempts(folder):
    """Processes that have begun each task, in turn."""
    return {int(path.name): path.read_text().split() for path in Path(folder).iterdir()}
