"""What staging adds to the words of a page: links, and from each statement to its evidence."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes

from mechanism.statements import CLAIMS
from tools.chapters import ROOT, find_chapters
from tools.pages import evidence, links
from tools.pages.statements import OWN, claimed, numbers, places, statements


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


# statements and claims


def test_every_claim_has_a_place_and_every_own_claim_a_box():
    known = statements()
    labels = {statement.label for statement in known}
    for name, claim in CLAIMS.items():
        page, label = evidence.claim_place(name)
        assert Path(page + ".md").exists()
        assert page == f"book/{claim.chapter}" or claimed(name)
        assert not label or label in labels
    assert set(OWN) == {name for name in CLAIMS if not claimed(name)}
    assert {label for name, label in OWN.items() if name != "identity-area"} <= labels


def test_every_number_in_the_pages_has_a_place():
    known = places(statements())
    told = {number for c in find_chapters() for number in numbers(c.source.read_text("utf-8"))}
    assert told - set(known) <= {"Definition 4.7"}  # told on one page alone, without a box
    assert len(told) > 20


def test_labels_are_the_paper_s_own():
    found = places(statements())
    assert found["Theorem 4.2"] == ("book/incentives/misreport", "thm-misreport")
    assert found["Theorem 4.3"] == found["Theorem B.2"]


# words become links


class Pages:
    """As much of Sphinx as links need: a builder that knows pages, and domains."""

    def __init__(self, terms, objects=()):
        std = [(name, name, "term", doc, label, 1) for name, (doc, label) in terms.items()]
        domains = {"std": std, "py": [(n, n, k, d, n, 1) for n, k, d in objects]}
        self.env = SimpleNamespace(
            get_domain=lambda name: SimpleNamespace(get_objects=lambda: domains[name]),
            found_docs={"tests/room/test_a", "book/one"},
        )
        self.builder = SimpleNamespace(get_relative_uri=lambda page, target: target + ".html")


GLOSSARY = {"reward model": ("book/glossary", "t1"), "model": ("book/glossary", "t2"),
            "policy": ("book/glossary", "t3"), "share": ("book/glossary", "t4")}  # fmt: skip


def linked(doctree):
    return [(ref.astext(), ref["refuri"]) for ref in doctree.findall(nodes.reference)]


def document(*children):
    made = nodes.document(None, None)
    made += list(children)
    return made


def test_terms_are_links_once_a_paragraph_the_longest_first():
    text = "Reward models differ; a reward model is no model. Models are policies."
    doctree = document(nodes.paragraph("", text), nodes.paragraph("", "A model."))
    links.link_words(Pages(GLOSSARY), doctree, "book/one")
    found = [word for word, _ in linked(doctree)]
    assert found == ["Reward models", "model", "policies", "model"]
    assert doctree.astext() == f"{text}\n\nA model."


@pytest.mark.parametrize("wrap", [nodes.title, nodes.literal, nodes.reference, nodes.term])
def test_headings_code_and_links_are_left_alone(wrap):
    doctree = document(nodes.paragraph("", "", wrap("", "a model of Theorem 4.2")))
    before = len(list(doctree.findall(nodes.reference)))
    links.link_words(Pages(GLOSSARY), doctree, "book/one")
    assert len(list(doctree.findall(nodes.reference))) == before


def test_a_page_does_not_link_to_itself_and_a_word_of_everyday_english_stays_one():
    for page, expected in (("book/glossary", []), ("book/one", ["model"])):
        doctree = document(nodes.paragraph("", "a share of the model"))
        links.link_words(Pages(GLOSSARY), doctree, page)
        assert [word for word, _ in linked(doctree)] == expected


def test_statements_are_links_each_time():
    doctree = document(nodes.paragraph("", "Theorem 4.2, Definitions 3.2 and 3.3; Theorem 4.2"))
    links.link_words(Pages({}), doctree, "book/one")
    assert linked(doctree) == [
        ("Theorem 4.2", "book/incentives/misreport.html#thm-misreport"),
        ("Definitions 3.2", "book/game/rlhf_game.html#def-dsic"),
        ("3.3", "book/game/rlhf_game.html#def-ir"),
        ("Theorem 4.2", "book/incentives/misreport.html#thm-misreport"),
    ]


def test_a_statement_is_no_link_on_its_own_page():
    doctree = document(nodes.paragraph("", "Theorem 4.2"))
    links.link_words(Pages({}), doctree, "book/incentives/misreport")
    assert linked(doctree) == []


def test_modules_tests_and_names_in_code_are_links():
    kinds = {"core": "module", "core.solve": "function", "core.twofold": "function",
             "llm.twofold": "class", "core.only_one": "function"}  # fmt: skip
    objects = [(f"mechanism.{name}", kind, "api/page") for name, kind in kinds.items()]
    names = ["mechanism.core", "mechanism/core.py", "tests/room/test_a.py", "tests/room/test_b.py",
             "twofold", "only_one()", "w v", "solve"]  # fmt: skip
    doctree = document(*(nodes.paragraph("", "", nodes.literal("", name)) for name in names))
    links.link_code(Pages({}, objects), doctree, "book/one")
    assert [word for word, _ in linked(doctree)] == [*names[:3], "only_one()"]


# evidence


def test_rows_of_the_scoreboard_have_anchors_and_lead_back():
    html = "<tr><th>thm-4.2-1</th><td>misreport</td><td>test_misreport.py</td><td>holds</td></tr>"
    app = Pages({})
    app.env.found_docs |= {"book/incentives/misreport", "tests/theorems/test_misreport"}
    doctree = document(nodes.raw("", html + html, format="html"))
    evidence.link_claims(app, doctree)
    text = doctree.astext()
    assert text.count('id="claim-thm-4-2-1"') == 1
    assert text.count('<a href="book/incentives/misreport.html#thm-misreport">thm-4.2-1</a>') == 2
    assert '<a href="tests/theorems/test_misreport.html">test_misreport.py</a>' in text
    assert "<td>holds</td>" in text


def boxed(label):
    return nodes.admonition("", nodes.paragraph("", "It holds."), label=label, realtype="theorem")


def test_a_proof_below_its_statement_is_found_and_not_that_of_the_next():
    one, two = boxed("one"), boxed("two")
    document(one, two, nodes.paragraph("", "First."), nodes.paragraph("", "Proof idea. So."))
    assert (evidence.proof_of(one), evidence.proof_of(two)) == ("", "why-two")


def test_a_statement_ends_with_its_evidence():
    box = boxed("thm-misreport")
    why = nodes.section("", nodes.title("", "Why it is so"), ids=["why"])
    doctree = document(box, why)
    evidence.add_trails(Pages({}), doctree, "book/incentives/misreport")
    assert [uri for _, uri in linked(doctree)] == [
        "#why", "book/claims.html#claim-thm-4-2-1", "book/claims.html#claim-thm-4-2-2",
    ]  # fmt: skip
    named = [literal.astext() for literal in box.findall(nodes.literal)]
    assert named == ["mechanism.theorems.misreport", "tests/theorems/test_misreport.py"]


def test_header_tells_how_long_the_last_run_took():
    app = Pages({})
    app.config = SimpleNamespace(chapter_seconds={"book/one": 61.4})
    for page, ends in (("book/one", "1 min 1 s when this site was built"), ("book/two", "`a`")):
        doctree = document(nodes.paragraph("", "Paired module: `a`"))
        evidence.finish_header(app, doctree, page)
        assert doctree.astext().endswith(ends)
