"""The built site: made links lead somewhere, statements are links, pictures say what to see."""

import os
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from bs4 import BeautifulSoup

from mechanism.statements import CLAIMS
from tests.site.visits import SITE
from tools.chapters import toc_docnames
from tools.pages.cells import LEAST_ALT
from tools.pages.evidence import SCORED, anchor
from tools.pages.statements import NAME, places, statements

pytestmark = pytest.mark.browser  # those that need the built site
ALONE = ["a", "h1", "h2", "h3", "h4", "code", "pre", "dt", "title", "script", "summary"]


@cache
def article(name: str) -> BeautifulSoup:
    """Return what a reader sees of a page, the frame around it left out."""
    text = (SITE / f"{name}.html").read_text("utf-8")
    return BeautifulSoup(text, "html.parser").select_one("article.bd-article")


@cache
def anchors(path: Path) -> set[str]:
    """Return the names of all places on a page."""
    return {
        tag["id"] for tag in BeautifulSoup(path.read_text("utf-8"), "html.parser").find_all(id=True)
    }


def lost(name: str) -> list[str]:
    """Return the made links of a page that lead nowhere."""
    found = []
    for tag in article(name).select("a.made-link, .trail a, table.dataframe a"):
        path, place = urldefrag(tag["href"])
        target = Path(os.path.normpath((SITE / f"{name}.html").parent / unquote(path)))
        target = target if path else SITE / f"{name}.html"
        if not target.exists() or (place and place not in anchors(target)):
            found.append(tag["href"])
    return found


def unlinked(name: str) -> list[str]:
    """Return the numbered statements that a page names without a link."""
    known, found = places(statements()), []
    for text in article(name).find_all(string=NAME):
        if text.find_parent(ALONE) or text.find_parent(class_="cell_output"):
            continue
        for match in NAME.finditer(text):
            page = known.get(f"{match[1]} {match[2]}", (name, ""))[0]
            if page != name and "admonition-title" not in (text.find_parent("p") or {}).get(
                "class", []
            ):
                found.append(match[0])
    return found


@pytest.mark.parametrize("name", toc_docnames())
def test_made_links_lead_somewhere_and_no_statement_lacks_one(name):
    assert lost(name) == []
    assert unlinked(name) == []


def test_every_claim_has_a_row_and_every_scored_statement_leads_there():
    assert {anchor(name) for name in CLAIMS} <= anchors(SITE / "book/claims.html")
    for statement in statements():
        box = article(statement.docname).find(id=statement.label)
        hrefs = [tag["href"] for tag in box.select(".trail a")]
        for name in statement.claims:
            assert any(href.endswith(f"#{anchor(name)}") for href in hrefs), statement


def test_every_scored_statement_leads_to_its_proof_module_and_test():
    scored = [statement for statement in statements() if statement.kind in SCORED]
    assert len(scored) > 20
    for statement in scored:
        trail = article(statement.docname).find(id=statement.label).select_one(".trail")
        hrefs = [tag["href"] for tag in trail.select("a")]
        for begins in ("#", "../../api/", "../../tests/"):  # proof, module, test
            assert any(href.startswith(begins) for href in hrefs), (statement, begins)


def test_every_picture_says_what_to_see_in_words_of_its_own():
    alts = [img.get("alt", "") for name in toc_docnames() for img in article(name).select("img")]
    assert len(alts) > 50
    assert [alt for alt in alts if len(alt) < LEAST_ALT] == []
    assert len(set(alts)) == len(alts)
