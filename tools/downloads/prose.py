"""Plain Markdown from a page's MyST, for notebooks that are read where no Sphinx is.

Roles become their text, directives quoted blocks with their title in bold, inserted numbers the
values that the build had.
"""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pybtex.database import parse_file
from pybtex.richtext import Text

from tools.chapters import find_chapters, toc_docnames

ROLE = re.compile(r"\{(?P<role>[a-z][a-z:_-]*)\}`(?P<text>[^`]+)`")
TARGET = re.compile(r"(?P<text>.+?)\s*<(?P<target>[^<>]+)>", re.DOTALL)
FENCE = re.compile(r"(?P<fence>`{3,}|:{3,})(\{(?P<name>[a-z][a-z:_-]*)\})?\s*(?P<title>.*)")
LINK = re.compile(r"\[(?P<text>[^][]+)\]\((?P<target>[\w./-]+)(?P<anchor>#[\w-]*)?\)")
LABEL = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
DEFINED = re.compile(r"^(?P<term>\S.*)\n: ", re.MULTILINE)
OPTION = re.compile(r"\s*:(?P<key>[\w-]+):\s*(?P<value>.*)")


@dataclass(frozen=True)
class Names:
    """What the book calls its pages, its statements and its sources."""

    titles: Mapping[str, str]
    notebooks: frozenset[str]
    labels: Mapping[str, str]
    sources: Mapping[str, tuple[str, str]]


def gather(root: Path) -> Names:
    """Read the names from the pages that the contents list, and from the bibliography."""
    titles, labels = {}, {}
    for docname in toc_docnames(root):
        text = (root / f"{docname}.md").read_text(encoding="utf-8")
        found = re.search(r"^# (.+)$", text, re.MULTILINE)
        titles[docname] = found[1] if found else docname
        labels |= dict(labelled(text))
    sources = {
        key: cited(entry)
        for bib in sorted(root.glob("book/*.bib"))
        for key, entry in parse_file(bib, bib_format="bibtex").entries.items()
    }
    notebooks = frozenset(chapter.docname for chapter in find_chapters(root))
    return Names(titles, notebooks, labels, sources)


def labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield the label and the title of every directive that has one, and of labelled headings."""
    for found in re.finditer(
        r"^(?P<line>[`:]{3,}\{.+)\n(?:\s*:(?!label).*\n)*:label: (?P<label>\S+)", text, re.M
    ):
        opened = FENCE.match(found["line"])
        if opened and opened["name"]:
            yield found["label"], headline(opened["name"], opened["title"])
    for found in re.finditer(r"^\((?P<label>[\w-]+)\)=\n+#+ (?P<title>.+)$", text, re.MULTILINE):
        yield found["label"], found["title"]


def cited(entry) -> tuple[str, str]:
    """Return names and year of a source, as they are read in a sentence."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [str(Text.from_latex(" ".join(person.last_names))) for person in people]
    shown = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return shown, entry.fields.get("year", "")


def headline(name: str, title: str) -> str:
    """Return what a directive is called where it stands: Theorem 4.11, Exercise, Solution."""
    kind = name.removeprefix("prf:").removesuffix("-start").capitalize()
    if kind == "Solution" or not title:
        return kind
    numbered = title.startswith(kind) or not name.startswith(("prf:", "exercise"))
    return title if numbered else f"{kind} ({title})"


def plain(text: str, docname: str, names: Names, values: Mapping[str, str]) -> str:
    """Return a page's cell as Markdown that any viewer shows.

    `values` are the numbers that the run put into the text, as they were stored.
    """
    lines = plain_blocks(LABEL.sub("", text).split("\n"), docname, names, values)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def plain_blocks(
    lines: list[str], docname: str, names: Names, values: Mapping[str, str]
) -> list[str]:
    """Rewrite directives, nested ones included, and the roles in the text between them."""
    done: list[str] = []
    text: list[str] = []

    def flush() -> None:
        if text:
            done.extend(plain_text("\n".join(text), docname, names, values).split("\n"))
        text.clear()

    while lines:
        line, lines = lines[0], lines[1:]
        opened = FENCE.fullmatch(line)
        closing = next((i for i, end in enumerate(lines) if opened and end == opened["fence"]), -1)
        if opened is None or closing < 0:
            text.append(line)
            continue
        inside, lines = lines[:closing], lines[closing + 1 :]
        flush()
        if opened["name"] is None:  # a listing stays as it is
            done += [line, *inside, opened["fence"]]
            continue
        while inside and (OPTION.fullmatch(inside[0]) or not inside[0]):
            inside = inside[1:]
        if opened["name"] == "math":
            done += ["$$", *inside, "$$"]
        elif not opened["name"].endswith("-end"):
            title = plain_text(headline(opened["name"], opened["title"]), docname, names, values)
            block = plain_blocks(inside, docname, names, values)
            quoted = ["> " + part if part else ">" for part in ["", *block]] if block else []
            done += [f"> **{title}**", *quoted] if quoted else [f"**{title}**"]
    flush()
    return done


def plain_text(text: str, docname: str, names: Names, values: Mapping[str, str]) -> str:
    """Replace roles, links between pages and lists of definitions in running text."""

    def role(found: re.Match[str]) -> str:
        name, shown = found["role"], found["text"]
        named = TARGET.fullmatch(shown)
        shown, target = (named["text"], named["target"]) if named else ("", shown)
        if name == "doc":
            return page(shown, target)
        if name == "glue:text":
            return number(target, values)
        if name.startswith("cite"):
            return citation(target.split(","), name == "cite:t", names)
        if name == "eq":
            return f"({target})"
        return shown or names.labels.get(target, target)

    def page(shown: str, target: str) -> str:
        here = PurePosixPath("/", docname).parent
        aim = os.path.normpath(here / target.removesuffix(".md")).lstrip("/")
        if aim not in names.titles:
            return shown or target
        shown = shown or names.titles[aim]
        link = os.path.relpath(aim, PurePosixPath(docname).parent)
        return f"[{shown}]({link}.ipynb)" if aim in names.notebooks else shown

    def link(found: re.Match[str]) -> str:
        return page(found["text"], found["target"])

    text = DEFINED.sub(lambda found: f"- **{found['term']}**: ", text)
    return ROLE.sub(role, LINK.sub(link, text))


def number(name: str, values: Mapping[str, str]) -> str:
    """Return a glued value as the page shows it; its name where the notebook has not run."""
    name, _, form = name.partition(":")
    if name not in values:
        return f"`{name}`"
    try:
        value = ast.literal_eval(values[name])
    except (SyntaxError, ValueError):
        value = values[name]
    return format(value, form)


def citation(keys: list[str], in_text: bool, names: Names) -> str:
    """Return a citation as the book prints it: Sun et al. [2025], or [Sun et al., 2025]."""
    known = [names.sources.get(key.strip(), (key.strip(), "")) for key in keys]
    if in_text:
        return ", ".join(f"{people} [{year}]" for people, year in known)
    return "[" + "; ".join(f"{people}, {year}" for people, year in known) + "]"
