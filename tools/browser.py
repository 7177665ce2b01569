"""Find the Chromium that the tests of the site drive, or install one: `make browser`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "SKIPPED: no Chromium was found and none could be installed, so the tests of the site in a "
    "browser check nothing. Install chromium or google-chrome, and run this again."
)


def find() -> str | None:
    """Return the path of a Chromium: one of this machine, or the one that Playwright keeps."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def ways() -> list[list[list[str]]]:
    """Return the ways to install one, each a list of commands; Debian's brings its libraries."""
    apt = [["apt-get", "update"], ["apt-get", "install", "-y", "chromium", "fonts-dejavu-core"]]
    own = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    root = os.name == "posix" and os.geteuid() == 0
    return [apt, own] if root and shutil.which("apt-get") else [own]


def install() -> str | None:
    """Try each way until a Chromium is found; return its path."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for commands in ways():
        print(f"No Chromium is found: {' '.join(commands[-1])}", flush=True)
        for command in commands:
            ran = subprocess.run(command, env=quiet, capture_output=True, text=True)
            if ran.returncode:
                print("\n".join((ran.stdout + ran.stderr).splitlines()[-3:]), flush=True)
                break
        if found := find():
            return found
    return None


def options() -> list[str]:
    """Return what Chromium is started with: no name of a host is looked up but this machine's."""
    started = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    root = os.name == "posix" and os.geteuid() == 0
    return [*started, "--no-sandbox"] if root else started


if __name__ == "__main__":
    print(find() or install() or MISSING, flush=True)
