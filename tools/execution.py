"""Run one chapter, and say in plain words what went wrong when it fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat

from tools.chapters import BUILD, ROOT, Chapter, ChapterError, plain
from tools.dependencies import digest

CELL_TIMEOUT = 300  # seconds; longer work is recorded under results/ and a chapter shows the record
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLCONFIGDIR": str(ROOT / ".venv" / "matplotlib"),
    "IPYTHONDIR": str(ROOT / BUILD / "ipython"),
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def execute(chapter: Chapter, sources: list[Path]) -> None:
    """Run a chapter with its default parameters; replace its notebook only when all went well."""
    before = digest(sources)
    notebook = jupytext.read(chapter.source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    chapter.report.parent.mkdir(parents=True, exist_ok=True)
    prepared = chapter.report.with_suffix(".input.ipynb")
    nbformat.write(notebook, prepared)

    command = [sys.executable, "-m", "papermill", str(prepared), str(chapter.report)]
    command += ["--kernel", "python3", "--cwd", str(chapter.source.parent), "--no-progress-bar"]
    command += ["--execution-timeout", str(CELL_TIMEOUT)]
    ran = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    prepared.unlink()
    if ran.returncode != 0:
        raise ChapterError(explain_failure(chapter, ran.stderr))
    if digest(sources) != before:
        raise ChapterError(
            f"{chapter.source}: the page, a module or a result changed while it ran; run it again"
        )

    finished = without_timings(nbformat.read(chapter.report, as_version=4))
    nbformat.write(finished, chapter.report)
    chapter.notebook.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(chapter.report, chapter.notebook)


def without_timings(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run though the chapter does not: papermill's records."""
    for part in [notebook, *notebook.cells]:
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    return notebook


def explain_failure(chapter: Chapter, stderr: str) -> str:
    """Return the chapter, the cell, its source and its error, as one message."""
    where, details = f"{chapter.source} failed", "\n".join(stderr.splitlines()[-15:])
    if chapter.report.exists():
        cells = executed_cells(chapter.report)
        for number, cell in enumerate(cells, start=1):
            if failed(cell):
                where += f" in code cell {number} of {len(cells)}{line_of(cell, chapter.source)}"
                trace = [output.traceback for output in cell.outputs if "traceback" in output]
                lines = plain("\n".join(trace[0])).splitlines() if trace else stderr.splitlines()
                details = f"{indent(cell.source)}\n\n" + "\n".join(lines[-25 if trace else -4 :])
                break
        if "CellTimeoutError" in stderr:
            details += f"\n\nThe cell was stopped after {CELL_TIMEOUT} seconds."
        details += f"\n\nIts output up to there: {chapter.report}"
    return f"{where}\n\n{details}"


def failed(cell: nbformat.NotebookNode) -> bool:
    """Say whether a cell stopped the run: by an error, or by never answering (a dead kernel)."""
    if "raises-exception" in tags(cell):
        return False
    status = cell.metadata.get("papermill", {}).get("status")
    messages = cell.metadata.get("execution", {})
    begun = status in ("running", "completed") or bool(messages)  # a kernel may die before a word
    return status == "failed" or (begun and "shell.execute_reply" not in messages)


def line_of(cell: nbformat.NotebookNode, source: Path) -> str:
    """Return `, line 57` where the cell begins in the source, or nothing if it is not found."""
    before, found, _ = source.read_text().partition(cell.source)
    return f", line {before.count(chr(10)) + 1}" if found else ""


def indent(text: str) -> str:
    """Return the text four spaces to the right."""
    return "\n".join("    " + line for line in text.splitlines())


def executed_cells(notebook: Path) -> list[nbformat.NotebookNode]:
    """Return the code cells of a notebook file."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def faults(chapter: Chapter) -> list[str]:
    """Return why a second run of this notebook would prove little: nothing stored, or noise."""
    cells = executed_cells(chapter.notebook)
    found = []
    if not any(cell.outputs and "nbval-ignore-output" not in tags(cell) for cell in cells):
        found.append("no cell has a stored output, so a second run would compare nothing")
    for number, cell in enumerate(cells, start=1):
        if cell.execution_count is None and cell.source.strip():
            found.append(f"code cell {number} was not executed")
        if any(output.get("name") == "stderr" for output in cell.outputs):
            found.append(f"code cell {number} writes to standard error")
        if "nbval-skip" in tags(cell):
            found.append(f"code cell {number} is tagged nbval-skip")
    return [f"{chapter.source}: {text}" for text in found]


def comparison(notebooks: list[Path], *options: str) -> list[str]:
    """Return the command that runs notebooks again and compares; it reads and writes no cache."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "tools.nbval_chapter", "--nbval", "--nbval-current-env"]
    command += ["--nbval-cell-timeout", str(CELL_TIMEOUT), *options]
    return command + [str(notebook) for notebook in notebooks]
