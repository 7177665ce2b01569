"""A page that calls something proved says beside it by what: a certificate, or by hand."""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
PAGES = sorted(
    path for path in BOOK.rglob("*.md") if path.stem not in ("index", "about", "glossary")
)
KINDS = re.compile(
    r"z3|solver|ball arithmetic|in balls|a ball\b|certif|by hand|on the page|argument"
    r"|## Proofs|\{doc\}",
    re.I,
)


def claimed_without_a_kind(text):
    """Paragraphs that say "proved" or "proves" and neither name a kind nor link to a page."""
    prose = re.sub(r"```\{code-cell\}.*?```", "", text, flags=re.S)
    said = re.compile(r"(?<!im)\bprove[ds]\b", re.I)
    parts = re.split(r"\n\s*\n", re.sub(r"(^#+ [^\n]*)\n\n", r"\1\n", prose, flags=re.M))
    theirs = re.compile(r"[Tt]he paper proves|not proved|did not prove|never \"?proved")
    return [p for p in parts if said.search(theirs.sub("", p)) and not KINDS.search(p)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_is_called_proved_says_by_what(page):
    assert claimed_without_a_kind(page.read_text("utf-8")) == []


def test_a_bare_proof_is_noticed():
    assert claimed_without_a_kind("The gain is proved for that game.\n\nMore.")
    assert not claimed_without_a_kind("The gain is proved by ball arithmetic.")
    assert not claimed_without_a_kind("The paper proves it.")
