"""Run one chapter, and say in plain words what went wrong when it fails."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat

from tools.chapters import BUILD, ROOT, Chapter, ChapterError, plain
from tools.dependencies import digest
from tools.kernel import forks

CELL_TIMEOUT = 300  # seconds; longer work is recorded under results/ and a chapter shows the record
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LD_LIBRARY_PATH", "TQDM_DISABLE")
KEPT_GROUPS = ("MECHANISM_", "HF_", "CUDA_", "NVIDIA_")
FIXED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLCONFIGDIR": str(ROOT / ".venv" / "matplotlib"),
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "IPYTHONDIR": str(ROOT / BUILD / "ipython"),
    "JUPYTER_CONFIG_DIR": str(ROOT / BUILD / "jupyter"),
    "JUPYTER_DATA_DIR": str(ROOT / BUILD / "jupyter"),
    "JUPYTER_PATH": str(ROOT / "tools" / "kernel"),  # a kernel that `forks` starts
    "JUPYTER_PREFER_ENV_PATH": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONPATH": str(ROOT),  # the code of this checkout, whatever the environment was made from
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}


def environment() -> dict[str, str]:
    """Return the variables that chapters and the site are built with.

    They are named here, not inherited: one that nobody thought of (MPLBACKEND, PYTHONOPTIMIZE,
    COLUMNS, a Jupyter path) would change what is built, and nobody would see it.
    """
    kept = {k: v for k, v in os.environ.items() if k in KEPT or k.startswith(KEPT_GROUPS)}
    return kept | FIXED


def execute(chapter: Chapter, sources: list[Path]) -> None:
    """Run a chapter with its default parameters; replace its notebook only when all went well."""
    before, inputs = digest(sources), fingerprint(chapter, sources)
    notebook = jupytext.read(chapter.source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    if carried := carried_over(chapter, notebook, inputs):
        nbformat.write(carried, chapter.notebook)
        return
    chapter.report.parent.mkdir(parents=True, exist_ok=True)
    prepared = chapter.report.with_suffix(".input.ipynb")
    nbformat.write(notebook, prepared)

    command = [*forks.RUN, "papermill", str(prepared), str(chapter.report), "--kernel", "python3"]
    command += ["--cwd", str(chapter.source.parent), "--no-progress-bar"]
    command += ["--execution-timeout", str(CELL_TIMEOUT)]
    ran = subprocess.run(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    prepared.unlink()
    if ran.returncode != 0:
        raise ChapterError(explain_failure(chapter, ran.stderr))
    if digest(sources) != before:
        raise ChapterError(
            f"{chapter.source}: the page, a module or a result changed while it ran; run it again"
        )

    finished = nbformat.read(chapter.report, as_version=4)
    took = finished.metadata.get("papermill", {}).get("duration")
    finished = without_timings(finished)
    finished.metadata["inputs"] = inputs
    check_pictures(chapter, finished)
    nbformat.write(finished, chapter.report)
    chapter.notebook.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(chapter.report, chapter.notebook)
    chapter.seconds.write_text(json.dumps(took), encoding="utf-8")


def settings() -> dict[str, object]:
    """Return what a run depends on besides files: Python, the package, the variables."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    settled = {key: value for key, value in FIXED.items() if str(ROOT) not in value}
    return {"python": sys.version, "project": repr(project), "fixed": settled}


def fingerprint(chapter: Chapter, sources: list[Path]) -> str:
    """Return one hash of all that a chapter's outputs depend on, but for its own page."""
    files = digest([path for path in sources if path != chapter.source])
    return hashlib.sha256(f"{files} {sorted(settings().items())}".encode()).hexdigest()


def code(notebook: nbformat.NotebookNode) -> list[tuple[str, bool]]:
    """Return the code cells, and whether each is meant to fail."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [(cell.source, "raises-exception" in tags(cell)) for cell in cells]


def carried_over(
    chapter: Chapter, notebook: nbformat.NotebookNode, inputs: str
) -> nbformat.NotebookNode | None:
    """Return the page with its stored outputs, where only what surrounds the code has changed.

    The second run of `make notebooks` executes it all the same.
    """
    if not readable(chapter.notebook):
        return None
    stored = nbformat.read(chapter.notebook, as_version=4)
    if stored.metadata.get("inputs") != inputs or code(stored) != code(notebook):
        return None
    old, new = ([c for c in n.cells if c.cell_type == "code"] for n in (stored, notebook))
    for kept, cell in zip(old, new, strict=True):
        cell.outputs, cell.execution_count = kept.outputs, kept.execution_count
    notebook.metadata = stored.metadata
    return notebook


def seconds(chapter: Chapter) -> float | None:
    """Return how long the last run of a chapter took, or nothing where that is not known."""
    try:
        return float(json.loads(chapter.seconds.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def check_pictures(chapter: Chapter, made: nbformat.NotebookNode) -> None:
    """Refuse a run that shows fewer pictures than the stored one, whatever the cause."""
    if not chapter.notebook.exists():
        return
    try:
        stored = pictures(nbformat.read(chapter.notebook, as_version=4))
    except nbformat.reader.NotJSONError:
        return
    if (now := pictures(made)) < stored:
        raise ChapterError(
            f"{chapter.source}: {now} pictures, and the stored run has {stored}.\n"
            f"If the page is meant to have fewer, remove {chapter.notebook} and build again."
        )


def pictures(notebook: nbformat.NotebookNode) -> int:
    """Return how many outputs of a notebook are pictures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum(any(kind.startswith("image/") for kind in o.get("data", {})) for o in outputs)


def without_timings(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run though the chapter does not: papermill's records."""
    for part in [notebook, *notebook.cells]:
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    return notebook


def explain_failure(chapter: Chapter, stderr: str) -> str:
    """Return the chapter, the cell, its source and its error, as one message."""
    where, details = f"{chapter.source} failed", "\n".join(stderr.splitlines()[-15:])
    if found := re.search(r"\[Errno \d+\] (No space left on device|Disk quota exceeded)", stderr):
        return f"{where}: {found[1].lower()}; free some, and build again"
    if readable(chapter.report):
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


def readable(notebook: Path) -> bool:
    """Say whether a notebook is there, and whole: a run that was stopped may leave half of one."""
    try:
        nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return False
    return True


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
    before, found, _ = source.read_text(encoding="utf-8").partition(cell.source)
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
    command += ["-p", "tools.nbval_chapter", "--nbval"]
    command += ["--nbval-cell-timeout", str(CELL_TIMEOUT), *options]
    return command + [str(notebook) for notebook in notebooks]
