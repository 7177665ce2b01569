"""Which statements the pages make, where each stands, and which claims check it."""

import re
from dataclasses import dataclass, field
from functools import cache

from mechanism.statements import CLAIMS
from tools.chapters import find_chapters

WORDS = {
    "thm": "Theorem",
    "prop": "Proposition",
    "lemma": "Lemma",
    "cor": "Corollary",
    "def": "Definition",
}
OWN = {  # claims without a number of the paper, and the label of their statement
    "false-names": "prop-names",
    "false-names-rate": "prop-names-rate",
    "collusion": "prop-collusion",
    "one-run": "thm-one-run",
    "heuristic-1": "def-heuristic-1",
    "heuristic-2": "def-heuristic-2",
    "identity-area": "prop-area",
    "prop-opt": "prop-opt",
    "sharp-D.1": "prop-sharp-d-1",
    "prop-zero-one": "prop-zero-one",
    "prop-pair": "prop-pair",
    "prop-kl-complete": "prop-kl-complete",
    "sharp-moduli": "prop-moduli",
    "prop-sheets": "prop-sheets",
    "room": "thm-4-11",
    "sharp-noise": "thm-sharp",
    "least-regret": "prop-rochet",
}
PROOF = re.compile(r"(Why (it|this|nothing)|Proof|The certificate)")
NAME = re.compile(
    rf"\b({'|'.join(WORDS.values())})s?[ \u00a0]([A-E\d]\.\d+)(?: and ([A-E\d]\.\d+))?"
)
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{prf:(?P<kind>\w+)\}(?P<title>[^\n]*)\n(?::label: (?P<label>\S+)\n)?",
    re.M,
)


@dataclass(frozen=True)
class Statement:
    """A boxed statement: its page, its label, the numbers in its title and the claims on it."""

    docname: str
    label: str
    kind: str
    numbers: tuple[str, ...]
    claims: list[str] = field(default_factory=list)


def numbers(text: str) -> list[str]:
    """Return the numbered statements that a text names.

    >>> numbers("by Definitions 3.2 and 3.3 and Lemma D.1")
    ['Definition 3.2', 'Definition 3.3', 'Lemma D.1']
    """
    found = [(m[1], number) for m in NAME.finditer(text) for number in m.groups()[1:] if number]
    return [f"{word} {number}" for word, number in found]


def claimed(claim: str) -> str:
    """Return the number of the paper's statement that a claim is about, or nothing.

    >>> claimed("thm-4.2-1"), claimed("prop-4.8-kl"), claimed("collusion")
    ('Theorem 4.2', 'Proposition 4.8', '')
    """
    found = re.match(rf"({'|'.join(WORDS)})-([A-E\d]\.\d+)", claim)
    return f"{WORDS[found[1]]} {found[2]}" if found else ""


@cache
def statements() -> list[Statement]:
    """Return every labelled statement of the book in reading order, with its claims."""
    found = []
    for chapter in find_chapters():
        for box in DIRECTIVE.finditer(chapter.source.read_text("utf-8")):
            if not box["label"]:
                continue
            named = tuple(numbers(box["title"]))
            claims = [c for c in CLAIMS if claimed(c) in named or OWN.get(c) == box["label"]]
            found.append(Statement(chapter.docname, box["label"], box["kind"], named, claims))
    return found


def places(known: list[Statement]) -> dict[str, tuple[str, str]]:
    """Return where each number of the paper stands: page and label, the first box that has it.

    What has a claim and no box of its own is told on the claim's page.
    """
    found: dict[str, tuple[str, str]] = {}
    for statement in known:
        for number in statement.numbers:
            found.setdefault(number, (statement.docname, statement.label))
    for name, claim in CLAIMS.items():
        if number := claimed(name):
            found.setdefault(number, (f"book/{claim.chapter}", ""))
    return found


def proof_heading(title: str) -> bool:
    """Say whether a section tells why a statement holds."""
    return bool(PROOF.match(title))
