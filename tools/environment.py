"""Make `.venv`, the one environment that the book and the tests run in; remove what was made.

Run by `make setup` with any Python, before anything is installed: so standard library only, and no
syntax newer than Python 3.6, or the message about an old Python would never be seen.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, ROOT)  # this file is run by its path

from tools.packages.commands import end_with_parent, logged  # noqa: E402
from tools.packages.sources import UV, clean_environment, for_uv  # noqa: E402

OLDEST = (3, 11)
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "complete")  # written last: a .venv without it is half-made
LOG = os.path.join(VENV, "install.log")
MARKER = os.path.join(VENV, ".made-by-mechanism")  # written first: this .venv is ours to remove
INPUTS = ("requirements.txt", "constraints.txt", "pyproject.toml")
BUILD = os.path.join(ROOT, "_build")
BUILT = (  # all that a build leaves in _build
    "nb", "reports", "src", "site", "html", "html.old", "only", "only-src", "links", "ipython",
    "jupyter", "doit.json", "claims.json", "claims.part", "lock", "mechanism-notebooks",
    "forks", "forks-again",
)  # fmt: skip


def version():
    """Return the version of the Python that runs this, like 3.11.7."""
    return sys.version.split()[0]


def requirements():
    """Return a hash of each file that says what to install."""
    found = []
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as file:
            found.append(hashlib.sha256(file.read()).hexdigest())
    return found


def finished():
    """Return what the present `.venv` was finished with: Python, hashes, place; [] if not whole."""
    if os.path.islink(VENV) or not os.path.exists(os.path.join(VENV, "pyvenv.cfg")):
        return []
    lines = read(STAMP).splitlines()
    return lines if lines and works() else []


def works():
    """Say whether the Python of `.venv` runs: the one that it was made from may be gone."""
    if os.path.abspath(sys.executable) == PYTHON:
        return True
    try:
        return subprocess.call([PYTHON, "-c", ""], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def read(path):
    """Return the text of a file, or an empty string where there is none."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    """Replace a file; one that is a hard link of another checkout's is not written through."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".part", path)


def say(text):
    """Print at once, also into a pipe."""
    print(text, flush=True)


def stop(text, code=2):
    """End with a message on standard error."""
    sys.stderr.write("make setup: " + text + "\n")
    sys.exit(code)


def pip(*arguments):
    """Run pip, and show one line for every thirty packages it names.

    It compiles nothing: Python does so when a module is first imported, and most never are.
    """
    seen = []

    def tell(line):
        if line.startswith("Collecting "):
            seen.append(line)
            if len(seen) % 30 == 0:
                say(f"  {len(seen)} packages found, now {line.split()[1]}")
        elif line.startswith("Installing collected"):
            say("  unpacking")

    command = [PYTHON, "-m", "pip", "install", "--no-compile", *arguments]
    if logged(command, clean_environment(), ROOT, LOG, tell) != 0:
        tail = "\n  ".join(read(LOG).splitlines()[-15:])
        stop(f"pip failed:\n  {tail}\nThe whole log: {os.path.relpath(LOG)}")


def uv(*arguments):
    """Install as pip would, several times as fast; say whether that could be done."""
    listing = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, env=clean_environment()
    )
    given = for_uv(listing.stdout.decode("utf-8", "replace")) if listing.returncode == 0 else None
    if given is None:
        return False
    pip(UV)
    command = [os.path.join(VENV, "bin", "uv"), "pip", "install", "--no-config", "--python", PYTHON]
    command += ["--index-strategy", "unsafe-best-match", *given[0], *arguments]

    def tell(line):
        if line.startswith(("Resolved", "Prepared", "Installed")):
            say("  " + line.strip())

    return logged(command, dict(clean_environment(), **given[1]), ROOT, LOG, tell) == 0


def ours():
    """Say whether `.venv` was made here: then it may be removed."""
    return not os.path.islink(VENV) and any(map(os.path.exists, (MARKER, STAMP, LOG)))


def remove_venv():
    """Remove `.venv`, or refuse where somebody else made it."""
    if not os.path.lexists(VENV) or (os.path.isdir(VENV) and not os.listdir(VENV)):
        return
    if not ours():
        what = "a link" if os.path.islink(VENV) else "not made by `make setup`"
        stop(f".venv is {what}, so it stays. Move it away, and run this again.")
    shutil.rmtree(VENV)


def create():
    """Make an empty `.venv`, in place of a half-made one or of one with another Python."""
    if sys.version_info < OLDEST:
        stop(
            f"Python 3.11 or newer is needed, and {sys.executable} is {version()}.\n"
            "Name a newer one: make setup PYTHON=/path/to/python3.11"
        )
    base = getattr(sys, "_base_executable", None) or sys.executable  # this may run inside .venv
    if ours():
        say("Removing the .venv that is unfinished or has another Python")
    remove_venv()
    say("Making .venv with Python " + version())
    os.makedirs(VENV, exist_ok=True)
    write(MARKER, "made by `make setup`, which may remove it\n")
    command = [base, "-m", "venv", VENV]
    made = subprocess.run(command, stdout=subprocess.PIPE, env=clean_environment())
    if made.returncode != 0:
        remove_venv()
        stop("cannot make a virtual environment.\n" + made.stdout.decode("utf-8", "replace"))


def relocate():
    """Let the scripts of a copied or renamed `.venv` start its own Python, not the old place's."""
    write(LOG, read(LOG))
    folder = os.path.join(VENV, "bin")
    header = "#!" + PYTHON
    if " " in PYTHON or len(PYTHON) > 120:  # what a kernel does not take in a first line
        header = "#!/bin/sh\n'''exec' \"" + PYTHON + '" "$0" "$@"\n' + "' '''"
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        try:
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        found = re.match(r"#!(/bin/sh\n'''exec' .*\n' '''|.*/python\S*)(?=\n)", text)
        if name.lower().startswith("activate"):
            old = re.search(r"VIRTUAL_ENV[ =]+['\"]?(/[^'\"\n]*)", text)
            new = text.replace(old.group(1), VENV) if old else text
        else:
            new = header + text[found.end() :] if found else text
        if new != text:
            mode = os.stat(path).st_mode
            write(path, new)
            os.chmod(path, mode)


def warm_up():
    """Build the font list of matplotlib now, or the first chapter to draw would report it."""
    environment = dict(clean_environment(), MPLCONFIGDIR=os.path.join(VENV, "matplotlib"))
    command = [PYTHON, "-c", "import matplotlib.font_manager"]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def wanted(found, named):
    """Return what `.venv` must have been finished with; its Python counts unless one is named."""
    python = found[0] if found and not named else "{}.{}".format(*sys.version_info[:2])
    return [python, *requirements(), ROOT]


def main(named):
    """Bring `.venv` in line with the requirements; do nothing where it already is."""
    found = finished()
    if found and found == wanted(found, named):
        return
    with lock(os.path.join(ROOT, "requirements.txt"), "another make is making .venv"):
        bring_up_to_date(named)


@contextlib.contextmanager
def lock(path, why):
    """Keep a second command out, which says that it waits."""
    with open(path, "a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting: " + why)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def bring_up_to_date(named):
    """Install what is missing, in the present `.venv` or in a new one."""
    found = finished()
    aim = wanted(found, named)
    if found == aim:  # another make did it while this one waited for the lock
        return
    start = time.time()
    if found[:1] != aim[:1]:  # none, half-made, or another Python
        create()
    else:
        os.remove(STAMP)
        if found[1:4] == aim[1:4]:
            say("The checkout was copied or renamed: .venv is put right")
        relocate()
    if found[:4] != aim[:4]:
        say("Installing the pinned packages into .venv (minutes and 2 GB the first time)")
        if not uv("-r", "requirements.txt"):
            pip("-r", "requirements.txt")
    pip("--no-deps", "--no-build-isolation", "-e", ".")
    warm_up()
    write(STAMP, "\n".join(aim) + "\n")
    say(f"The environment is ready ({time.time() - start:.0f} s)")


def clean():
    """Remove what a build left in `_build`, and `_build` once it is empty."""
    if os.path.islink(BUILD) or not os.path.isdir(BUILD):
        return
    with lock(os.path.join(BUILD, "lock"), "a build is running"):
        for name in sorted(os.listdir(BUILD)):
            path = os.path.join(BUILD, name)
            if name not in BUILT:
                say("stays, no build made it: " + os.path.relpath(path))
            elif os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)
    if not os.listdir(BUILD):
        os.rmdir(BUILD)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    end_with_parent(signal.SIGTERM)
    try:
        if "clean" in sys.argv or "distclean" in sys.argv:
            clean()
            if "distclean" in sys.argv:
                remove_venv()
        else:
            main("--named" in sys.argv)
    except KeyboardInterrupt:
        stop("interrupted; run it again to go on", 130)
