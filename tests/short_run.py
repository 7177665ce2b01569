"""A short run of the tiny scale, in a process of its own that can be killed."""

import os
import subprocess
import sys
import time

SHORT = {"steps": 12, "checkpoint_every": 3, "soups": 3, "samples": 8, "support_samples": 8}


RUN = """
import sys
from pathlib import Path
from mechanism.llm.runs import pipeline, record
from mechanism.llm.config import preset
settings = preset("tiny", control=False, **{changes})
done = pipeline.run(settings, Path(sys.argv[1]), lambda text: None)
record.write(done, Path(sys.argv[1]) / "record", "a test")
"""


def start(folder, log):
    code = RUN.replace("{changes}", repr(SHORT))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def undisturbed(folder):
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with (folder / "log").open("w") as log:
        code = start(folder, log).wait()
    assert code == 0, (folder / "log").read_text()[-3000:]
    return time.monotonic() - begun
