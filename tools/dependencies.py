"""What a chapter depends on: its source, the modules that it imports at any depth, the data."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import grimp
import jupytext

from mechanism.folders import runs_folder
from tools.chapters import ROOT, Chapter


def code_cells(page: Path) -> list[str]:
    """Return the source of each code cell."""
    return [cell.source for cell in jupytext.read(page).cells if cell.cell_type == "code"]


def imported_names(code: str) -> set[str]:
    """Return the dotted names that code imports; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def closure(names: Iterable[str], graph: grimp.ImportGraph) -> set[str]:
    """Return the modules of the graph that run when these names are imported, at any depth.

    Importing `a.b.c` also runs `a` and `a.b`, so their imports count too.
    """

    def with_parents(name: str) -> Iterator[str]:
        parts = name.split(".")
        return (".".join(parts[: i + 1]) for i in range(len(parts)))

    waiting = [module for name in names for module in with_parents(name)]
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in graph.modules and module not in reached:
            reached.add(module)
            for imported in graph.find_modules_directly_imported_by(module):
                waiting.extend(with_parents(imported))
    return reached


def import_graph(package: str = "mechanism") -> grimp.ImportGraph | None:
    """Return who imports whom in the package, or None where some file does not parse."""
    try:
        return grimp.build_graph(package, cache_dir=None)
    except grimp.exceptions.SourceSyntaxError:
        return None


def files_under(*folders: Path) -> list[Path]:
    """Return every file below the folders, without caches, sorted."""
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.parts)


def dependencies(chapter: Chapter, graph: grimp.ImportGraph | None) -> list[Path]:
    """Return the files whose change makes the chapter run again (run from the project's root).

    Its source, the modules that it imports directly or not, all recorded results and data, and the
    language-model runs that were made here where it can read them.
    Where imports cannot be read, every module counts, and the kernel will show the error.
    """
    modules = files_under(Path("mechanism"))
    modules = [path for path in modules if path.suffix == ".py"]
    try:
        if graph is None:
            raise SyntaxError
        names = imported_names("\n".join(code_cells(chapter.source)))
    except SyntaxError:
        chosen = modules
    else:
        reached = closure(names, graph)
        chosen = [path for path in modules if module_name(path) in reached]
    data = files_under(Path("results"), Path("mechanism/data"))
    if Path("mechanism/llm/runs/record.py") in chosen:
        runs = runs_folder()
        runs = runs.relative_to(ROOT) if runs.is_relative_to(ROOT) else runs
        data += files_under(runs / "finished")
    pins = [Path("requirements.txt"), Path("constraints.txt")]
    return [chapter.source, *chosen, *data, *pins]


def module_name(path: Path) -> str:
    """Return the dotted name of a Python file: `mechanism/core/__init__.py` is `mechanism.core`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def digest(paths: Iterable[Path]) -> str:
    """Return one hash of the contents of all files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() if path.exists() else b"gone")
    return total.hexdigest()
