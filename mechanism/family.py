"""A command and every process that it starts end together, however the command ends.

Nothing can run in a process that SIGKILL ends, and its children go on: Unix hands them to another
parent. So `keep_together` starts a watcher, a small process of its own session, which sees that the
command is gone and kills whatever carries the command's mark in its environment, which processes
inherit. Out of reach is who kills the watcher too, or who drops its environment.

`python -P mechanism/family.py COMMAND ...` runs a command in this way (the Makefile does), and also
ends it when the parent of the two is gone or was interrupted: make, when it alone gets a SIGINT,
would wait for its children.
"""

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

INTERRUPTED = 128 + signal.SIGINT  # as shells count
POLL = 0.2  # seconds
GRACE = 0.4  # seconds, after an interrupt, in which a command may still say what it has
TOLD = {signal.SIGINT, signal.SIGTERM}
_kept: list[tuple[str, int]] = []  # the mark, and the end of the pipe that stays open


def keep_together(parent: int = 0) -> None:
    """Let all that this process starts from now on end with it, and it with `parent` if given."""
    if _kept or os.name != "posix":
        return
    mark = f"MECHANISM_FAMILY_{secrets.token_hex(8).upper()}"
    end, kept = os.pipe()  # children inherit neither, but for the watcher
    os.set_blocking(kept, False)
    words = [sys.executable, "-P", __file__, "--watch", str(end), str(os.getpid()), str(parent)]
    subprocess.Popen(
        [*words, mark], env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=[end], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(end)
    os.environ[mark] = "1"
    _kept.append((mark, kept))
    signal.set_wakeup_fd(kept, warn_on_full_buffer=False)  # the watcher hears of signals at once
    on_signal(_stop)


def on_signal(act: Any) -> None:
    """Call `act` on an interrupt and on a request to end, unless these are ignored on purpose."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, act)


def _stop(number: int, frame: Any) -> None:
    """End at once, with the family: what is written is written whole, so nothing is lost."""
    with contextlib.suppress(OSError):
        os.write(2, b"\ninterrupted; finished work is kept\n")
    end_family(_kept[0][0])
    os._exit(128 + number)


def _stop_later(number: int, frame: Any) -> None:
    """Leave the family a moment to say what it has (a terminal interrupts all of it), then end."""
    until = time.monotonic() + GRACE
    while time.monotonic() < until and marked(_kept[0][0]):
        time.sleep(0.05)
    end_family(_kept[0][0])
    os._exit(128 + number)


def run(words: Sequence[str]) -> int:
    """Run a command that ends with this process and with the parent; return its exit code."""
    keep_together(os.getppid())
    on_signal(_stop_later)
    try:
        code = subprocess.Popen(words).wait()
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=sys.stderr)
        return 127
    end_family(_kept[0][0])
    return code if code >= 0 else 128 - code


def end() -> None:
    """End what this process has started, if it keeps together."""
    if _kept:
        end_family(_kept[0][0])


def end_family(mark: str) -> None:
    """Kill every other process that carries the mark; look again for what these had begun."""
    for round_ in range(10):
        if not (found := marked(mark)):
            return
        for pid, tracker in found.items():
            if not tracker or round_ > 7:  # trackers end by themselves, once shared memory is freed
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def marked(mark: str) -> dict[int, bool]:
    """Return the other living processes that carry the mark, and whether they track resources."""
    import psutil

    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and mark in process.environ():
                if process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = "resource_tracker" in " ".join(process.cmdline())
    return found


def watch(end: int, command: int, parent: int, mark: str) -> None:
    """Wait until the command or its parent is gone, then end the family (the watcher's work)."""
    handled = catches_interrupt(parent)
    while os.getppid() == command:
        if select.select([end], [], [], POLL)[0] and set(os.read(end, 64)) & TOLD:
            until = time.monotonic() + 1.5 * GRACE  # code that never comes back cannot end itself
            while os.getppid() == command and time.monotonic() < until:
                time.sleep(0.02)
            break
        if parent and (parent_of(command) != parent or catches_interrupt(parent) < handled):
            break
    if os.getppid() == command:
        os.kill(command, signal.SIGKILL)
    end_family(mark)


def parent_of(pid: int) -> int:
    """Return the parent of a process, or 0 where it is gone."""
    import psutil

    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return 0


def catches_interrupt(pid: int) -> bool:
    """Say whether a process catches SIGINT (on Linux; elsewhere never). make stops to, once hit."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith("SigCgt")]
    except OSError:
        return False
    return any(mask >> (signal.SIGINT - 1) & 1 for mask in masks)


if __name__ == "__main__":
    if sys.argv[1] == "--watch":
        watch(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        sys.exit(run(sys.argv[1:]))
