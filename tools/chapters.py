"""The book's chapters: which pages are notebooks, and where their files lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path("_build")
LONG = (  # begun first, half a minute each, or one core waits for another's last chapter
    "incentives/gradient", "practice/cycle_monotonicity", "experiments/published",
    "payments/payment_equivalence", "experiments/synthetic", "experiments/llm_payments",
    "practice/one_training",
)  # fmt: skip


class ChapterError(Exception):
    """A chapter that cannot be read or executed; the message names it and says where."""


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book, named by its place in the table of contents (`book/game/sw_max`)."""

    docname: str

    @property
    def name(self) -> str:
        """`game/sw_max`: what progress and errors call it."""
        return self.docname.removeprefix("book/")

    @property
    def stem(self) -> str:
        """`sw_max`: the name that chapter, module and test share."""
        return self.docname.rsplit("/", 1)[-1]

    @property
    def source(self) -> Path:
        """The MyST file that is written by hand."""
        return Path(self.docname + ".md")

    @property
    def notebook(self) -> Path:
        """The executed notebook, with its outputs."""
        return BUILD / "nb" / (self.name + ".ipynb")

    @property
    def seconds(self) -> Path:
        """How long the last run took: beside the notebook, which is the same after each run."""
        return self.notebook.with_suffix(".seconds")

    @property
    def report(self) -> Path:
        """The notebook while it is being executed, and what is left of it after a failure."""
        return BUILD / "reports" / (self.name + ".ipynb")


def toc_docnames(root: Path = ROOT) -> list[str]:
    """Return every page that `_toc.yml` names, in reading order."""

    def walk(entry: Any) -> Iterator[str]:
        if isinstance(entry, list):
            for item in entry:
                yield from walk(item)
        elif isinstance(entry, dict):
            yield from (entry[key] for key in ("root", "file") if key in entry)
            for key in ("parts", "chapters", "sections"):
                yield from walk(entry.get(key))

    return list(walk(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def front_matter(page: Path) -> dict[str, Any]:
    """Return the YAML header of a page, empty where it has none."""
    found = re.match(r"---\n(.*?)\n---\n", page.read_text(encoding="utf-8"), re.DOTALL)
    return yaml.safe_load(found.group(1)) if found else {}


def is_notebook(page: Path) -> bool:
    """Say whether a page is executed: its header names a kernel."""
    return "kernelspec" in front_matter(page)


def find_chapters(root: Path = ROOT) -> list[Chapter]:
    """Return the notebooks of the table of contents, in reading order."""
    found = []
    for docname in toc_docnames(root):
        page = root / (docname + ".md")
        if not page.exists():
            raise ChapterError(f"_toc.yml names {docname}, but there is no {docname}.md")
        if is_notebook(page):
            found.append(Chapter(docname))
    return found


def all_notebooks(root: Path = ROOT) -> list[Chapter]:
    """Return every notebook under `book/`, also one that no table of contents names yet."""
    pages = sorted((root / "book").rglob("*.md"))
    names = [
        page.relative_to(root).with_suffix("").as_posix() for page in pages if is_notebook(page)
    ]
    return [Chapter(name) for name in names]


def longest_first(chapters: list[Chapter]) -> list[Chapter]:
    """Return the chapters in the order in which they are best begun."""
    return sorted(chapters, key=lambda chapter: chapter.name not in LONG)


def plain(text: str) -> str:
    """Return the text without the codes that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
