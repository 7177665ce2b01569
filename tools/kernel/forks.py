"""`python -m MODULE ARGUMENTS`, forked from a process that has imported the packages already.

`python -I -S forks.py MODULE ARGUMENTS` asks the server that `MECHANISM_FORKS` names, and hands on
its signals, files, variables and folder; without a server it becomes `python -m` itself. Nothing of
`mechanism` is imported before the fork. Forks of one server share the seed of `hash`, the layout of
memory and numpy's global generator, so the run that is compared with another needs a server of its
own, or these would no longer show. The fork and all of its session end when who asked is gone.
"""

import builtins
import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VARIABLE = "MECHANISM_FORKS"
RUN = (sys.executable, "-I", "-S", __file__)
PACKAGES = (  # imported, and nothing called: a thread would not survive the fork
    "papermill.cli", "ipykernel.kernelapp", "ipykernel.ipkernel", "myst_nb", "matplotlib.pyplot",
    "pandas", "scipy.optimize", "scipy.stats", "mpmath", "numba", "z3",
)  # fmt: skip
NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # for what pandas brings
BEGUN = b"."
TOLD = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def server(path: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run a server in an environment; yield the variable that leads to it, none without pidfd."""
    if not hasattr(os, "pidfd_open"):
        yield {}
        return
    words = [sys.executable, __file__, "--serve", str(path.resolve())]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env={**variables, **NO_THREAD}, **pipes) as running:
        running.stdout.readline()  # it listens, or has ended because the path is too long
        yield {VARIABLE: str(path.resolve())}
        running.stdin.close()


def serve(path: str) -> list[str] | None:
    """Fork for each request, and return its words in the fork; or nothing once stdin is closed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    mask = os.umask(0o077)  # whoever can write to the socket can run code as this user
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.umask(mask)
    listener.listen(64)
    print(flush=True)
    builtins.get_ipython = lambda: SimpleNamespace(kernel=None)  # pandas shows tables by it
    for name in PACKAGES:
        with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)
    del builtins.get_ipython
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a package has started a thread, which would not survive a fork")
    gc.freeze()
    while 0 not in select.select([0, listener], [], [])[0]:
        link, _ = listener.accept()
        if not os.fork():
            listener.close()
            return supervise(link)
        link.close()
        reap(os.WNOHANG)
    os.unlink(path)
    reap(0)
    return None


def reap(how: int) -> None:
    """Take note of supervisors that have ended, or wait until all have."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def supervise(link: socket.socket) -> list[str]:
    """Return the request's words in a fork of this process, which waits for it, and then ends."""
    length, files, *_ = socket.recv_fds(link, 4, 3)
    request = json.loads(link.recv(int.from_bytes(length), socket.MSG_WAITALL))
    if not (pid := os.fork()):
        link.close()
        become(request, files)
        return list(request["words"])
    ended = os.pidfd_open(pid)
    link.sendall(BEGUN)
    while ended not in (found := select.select([0, link, ended], [], [])[0]):
        told = b"" if 0 in found else heard(link)
        for number in told or [signal.SIGKILL]:
            tell(pid, number)
        if not told:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        link.sendall(str(code).encode())
    os._exit(0)


def become(request: dict[str, Any], files: list[int]) -> None:
    """Take over the folder, variables and standard files of who asked, in a session of its own."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["variables"])
    time.tzset()
    sys.path[0] = request["cwd"]  # as `python -m` has it


def heard(link: socket.socket) -> bytes:
    """Return the signals that who asked was sent, none once it is gone."""
    try:
        return link.recv(64)
    except OSError:
        return b""


def tell(pid: int, number: int) -> None:
    """Send a signal to a fork and all of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
        return
    os.kill(pid, number)  # it has not begun its session yet


def ask(words: list[str]) -> int:
    """Let the server run a module, and return its exit code; without one become `python -m`."""
    request = {"words": words, "cwd": os.getcwd(), "variables": dict(os.environ)}
    text = json.dumps(request).encode()
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(os.environ[VARIABLE])
        socket.send_fds(link, [len(text).to_bytes(4)], [0, 1, 2])
        link.sendall(text)
        begun = link.recv(1) == BEGUN
    except (KeyError, OSError):
        begun = False
    if not begun:
        os.execv(sys.executable, [sys.executable, "-m", *words])
    for number in TOLD:
        signal.signal(number, lambda number, _: link.sendall(bytes([number])))
    code = int(link.recv(16) or -signal.SIGKILL)  # nothing: the server was killed
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def main(words: list[str]) -> None:
    """Serve, or ask a server."""
    if words[0] != "--serve":
        sys.exit(ask(words))
    if asked := serve(words[1]):
        sys.argv = asked
        runpy.run_module(asked[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
