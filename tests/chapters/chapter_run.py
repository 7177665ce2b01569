"""Run a chapter with other parameters, as a reader does, and watch what it draws."""

import re
import subprocess
import sys

import jupytext
import nbformat

from tools.chapters import Chapter, plain
from tools.execution import CELL_TIMEOUT, environment

# No name is bound: a chapter may look at its globals.
HELPER = '__import__("tests.chapters.group_colors", fromlist=["SEEN"])'
FIRST = f"{HELPER}.watch()"
LAST = f"assert {HELPER}.SEEN == [], {HELPER}.SEEN"


def run(name, folder, **parameters) -> str:
    """Return what went wrong in a chapter, `game/sw_max`; nothing where all cells are good."""
    chapter = Chapter(f"book/{name}")
    notebook = jupytext.read(chapter.source)
    new = nbformat.v4.new_code_cell
    notebook.cells = [new(FIRST), *notebook.cells, new(LAST)]
    given, made = folder / "given.ipynb", folder / "made.ipynb"
    nbformat.write(notebook, given)
    command = [sys.executable, "-m", "papermill", str(given), str(made), "--kernel", "python3"]
    command += ["--cwd", str(chapter.source.parent), "--no-progress-bar"]
    command += ["--language", "python", "--execution-timeout", str(CELL_TIMEOUT)]
    for key, value in parameters.items():
        command += ["-p", key, str(value)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if ran.returncode == 0:
        return ""
    text = plain(ran.stderr)
    return text[max(0, text.rfind("Exception encountered")) :] if re.search(r"\S", text) else "?"
