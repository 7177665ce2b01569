"""Stage the pages beside the executed notebooks, and turn them into HTML."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.chapters import BUILD, Chapter, ChapterError, is_notebook, plain
from tools.dependencies import files_under
from tools.downloads import repository
from tools.execution import environment, seconds
from tools.pages import cells, front, library

NOT_PAGES = (".ipynb", ".pyc")


def static_sources() -> list[Path]:
    """Return what a page can show that is not an executed notebook: text, pictures, references."""
    return [
        path
        for path in files_under(Path("book"))
        if path.suffix not in NOT_PAGES and not (path.suffix == ".md" and is_notebook(path))
    ]


def stage(into: Path, chapters: list[Chapter], toc: dict[str, object]) -> None:
    """Fill a folder with the book as Jupyter Book shall see it: nothing left to execute."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for path in static_sources():
        copy(path, into / path)
    for chapter in chapters:
        copy(chapter.notebook, into / (chapter.docname + ".ipynb"))
    cells.fold_files({c.name: into / (c.docname + ".ipynb") for c in chapters})
    config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
    config["execute"] = config["execute"] | {"execute_notebooks": "off"}
    repository.add_buttons(config)
    if "parts" in toc:  # the whole book, not one page for its writer
        toc = toc | {"parts": [*toc["parts"], library.write(into)]}
        extend(config, chapters)
        config["parse"]["myst_substitutions"] = front.write(into)
    for name, content in {"_config.yml": config, "_toc.yml": toc}.items():
        (into / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    if Path("results").exists():  # for pages that include a recorded table or picture
        (into / "results").symlink_to(Path("results").resolve())


def extend(config: dict[str, Any], chapters: list[Chapter]) -> None:
    """Name the extensions and settings of what staging adds."""
    config["only_build_toc_files"] = False  # pages of tests are linked, not listed
    config["exclude_patterns"] = ["results"]
    settings = config["sphinx"]["config"]
    settings["extensions"] += [*library.EXTENSIONS, "tools.pages.links"]
    settings |= library.SETTINGS
    settings["chapter_seconds"] = {c.docname: s for c in chapters if (s := seconds(c))}


def copy(source: Path, target: Path) -> None:
    """Copy a file, making the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def jupyter_book(source: Path, output: Path, *options: str) -> Path:
    """Build a staged book into `output/_build/html`; raise with the warnings where it fails."""
    shutil.rmtree(output, ignore_errors=True)
    log = BUILD / "reports" / f"{output.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    start = "import gc; gc.set_threshold(200_000, 50, 1000)\n"  # of a million nodes hardly one goes
    start += "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(source), "--all"]
    command += ["--path-output", str(output), *options]
    ran = subprocess.run(
        command, env=environment(), capture_output=True, encoding="utf-8", errors="replace"
    )
    text = plain(ran.stdout + ran.stderr)
    log.write_text(text, encoding="utf-8")
    if ran.returncode != 0:
        problems = readable_problems(text, source)
        raise ChapterError("\n".join(["the pages have problems:", *problems, f"The log: {log}"]))
    return output / "_build" / "html"


def readable_problems(log: str, staged: Path) -> list[str]:
    """Return the warnings and errors, with the names of the files that a writer edits.

    Sphinx counts lines of a notebook as 10000 times the cell plus the line within it.
    """

    def rename(found: re.Match[str]) -> str:
        cell, line = divmod(int(found["line"]), 10000)
        return f"{found['page']}.md, cell {cell}, line {line}:"

    problems = []
    for text in log.splitlines():
        if re.search(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b|Exception|Error:", text):
            text = text.replace(f"{staged.resolve()}{os.sep}", "")
            text = re.sub(r"(?P<page>\S+)\.ipynb:(?P<line>\d+):", rename, text)
            problems.append("  " + re.sub(r"\.(ipynb|ip\.rst)\b", ".md", text))
    return problems or ["  " + line for line in log.splitlines()[-20:]]


def build_book(chapters: list[Chapter]) -> None:
    """Build `_build/html`, warnings being errors; a failed build leaves the last good one."""
    source, output = BUILD / "src", BUILD / "site"
    stage(source, chapters, yaml.safe_load(Path("_toc.yml").read_text(encoding="utf-8")))
    built = jupyter_book(source, output, "-W", "-n", "--keep-going")
    for template in built.glob("_static/**/*webpack-macros.html"):
        template.unlink()  # left there by the themes; opened as a page it shows nothing
    for page in built.rglob("*.html"):
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
    last = BUILD / "html.old"
    shutil.rmtree(last, ignore_errors=True)
    if (BUILD / "html").exists():
        (BUILD / "html").replace(last)
    built.replace(BUILD / "html")
    shutil.rmtree(last, ignore_errors=True)
    shutil.rmtree(output)


def mended(html: str) -> str:
    """Return a page with roles that assistive technology knows.

    docutils gives an entry of the bibliography a role that is deprecated, so that its list would
    hold no item.
    """
    return html.replace('role="doc-biblioentry"', 'role="listitem"')


def build_page(docname: str, chapters: list[Chapter]) -> Path:
    """Build a book of one page, for its writer; links to other pages stay open."""
    stem = docname.rsplit("/", 1)[-1]
    source, output = BUILD / "only-src" / stem, BUILD / "only" / stem  # two writers, two folders
    stage(source, chapters, {"format": "jb-book", "root": docname})
    return jupyter_book(source, output) / (docname + ".html")
