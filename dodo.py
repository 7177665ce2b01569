"""The build graph: chapters are executed, staged, and turned into HTML, each only when it must be.

`make` calls this through doit, which remembers the hash of every file that a task depends on.
"""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from doit.exceptions import TaskFailed, UnmetDependency
from doit.reporter import ErrorOnlyReporter
from doit.tools import config_changed

import mechanism
from mechanism import family
from tools import site
from tools.chapters import (
    BUILD,
    ROOT,
    Chapter,
    ChapterError,
    all_notebooks,
    find_chapters,
    longest_first,
)
from tools.dependencies import dependencies, files_under, import_graph
from tools.downloads import notebooks
from tools.downloads.wheel import PARTS
from tools.environment import lock
from tools.execution import comparison, environment, execute, faults, settings
from tools.kernel import forks
from tools.pages import library

if not Path(mechanism.__file__).is_relative_to(ROOT):
    sys.exit(f"mechanism comes from {mechanism.__file__}, not from this checkout: run make setup")
BUILD.mkdir(exist_ok=True)
LOCK = ExitStack()  # held until this process ends
LOCK.enter_context(lock(str(BUILD / "lock"), "another build is running in this checkout"))
NOTEBOOKS = all_notebooks()
CHAPTERS = find_chapters()  # those that the table of contents names
GRAPH = import_graph()
CLAIMS = BUILD / "claims.json"
HTML = BUILD / "html"
EXECUTED = [f"notebook:{chapter.name}" for chapter in longest_first(CHAPTERS)]
FORKS = Lock()
PAGES = ["_toc.yml", "_config.yml", "requirements.txt", "constraints.txt"]
PAGES += ["CITATION.cff", "CHANGELOG.md"]


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def interrupted(number: int, frame: object) -> None:
    """End at once; what has finished is stored, and what has not leaves the last good file."""
    os.write(1, b"\ninterrupted; finished chapters are kept\n")
    os._exit(128 + number)


family.on_signal(interrupted)


class Progress(ErrorOnlyReporter):
    """Say what failed, without doit's own words for it; the tasks say what they do."""

    desc = "failures only"

    def add_failure(self, task, failure):
        if isinstance(failure, UnmetDependency):
            self.write(f"not done, because of the above: {task.name}\n")
        elif isinstance(failure, TaskFailed):
            self.write(f"\nFAILED  {failure.get_msg().strip()}\n\n")
        else:
            super().add_failure(task, failure)

    def skip_uptodate(self, task):
        if task.name.startswith("notebook:"):
            self.write(f"  unchanged  {task.name.removeprefix('notebook:')}\n")


DOIT_CONFIG = {
    "default_tasks": ["book"],
    "dep_file": str(BUILD / "doit.json"),
    "backend": "json",
    "reporter": Progress,
    "num_process": min(4, os.cpu_count() or 1),
    "par_type": "thread",
    "continue": True,
}


def timed(verb: str, name: str, work, *arguments):
    """Do the work, print how long it took, and hand a known failure to doit."""
    start = time.monotonic()
    try:
        failed = work(*arguments)
    except ChapterError as error:
        return TaskFailed(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return TaskFailed(f"{name}: {error.strerror.lower()}; free some, and build again")
    if isinstance(failed, TaskFailed):
        return failed
    say(f"  {verb:9}  {name}  {time.monotonic() - start:.1f} s")
    return None


def fork() -> None:
    """Let the chapters of this build be forked from one process, begun with the first of them."""
    with FORKS:
        if not os.environ.get(forks.VARIABLE):
            os.environ |= LOCK.enter_context(forks.server(BUILD / "forks", environment()))


def notebook_task(chapter: Chapter) -> dict:
    needed = dependencies(chapter, GRAPH)
    if chapter.stem == "claims":  # the page that shows what `task_claims` wrote
        needed = [*needed, CLAIMS]

    def run():
        say(f"  running    {chapter.name}")
        fork()
        return timed("executed", chapter.name, execute, chapter, needed)

    return {
        "name": chapter.name,
        "actions": [run],
        "file_dep": [str(path) for path in needed],
        "targets": [str(chapter.notebook)],
        "uptodate": [config_changed(settings())],
        "io": {"capture": False},
    }


def claims() -> TaskFailed | None:
    """Check every claim; the file is written whole, or not at all."""
    part = CLAIMS.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "mechanism.cli", "claims", "--json"]
        quiet = {} if sys.stderr.isatty() else {"TQDM_DISABLE": "1"}
        ran = subprocess.run(command, stdout=file, env=environment() | quiet)
    if ran.returncode:
        return TaskFailed(f"some claim or control is not as expected: see {part}")
    part.replace(CLAIMS)
    return None


def task_claims() -> dict:
    """Run all checkers and their negative controls, when the library has changed."""
    rooms = [Path("mechanism") / room for room in ("core", "attack", "theorems", "controls")]
    single = [Path("mechanism") / f"{name}.py" for name in ("claims", "statements", "oracles")]
    files = [*files_under(*rooms), *single]
    return {
        "actions": [(timed, ["checked", "all claims", claims])],
        "file_dep": [str(path) for path in files if path.suffix == ".py"],
        "targets": [str(CLAIMS)],
        "io": {"capture": False},
    }


def task_notebook() -> Iterator[dict]:
    """Execute one chapter, when it or anything that it uses has changed."""
    for chapter in NOTEBOOKS:
        yield notebook_task(chapter)


def task_html() -> dict:
    """Build the whole site, warnings being errors."""
    sources = [*site.static_sources(), *files_under(Path("results"), Path("tools"))]
    sources += [path for path in files_under(Path("mechanism")) if path.suffix == ".py"]
    sources += map(Path, library.named_tests())
    notebooks = [str(chapter.notebook) for chapter in CHAPTERS]
    return {
        "actions": [(timed, ["built", "the site", site.build_book, CHAPTERS])],
        "file_dep": [*map(str, sources), *notebooks, *PAGES, str(CLAIMS)],
        "task_dep": ["claims", *EXECUTED],
        "targets": [str(HTML / "index.html")],
        "io": {"capture": False},
    }


def task_downloads() -> dict:
    """Give every page its notebook, and all of them with the wheel as one zip."""
    packed = [path for part in PARTS for path in (files_under(Path(part)) or [Path(part)])]
    tools = [*files_under(Path("tools/downloads")), *PAGES, *site.static_sources()]
    executed = [str(chapter.notebook) for chapter in CHAPTERS]
    publish = (timed, ["packed", "the notebooks", notebooks.publish, CHAPTERS, GRAPH, HTML])
    return {
        "actions": [publish],
        "file_dep": [*map(str, packed), *map(str, tools), *executed],
        "task_dep": ["html"],
        "targets": [str(HTML / "_static" / "notebooks.zip")],
        "io": {"capture": False},
    }


def print_site() -> None:
    """Print the site; a browser is imported only for this."""
    from tools.downloads import pdf

    pdf.publish(HTML)


def task_pdf() -> dict:
    """Print the whole site as one PDF; a site that is built anew has none until it is printed."""
    site_task = task_html()
    return {
        "actions": [(timed, ["printed", "the book", print_site])],
        "file_dep": site_task["file_dep"],
        "task_dep": ["book"],
        "targets": [str(HTML / "_static" / "mechanism-book.pdf")],
        "io": {"capture": False},
    }


def task_book() -> dict:
    """Build the whole site and say where it begins."""
    start = HTML / "index.html"
    return {
        "actions": [lambda: say(f"The book: {start.resolve().as_uri()}")],
        "task_dep": ["html", "downloads"],
        "io": {"capture": False},
    }


def compare() -> TaskFailed | None:
    """Run every notebook again and compare each output with the stored one; nothing is cached."""
    found = [fault for chapter in CHAPTERS for fault in faults(chapter)]
    if found:
        return TaskFailed("\n".join(found))
    notebooks = [chapter.notebook for chapter in longest_first(CHAPTERS)]
    command = comparison(notebooks, "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    with forks.server(BUILD / "forks-again", environment()) as variable:
        ran = subprocess.run(command, env=environment() | variable)
    return TaskFailed("a second run differs from the first") if ran.returncode else None


def task_compare() -> dict:
    """Execute all chapters a second time and compare with the stored outputs."""
    return {
        "actions": [compare],
        "task_dep": ["claims", *EXECUTED],
        "io": {"capture": False},
    }


def show_page(page: Path) -> TaskFailed | None:
    """Build one page and print where it is."""
    chapters = [chapter for chapter in NOTEBOOKS if chapter.source == page]
    try:
        built = site.build_page(page.with_suffix("").as_posix(), chapters)
    except ChapterError as error:
        return TaskFailed(str(error))
    say(f"The page: {built.resolve().as_uri()}")
    return None


def task_only() -> Iterator[dict]:
    """Execute and build one page for its writer, whether or not the contents name it."""
    for page in sorted(Path("book").rglob("*.md")):
        yield {
            "name": page.stem,
            "actions": [(show_page, [page])],
            "task_dep": [f"notebook:{c.name}" for c in NOTEBOOKS if c.source == page],
            "io": {"capture": False},
        }
