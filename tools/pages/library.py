"""Write the library's own pages: a page a package, from its docstrings, and a page a test."""

import ast
import re
from pathlib import Path

from tools.chapters import Chapter, find_chapters, toc_docnames
from tools.pages import docstrings

PACKAGE = Path("mechanism")
HEAVY = ["torch", "transformers", "trl", "peft", "accelerate", "datasets", "huggingface_hub"]
EXTENSIONS = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "tools.pages.docstrings"]
SETTINGS = {
    "add_module_names": False,
    "autodoc_member_order": "bysource",
    "autodoc_mock_imports": HEAVY,  # their docstrings are not ours, and importing them is slow
    "autodoc_preserve_defaults": True,
    "autodoc_typehints": "none",  # shapes and units are in the docstrings, types in the source
    "default_role": "py:obj",  # docstrings name what they mean in single backticks
    "napoleon_google_docstring": False,
    "napoleon_use_ivar": True,
    "napoleon_use_rtype": False,
    "nitpick_ignore_regex": [
        ["py:.*", r"(?s)(?!mechanism\.).*"],  # other people's classes, shapes
        ["py:class", r"mechanism\..*\.(Game|AnyGame|Rule|Checker)"],  # variables of types
        ["py:obj", r"mechanism\.(load|from_arrays)"],  # names that are found when asked for
    ],
    "html_domain_indices": False,  # the search finds more
    "html_use_index": False,
    "suppress_warnings": ["ref.python"],  # a class and one of its name elsewhere
    "toc_object_entries_show_parents": "hide",
}


def packages() -> list[Path]:
    """Return the folder of every package, the outermost first."""
    return sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def dotted(path: Path) -> str:
    """Return `mechanism.core.sw_max` for `mechanism/core/sw_max.py`."""
    return ".".join(path.with_suffix("").parts)


def modules(package: Path) -> list[str]:
    """Return the modules that lie in a package's own folder."""
    return [dotted(path) for path in sorted(package.glob("[!_]*.py"))]


def headers() -> dict[str, list[Chapter]]:
    """Return which chapters name a module or a test in the line below their title."""
    named: dict[str, list[Chapter]] = {}
    for chapter in find_chapters():
        for name in re.findall(r"`((?:mechanism|tests)[./][\w./]+)`", header(chapter)):
            named.setdefault(name, []).append(chapter)
    return named


def header(chapter: Chapter) -> str:
    """Return the paragraph that names a chapter's modules and tests."""
    found = re.search(
        r"^Paired .*?\n\n", chapter.source.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return found[0] if found else ""


def told(name: str, chapters: dict[str, list[Chapter]]) -> list[str]:
    """Return the line that leads back from a module or a test to its chapters."""
    if name not in chapters:
        return []
    return ["Told in " + ", ".join(f":doc:`/{c.docname}`" for c in chapters[name]) + ".", ""]


def titled(text: str, line: str) -> list[str]:
    """Return a heading of reStructuredText."""
    return [text, line * len(text), ""]


def package_page(package: Path, chapters: dict[str, list[Chapter]]) -> str:
    """Return the page of one package: what it says of itself, then each of its modules."""
    name = dotted(package)
    outermost = package == PACKAGE
    lines = [] if outermost else [":orphan:", ""]  # the outermost page lists the others
    lines += [*titled("Library" if outermost else name, "=")]
    lines += [f".. automodule:: {name}", "", *told(name, chapters)]
    lines += overview() if outermost else []
    for module in modules(package):
        lines += [*titled(module.removeprefix(f"{name}."), "-"), f".. automodule:: {module}"]
        lines += ["   :members:", "   :ignore-module-all:", "", *told(module, chapters)]
    return "\n".join(lines)


def overview() -> list[str]:
    """Return a list of all packages, each with the first sentence that it says of itself."""
    lines = []
    for package in packages()[1:]:
        text = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
        first = docstrings.escaped(" ".join(text.partition("\n\n")[0].split()))
        lines.append(f"- :doc:`{dotted(package)}`: {first}")
    return [*lines, ""]


def test_page(test: str, chapters: dict[str, list[Chapter]], source: str) -> str:
    """Return a page that shows a test."""
    lines = [":orphan:", "", *titled(test, "="), *told(test, chapters)]
    return "\n".join([*lines, f".. literalinclude:: {source}", "   :language: python", ""])


def named_tests() -> list[str]:
    """Return the test files that the pages name."""
    texts = [Path(name + ".md").read_text("utf-8") for name in toc_docnames()]
    return sorted({name for text in texts for name in re.findall(r"`(tests/[\w/]+\.py)`", text)})


def write(into: Path) -> dict[str, object]:
    """Write all pages below `api/` and `tests/`; return their part of the table of contents."""
    chapters = headers()
    for package in packages():
        page = into / "api" / f"{dotted(package)}.rst"
        page.parent.mkdir(exist_ok=True)
        page.write_text(package_page(package, chapters), encoding="utf-8")
    for test in named_tests():
        page = (into / test).with_suffix(".rst")
        page.parent.mkdir(parents=True, exist_ok=True)
        (into / test).write_bytes(Path(test).read_bytes())
        page.write_text(test_page(test, chapters, page.with_suffix(".py").name), encoding="utf-8")
    return {"caption": "Library", "numbered": False, "chapters": [{"file": "api/mechanism"}]}
