"""A short run of the tiny scale, in a process of its own that can be killed."""

import multiprocessing
import os
import time
from pathlib import Path

SHORT = {"steps": 12, "checkpoint_every": 3, "soups": 3, "samples": 8, "support_samples": 8}

# Its server imports the packages once; every run is a fork of it
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.llm.short_run_packages"])


def start(folder: Path) -> multiprocessing.Process:
    """Start, or go on with, the run below `folder`; what it says goes to `folder/log`."""
    folder.mkdir(parents=True, exist_ok=True)
    process = PROCESSES.Process(target=_run, args=(folder,))
    process.start()
    return process


def _run(folder: Path) -> None:
    from mechanism.llm.config import preset
    from mechanism.llm.runs import pipeline, record

    with (folder / "log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        settings = preset("tiny", control=False, **SHORT)
        done = pipeline.run(settings, folder, lambda text: None)
        record.write(done, folder / "record", "a test")


def undisturbed(folder: Path) -> float:
    """Let the run end; return the seconds that it took."""
    begun = time.monotonic()
    process = start(folder)
    process.join()
    assert process.exitcode == 0, (folder / "log").read_text()[-3000:]
    return time.monotonic() - begun
