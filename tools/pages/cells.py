"""Fold what a reader of a page does not need at once: set-up, and the code of figures."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools.chapters import ChapterError
from tools.pages import tables

LEAST_ALT = 60  # characters that say what to see in a picture
SHORT = 5  # lines of code that are shown though they show nothing
LONG = 6  # lines that are folded though they show a table


def shown(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the outputs of a cell that a reader sees: not what `glue` keeps for the text."""
    return [o for o in cell.get("outputs", []) if "scrapbook" not in o.get("metadata", {})]


def pictures(cell: nbformat.NotebookNode) -> int:
    """Return how many pictures a cell shows."""
    return sum(any(kind.startswith("image/") for kind in o.get("data", {})) for o in shown(cell))


def tabulates(cell: nbformat.NotebookNode) -> bool:
    """Say whether a cell shows a table."""
    return any("<table" in o.get("data", {}).get("text/html", "") for o in shown(cell))


def is_setup(cell: nbformat.NotebookNode) -> bool:
    """Say whether a cell only prepares: parameters, or imports and settings without an output."""
    if "parameters" in cell.metadata.get("tags", []):
        return True
    body = ast.parse(cell.source).body
    imports = [s for s in body if isinstance(s, ast.Import | ast.ImportFrom)]
    return bool(imports) and not shown(cell) and isinstance(body[0], ast.Import | ast.ImportFrom)


def folded(cell: nbformat.NotebookNode) -> str:
    """Return what is folded in a code cell, or nothing where its code is to be read.

    That is set-up, the code of a figure, longer code that shows nothing, and long code that shows a
    table.
    """
    if pictures(cell):
        return "the code of this figure"
    if is_setup(cell):
        named = "parameters" if "parameters" in cell.metadata.get("tags", []) else "imports"
        return f"the set-up: {named}"
    if tabulates(cell) and len(cell.source.splitlines()) > LONG:
        return "the code of this table"
    if shown(cell) or len(cell.source.splitlines()) <= SHORT:
        return ""
    defines = all(isinstance(s, ast.FunctionDef) for s in ast.parse(cell.source).body)
    return "the definitions" if defines else "the computation"


def fold(notebook: nbformat.NotebookNode) -> None:
    """Fold the code of some cells; output stays where it is."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.setdefault("tags", [])
        what = folded(cell) or ("the code" if "hide-input" in tags else "")
        what = "the {type} of this figure" if "hide-output" in tags else what
        if what:
            tags += ["hide-input"] if "hide-input" not in tags else []
            cell.metadata.setdefault("mystnb", {}).update(
                code_prompt_show=f"Show {what}", code_prompt_hide=f"Hide {what}"
            )


def fold_files(staged: dict[str, Path]) -> None:
    """Fold the cells of staged notebooks; refuse pictures that say nothing to who cannot see."""
    known: set[str] = set()
    faults = []
    for name, path in staged.items():
        notebook = nbformat.read(path, as_version=4)
        faults += [f"  {name}: {fault}" for fault in without_words(notebook, known)]
        fold(notebook)
        tables.add_captions(notebook, name.rsplit("/", 1)[-1])
        nbformat.write(notebook, path)
    if faults:
        raise ChapterError("\n".join(["pictures lack words (mystnb: image: alt):", *faults]))


def alternatives(cell: nbformat.NotebookNode) -> list[str]:
    """Return the alternative texts of a cell's pictures; " | " stands between those of two."""
    text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    return [part.strip() for part in " ".join(text.split()).split(" | ")]


def without_words(notebook: nbformat.NotebookNode, known: set[str]) -> Iterator[str]:
    """Yield what is wrong with the alternative texts; `known` collects those seen so far."""
    for cell in notebook.cells:
        if not (count := pictures(cell)):
            continue
        texts = alternatives(cell)
        if len(texts) != count:
            yield f"{count} pictures and {len(texts)} alternative texts: {texts}"
        for text in texts:
            if len(text) < LEAST_ALT:
                yield f"an alternative text says too little: {text!r}"
            elif text in known:
                yield f"two pictures have one alternative text: {text!r}"
            known.add(text)
