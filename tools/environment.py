"""Make `.venv`, the one environment that the book and the tests run in.

Run by `make setup` with any Python, before anything is installed: so standard library only, and no
syntax newer than Python 3.6, or the message about an old Python would never be seen.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "complete")  # written last: a .venv without it is half-made
LOG = os.path.join(VENV, "install.log")
INPUTS = ("requirements.txt", "constraints.txt", "pyproject.toml")


def fingerprint():
    """Return a hash of the Python version and of the files that say what to install."""
    parts = ["{}.{}".format(*sys.version_info[:2])]
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as file:
            parts.append(hashlib.sha256(file.read()).hexdigest())
    return "\n".join(parts) + "\n"


def finished():
    """Return the fingerprint that the present `.venv` was finished with, if it is whole."""
    parts = [os.path.join(VENV, "pyvenv.cfg"), os.path.join(VENV, "bin", "python")]
    return read(STAMP) if all(os.path.exists(part) for part in parts) else ""


def read(path):
    """Return the text of a file, or an empty string where there is none."""
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def say(text):
    """Print at once, also into a pipe."""
    print(text, flush=True)


def version():
    """Return the version of the Python that runs this, like 3.11.7."""
    return sys.version.split()[0]


def stop(text):
    """End with a message on standard error."""
    sys.exit("make setup: " + text)


def pip(*arguments):
    """Run pip, keep its output in the log, and show one line for every thirty packages it names."""
    command = [os.path.join(VENV, "bin", "python"), "-m", "pip", *arguments]
    seen = 0
    with open(LOG, "a") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=dict(os.environ, PIP_REQUIRE_VIRTUALENV="1"),  # never touch another Python
        )
        for line in process.stdout:
            log.write(line)
            if line.startswith("Collecting "):
                seen += 1
                if seen % 30 == 0:
                    say(f"  {seen} packages found, now {line.split()[1]}")
            elif line.startswith("Installing collected"):
                say("  unpacking")
    if process.wait() != 0:
        tail = "\n  ".join(read(LOG).splitlines()[-15:])
        stop(f"pip failed:\n  {tail}\nThe whole log: {os.path.relpath(LOG)}")


def create():
    """Make an empty `.venv`, in place of a half-made one."""
    if os.path.exists(VENV):
        say("Removing an unfinished .venv")
        shutil.rmtree(VENV)
    say(f"Making .venv with Python {version()}")
    made = subprocess.run([sys.executable, "-m", "venv", VENV], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        stop(f"cannot make a virtual environment.\n{made.stdout}")


def warm_up():
    """Build the font list of matplotlib now, or the first chapter to draw would report it."""
    environment = dict(os.environ, MPLCONFIGDIR=os.path.join(VENV, "matplotlib"))
    command = [os.path.join(VENV, "bin", "python"), "-c", "import matplotlib.font_manager"]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def main():
    """Bring `.venv` in line with the requirements; do nothing where it already is."""
    if sys.version_info < OLDEST:
        stop(
            f"Python 3.11 or newer is needed, and {sys.executable} is {version()}.\n"
            "Name a newer one: make setup PYTHON=/path/to/python3.11"
        )
    if finished() == fingerprint():
        return
    with open(os.path.join(ROOT, "requirements.txt")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once would remove each other's work
        bring_up_to_date()


def bring_up_to_date():
    """Install what is missing, in the present `.venv` or in a new one."""
    wanted, found = fingerprint(), finished()
    if found == wanted:  # another make did it while this one waited for the lock
        return
    start = time.time()
    if found.split("\n")[0] != wanted.split("\n")[0]:  # none, half-made, or another Python
        create()
    else:
        os.remove(STAMP)
    say("Installing the pinned packages into .venv (a few minutes and about 2 GB the first time)")
    pip("install", "-r", "requirements.txt")
    pip("install", "--no-deps", "--no-build-isolation", "-e", ".")
    warm_up()
    with open(STAMP, "w") as file:
        file.write(wanted)
    say(f"The environment is ready ({time.time() - start:.0f} s)")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; run it again to begin anew")
