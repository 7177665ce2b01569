"""From a statement to its evidence and back: its proof, module, test, and row of the scoreboard."""

import html
import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

from mechanism.statements import CLAIMS
from tools.chapters import Chapter
from tools.pages.library import header
from tools.pages.statements import Statement, claimed, places, proof_heading, statements

SCORED = ("theorem", "proposition", "lemma", "corollary")
CLAIMS_PAGE = "book/claims"


def anchor(claim: str) -> str:
    """Return the name of a claim's row, which scripts of the theme can read.

    >>> anchor("thm-4.2-1")
    'claim-thm-4-2-1'
    """
    return "claim-" + claim.replace(".", "-")


def seconds_in_words(seconds: float) -> str:
    """Return how long a chapter took.

    >>> seconds_in_words(7.8), seconds_in_words(95)
    ('8 s', '1 min 35 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def finish_header(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Set off the line of modules and tests, and say how long the last run took."""
    for paragraph in doctree.findall(nodes.paragraph):
        if re.match(r"Paired modules?:", paragraph.astext()):
            paragraph["classes"].append("chapter-header")
            if page in app.config.chapter_seconds:
                took = seconds_in_words(app.config.chapter_seconds[page])
                paragraph += nodes.Text(f" · ran in {took} when this site was built")
            return


def proof_section(doctree: nodes.document) -> str:
    """Return the anchor of the section that tells why, or nothing."""
    for section in doctree.findall(nodes.section):
        title = section.next_node(nodes.title)
        if title is not None and title.parent is section and proof_heading(title.astext()):
            return str(section["ids"][0])
    return ""


def proof_of(box: nodes.Element) -> str:
    """Return the anchor of the proof that follows a statement, or nothing: it says what it is."""
    after = {"include_self": False, "siblings": True, "ascend": True}
    for node in box.findall(lambda n: isinstance(n, nodes.paragraph) or is_box(n), **after):
        if is_box(node):
            break
        if node.astext().startswith("Proof"):
            node["ids"] = node["ids"] or [f"why-{box['label']}"]
            return str(node["ids"][0])
    return ""


def is_box(node: nodes.Node) -> bool:
    """Say whether a node is a statement in a box."""
    return "label" in getattr(node, "attributes", {}) and "realtype" in node.attributes


def trail(app: Sphinx, page: str, statement: Statement, proof: str) -> Iterator[nodes.Node]:
    """Yield the pieces of the line below a statement; names in code are linked later."""
    if proof and statement.kind in SCORED:
        yield nodes.reference("", "why it holds", internal=True, refuri=f"#{proof}")
    text = header(Chapter(page))
    stems = {page.rsplit("/", 1)[-1]} | {CLAIMS[name].stem for name in statement.claims}
    for word, pattern in (("module", r"`(mechanism[\w.]*)`"), ("test", r"`(tests/[\w/]+\.py)`")):
        own = [name for name in re.findall(pattern, text) if any(s in name for s in stems)]
        if own:
            yield nodes.inline("", f"{word} ", nodes.literal("", own[0]))
    for name in statement.claims:
        uri = app.builder.get_relative_uri(page, CLAIMS_PAGE) + f"#{anchor(name)}"
        yield nodes.inline("", "claim ", nodes.reference("", name, internal=True, refuri=uri))


def add_trails(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """End each statement with the way to its proof, module, test and claims."""
    known = {s.label: s for s in statements() if s.docname == page}
    proof = proof_section(doctree)
    for box in doctree.findall(is_box):
        statement = known.get(box["label"])
        if not statement or not (statement.kind in SCORED or statement.claims):
            continue
        line = nodes.paragraph(classes=["trail"])
        for number, piece in enumerate(trail(app, page, statement, proof_of(box) or proof)):
            line += [nodes.Text(" · "), piece] if number else [piece]
        if line.children:
            box += line


def claim_place(name: str) -> tuple[str, str]:
    """Return the page and the box of a claim's statement."""
    boxes = statements()
    page = f"book/{CLAIMS[name].chapter}"
    for box in boxes:
        if name in box.claims and box.docname == page:
            return box.docname, box.label
    return places(boxes).get(claimed(name), (page, ""))


def link_claims(app: Sphinx, doctree: nodes.document) -> None:
    """Give each row of the scoreboard an anchor, and link its claim, chapter and test."""

    def relative(page: str, label: str = "") -> str:
        uri = app.builder.get_relative_uri(CLAIMS_PAGE, page)
        return uri + (f"#{label}" if label else "")

    def anchored(found: re.Match[str]) -> str:
        name = html.unescape(found[1])
        if name not in CLAIMS:
            return found[0]
        identity = "" if name in seen else f' id="{anchor(name)}"'
        seen.add(name)
        return f'<th{identity}><a href="{relative(*claim_place(name))}">{found[1]}</a></th>'

    def linked(found: re.Match[str]) -> str:
        pages = {"chapter": f"book/{chapters.get(found[1])}", "test": tests.get(found[1])}
        page = pages["chapter"] if found[1] in chapters else pages["test"]
        if page is None or page not in app.env.found_docs:
            return found[0]
        return f'<td><a href="{relative(page)}">{found[1]}</a></td>'

    seen: set[str] = set()
    chapters = {claim.stem: claim.chapter for claim in CLAIMS.values()}
    tests = {c.test.rsplit("/", 1)[-1]: c.test.removesuffix(".py") for c in CLAIMS.values()}
    for raw in list(doctree.findall(nodes.raw)):
        text = re.sub(r"<th>([^<]+)</th>", anchored, raw.astext())
        text = re.sub(r"<td>([^<]+)</td>", linked, text)
        if text != raw.astext():
            raw.replace_self(nodes.raw("", text, format=raw["format"]))


def tidy(doctree: nodes.document) -> None:
    """Give each picture of a cell its own words, and no two boxes one name."""
    for box in doctree.findall(nodes.section):
        if box["ids"] == ["proof-content"]:
            box["ids"] = []
    for cell in doctree.findall(nodes.container):
        if "cell_output" not in cell["classes"]:
            continue
        shown = list(cell.findall(nodes.image))
        texts = shown[0].get("alt", "").split(" | ") if shown else []
        for image, text in zip(shown, texts, strict=False):
            image["alt"] = text


def finish(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add the evidence to one page."""
    tidy(doctree)
    finish_header(app, doctree, page)
    add_trails(app, doctree, page)
    if page == CLAIMS_PAGE:
        link_claims(app, doctree)
