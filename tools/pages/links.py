"""A Sphinx extension: wherever a page names a statement, a term, a module or a test, it links.

Headings, code and links are left alone, and so is what a page says of itself. A term is a link
once in a paragraph, a statement each time.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.search.en import SearchEnglish

from tools.pages import evidence
from tools.pages.statements import NAME, places, statements

Place = tuple[str, str]
LEFT_ALONE = (
    nodes.reference, nodes.title, nodes.rubric, nodes.literal, nodes.literal_block, nodes.math,
    nodes.math_block, nodes.raw, nodes.term, nodes.comment, nodes.citation, addnodes.pending_xref,
    addnodes.download_reference, addnodes.desc_signature,
)  # fmt: skip
ONLY_ON = {  # words of everyday English that are terms on one page alone
    "reference": "book/game/rlhf_game",
    "share": "book/practice/one_training",
}
CODE = re.compile(r"mechanism(?:[./]\w+)*|tests/[\w/]+\.py|[a-z]+_\w+|[A-Z]\w{3,}")


@cache
def statement_places() -> dict[str, Place]:
    """Return where each numbered statement stands."""
    return places(statements())


def terms(env: BuildEnvironment) -> dict[str, Place]:
    """Return where the glossary explains each term, in lower case."""
    found = env.get_domain("std").get_objects()
    return {name.lower(): (doc, label) for name, _, kind, doc, label, _ in found if kind == "term"}


@cache
def pattern(words: frozenset[str]) -> re.Pattern[str]:
    """Return what finds these words, the longest first, and their plurals.

    >>> pattern(frozenset({"policy", "model", "reward model"})).findall("reward models, policies")
    ['reward models', 'policies']
    """
    forms = [re.escape(word) for word in words]
    forms += [re.escape(word[:-1]) + "ies" for word in words if word.endswith("y")]
    return re.compile(
        rf"\b(?:{'|'.join(sorted(forms, key=len, reverse=True))})(?:s|es)?\b(?!-)", re.IGNORECASE
    )


def singular(word: str, known: dict[str, Place]) -> str:
    """Return the form in which the glossary has a word."""
    word = word.lower()
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y")
    return next(form for form in forms if form in known)


def link(app: Sphinx, page: str, place: Place, content: nodes.Node, kind: str) -> nodes.reference:
    """Return a link from a page to a place."""
    target = app.builder.get_relative_uri(page, place[0]) if place[0] != page else ""
    target += f"#{place[1]}" if place[1] else ""
    made = nodes.reference("", "", internal=True, refuri=target, classes=["made-link", kind])
    made += content
    return made


def free(node: nodes.Node) -> bool:
    """Say whether a text may become a link."""
    while node := node.parent:
        if isinstance(node, LEFT_ALONE):
            return False
    return True


Found = tuple[int, int, Place, str]


def found_statements(text: str, page: str) -> Iterator[Found]:
    """Yield each statement that a text names, with its place; not those of the page itself."""
    for match in NAME.finditer(text):
        for group, start in ((2, match.start()), (3, match.start(3))):
            place = statement_places().get(f"{match[1]} {match[group]}") if match[group] else None
            if place and place[0] != page:
                yield start, match.end(group), place, "statement-link"


def found_terms(text: str, page: str, known: dict[str, Place], seen: set[str]) -> Iterator[Found]:
    """Yield each term that a paragraph names for the first time, with its place."""
    for match in pattern(frozenset(known)).finditer(text):
        term = singular(match[0], known)
        place = known[term]
        if term not in seen and place[0] != page and ONLY_ON.get(term, page) == page:
            seen.add(term)
            yield match.start(), match.end(), place, "term-link"


def replace(app: Sphinx, page: str, text: nodes.Text, found: list[Found]) -> None:
    """Put the links into a text."""
    plain, parts, end = text.astext(), [], 0
    for start, stop, place, kind in sorted(found):
        if start >= end:
            parts.append(nodes.Text(plain[end:start]))
            parts.append(link(app, page, place, nodes.inline("", plain[start:stop]), kind))
            end = stop
    text.parent.replace(text, [*parts, nodes.Text(plain[end:])])


def link_words(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link the statements and the terms of a page."""
    known = terms(app.env)
    words, seen = pattern(frozenset(known)), defaultdict[int, set[str]](set)
    named = [n for n in doctree.findall(nodes.Text) if words.search(n) or NAME.search(n)]
    for text in [node for node in named if free(node)]:
        block = text.parent
        while block.parent and not isinstance(block, nodes.General | nodes.Part | nodes.Body):
            block = block.parent
        found = list(found_statements(text.astext(), page))
        if known:
            found += found_terms(text.astext(), page, known, seen[id(block)])
        if found:
            replace(app, page, text, found)


@cache
def places_of_code(app: Sphinx) -> Callable[[str], Place | None]:
    """Return what finds the page of a module, of a test, or of a name that is the library's."""
    objects = list(app.env.get_domain("py").get_objects())
    named = {name: (doc, label) for name, _, _, doc, label, _ in objects}
    short: dict[str, list[Place]] = {}
    for name, _, kind, doc, label, _ in objects:
        if kind in ("class", "function", "exception"):
            short.setdefault(name.rsplit(".", 1)[-1], []).append((doc, label))

    def find(text: str) -> Place | None:
        if text.startswith("tests/"):
            page = text.removesuffix(".py")
            return (page, "") if page in app.env.found_docs else None
        dotted = text.removesuffix(".py").replace("/", ".")
        if dotted in named:
            return named[dotted]
        owners = short.get(text, [])
        return owners[0] if len(owners) == 1 else None

    return find


def link_code(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link what is named in code: modules, tests, and names that only one module has."""
    find = places_of_code(app)
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        if not free(literal) or not CODE.fullmatch(text.removesuffix(".py").removesuffix("()")):
            if not text.startswith("tests/"):
                continue
        place = find(text.removesuffix("()"))
        if place and place[0] != page and free(literal):
            literal.replace_self(link(app, page, place, literal.deepcopy(), "code-link"))


def finish(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add everything to one page, once all pages are read."""
    if page.startswith("tests/"):
        return
    evidence.finish(app, doctree, page)
    link_words(app, doctree, page)
    link_code(app, doctree, page)


class English(SearchEnglish):
    """Sphinx's English for the search of the site: a word that many pages have is stemmed once."""

    def __init__(self, options: dict[str, Any]):
        super().__init__(options)
        self.stem = cache(self.stem)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx; the seconds that chapters took come from staging."""
    app.add_config_value("chapter_seconds", {}, "html")
    app.connect("doctree-resolved", finish)
    app.add_search_language(English)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
