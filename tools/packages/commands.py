"""Run pip and uv so that they end with what started them, and leave a log.

Part of `tools/environment.py`, so standard library only and no syntax newer than Python 3.6.
"""

import contextlib
import os
import signal
import subprocess


def end_with_parent(number=signal.SIGKILL):
    """Ask Linux for a signal when the parent is gone; other systems know no such thing."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(1, int(number))


def logged(command, environment, folder, log_file, tell):
    """Run a command in a folder, keep its output in a file, `tell` its lines; return its code."""
    with open(log_file, "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        try:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace")
                log.write(line)
                tell(line)
            return process.wait()
        except BaseException:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it had started
            raise
