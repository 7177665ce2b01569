"""Copies of the executed chapters that run outside the build, with nothing but the wheel."""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import grimp
import nbformat

from tools.chapters import BUILD, ROOT, Chapter, ChapterError
from tools.dependencies import closure, code_cells, imported_names
from tools.downloads import links, prose, repository
from tools.downloads.wheel import build_wheel
from tools.release import project

FOLDER = BUILD / "mechanism-notebooks"
RECORD = "application/papermill.record/text/plain"
GLUE = re.compile(r"^from myst_nb import glue\n?", re.MULTILINE)
PROBES = {  # one package or two of each extra tell whether it is installed
    "paper": ["pandas", "cvxpy", "flint", "z3"],
    "report": ["matplotlib", "seaborn", "nbconvert"],
    "llm": ["torch", "transformers", "trl", "pyarrow"],
}

INSTALL = """\
# Runs anywhere: installs the package, with what this notebook needs, where it is missing.
import importlib.util
import subprocess
import sys
from pathlib import Path


def missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True


def install(extras, archive):
    folders = [Path.cwd(), *Path.cwd().parents][:3]  # notebooks.zip holds the wheel
    wheels = [wheel.as_uri() for folder in folders for wheel in folder.glob("{wheels}")]
    source = next(iter(wheels), archive)
    if not source:
        raise ModuleNotFoundError(
            f"This notebook needs the package mechanism {version} with its extras [{{extras}}]."
            f" Take notebooks.zip, which holds it, or run pip install '.[{{extras}}]' in a clone."
            " (On PyPI another project has this name.)"
        )
    command = [sys.executable, "-m", "pip", "install", "-q", f"mechanism[{{extras}}] @ {{source}}"]
    subprocess.run(command, check=True)


def glue(name, value, display=True):
    # in the book this puts a number into the text; here it only shows it
    if display:
        from IPython.display import display as show

        show(value)


if any(map(missing, {probes})):
    install("{extras}", "{archive}")
"""
NOTE = (
    "\n\n*A notebook of the book, version {version}. Numbers in the text are those of the book's"
    " build; run the cells to have your own below them.*"
)
README = """\
# Notebooks of the book, version {version}

Every chapter as a notebook with the outputs of the book's build, and the package `{wheel}`.
The first cell of each installs the package from here where it is missing. To do it once for all:

    python -m venv environment
    environment/bin/pip install "./{wheel}[paper,report]" jupyterlab
    environment/bin/jupyter lab book

The chapters on language models need "./{wheel}[llm,report]", which brings PyTorch.
"""


def extras(chapter: Chapter, graph: grimp.ImportGraph | None) -> str:
    """Return the extras that a chapter's imports need, at any depth."""
    names = imported_names("\n".join(code_cells(chapter.source)))
    reached = closure(names, graph) if graph else {"mechanism.llm"}
    return "llm,report" if "mechanism.llm" in reached else "paper,report"


def install_cell(needed: str, archive: str) -> str:
    """Return the source of the first cell, which makes the others run."""
    probes = ["mechanism.places", *(name for extra in needed.split(",") for name in PROBES[extra])]
    version = project(ROOT)["version"]
    return INSTALL.format(
        probes=json.dumps(probes),
        version=version,
        wheels=f"mechanism-{version}-*.whl",
        archive=archive,
        extras=needed,
    )


def portable(
    notebook: nbformat.NotebookNode,
    docname: str,
    names: prose.Names,
    needed: str,
    archive: str = "",
) -> nbformat.NotebookNode:
    """Return a copy that needs neither the build nor its packages, with the outputs it has.

    `needed` are the package's extras, `archive` is where pip finds the package if no wheel is near.
    """
    copy = nbformat.from_dict(notebook)
    copy.metadata = nbformat.from_dict({"kernelspec": notebook.metadata["kernelspec"]})
    values = glued(copy)
    version = project(ROOT)["version"]
    for cell in copy.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "markdown":
            cell.source = prose.plain(cell.source, docname, names, values)
        elif cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if RECORD not in output.get("data", {})
            ]
            cell.source = GLUE.sub("", cell.source)
            if "myst_nb" in cell.source:
                raise ChapterError(
                    f"{docname}.md: only `from myst_nb import glue`, on its own line"
                )
            if {"hide-input", "hide-cell"} & set(tags):
                cell.metadata["jupyter"] = {"source_hidden": True}
    copy.cells = [cell for cell in copy.cells if cell.source]
    first = copy.cells[0]
    head, _, rest = first.source.partition("\n")
    first.source = head + NOTE.format(version=version) + "\n" + rest
    install = nbformat.v4.new_code_cell(install_cell(needed, archive), id="install")
    install.metadata["jupyter"] = {"source_hidden": True}
    copy.cells.insert(0, install)
    return copy


def glued(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Return the numbers that a run stored for its text, as it wrote them."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return {
        output.metadata["scrapbook"]["name"]: output.data[RECORD]
        for output in outputs
        if RECORD in output.get("data", {})
    }


def write(chapters: Iterable[Chapter], graph: grimp.ImportGraph | None, into: Path) -> Path:
    """Fill a folder with all notebooks, the wheel, and what says how; return the wheel."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    names, archive = prose.gather(ROOT), repository.read().archive
    for chapter in chapters:
        made = nbformat.read(chapter.notebook, as_version=4)
        copy = portable(made, chapter.docname, names, extras(chapter, graph), archive)
        target = into / f"{chapter.docname}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(copy, target)
    wheel = build_wheel(into)
    version = project(ROOT)["version"]
    readme = README.format(version=version, wheel=wheel.name)
    (into / "README.md").write_text(readme, encoding="utf-8")
    needed = f"./{wheel.name}[paper,report]\njupyterlab\n"  # what Binder installs
    (into / "requirements.txt").write_text(needed, encoding="utf-8")
    shutil.copy(ROOT / "LICENSE", into)
    return wheel


def publish(chapters: list[Chapter], graph: grimp.ImportGraph | None, html: Path) -> None:
    """Give the built site its notebooks: one download a page, and all of them as a zip."""
    write(chapters, graph, FOLDER)
    for chapter in chapters:
        shutil.copyfile(
            FOLDER / f"{chapter.docname}.ipynb", html / "_sources" / f"{chapter.docname}.ipynb"
        )
    pack(FOLDER, html / "_static" / "notebooks.zip")
    links.offer(html / "book" / "index.html", html / "_static")


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder under the name that it shall have where it is unpacked."""
    made = shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
    shutil.move(made, archive)
