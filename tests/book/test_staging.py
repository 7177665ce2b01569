"""What staging adds to the pages: links, folded cells, the library's pages, the first page."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from docutils import nodes

from mechanism.statements import CLAIMS
from tools.chapters import ROOT, Chapter, ChapterError, find_chapters
from tools.pages import cells, docstrings, evidence, front, library, links
from tools.pages.statements import OWN, claimed, numbers, places, statements

PICTURE = {"image/png": "aGVsbG8="}


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


# folded cells


def cell(source, outputs=(), **metadata):
    made = nbformat.v4.new_code_cell(source, metadata=metadata)
    made.outputs = [nbformat.v4.new_output("display_data", data=data) for data in outputs]
    return made


@pytest.mark.parametrize(
    ("one", "folded"),
    [
        (cell("seed = 0", tags=["parameters"]), "the set-up: parameters"),
        (cell("import os\nx = 1"), "the set-up: imports"),
        (cell("import os\nos.sep", [{"text/plain": "/"}]), None),
        (cell("x = 1\nassert x"), None),
        (cell("\n".join(["x = 1"] * 6)), "the computation"),
        (cell("\n".join(["x = 1"] * 6), [{"text/plain": "1"}]), None),
        (cell("def f():\n" + "    x = 1\n" * 6), "the definitions"),
        (cell("plot()", [PICTURE]), "the code of this figure"),
        (cell("plot()", [PICTURE], tags=["hide-input"]), "the code of this figure"),
        (cell("1", [{"text/plain": "1"}], tags=["hide-input"]), "the code"),
    ],
)
def test_what_is_folded(one, folded):
    cells.fold(nbformat.v4.new_notebook(cells=[one]))
    assert one.metadata["tags"].count("hide-input") == bool(folded)
    if folded:
        assert one.metadata["mystnb"]["code_prompt_show"] == f"Show {folded}"


# docstrings, the library, the first page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max |S| and E*", r"max \|S\| and E\*"),
        ("`a|b` and ``c*``", "`a|b` and ``c*``"),
        ("ASW_-i, not w_i", r"ASW\_-i, not w_i"),
        ("see::\n\n    a | b\n\nand |c|", "see::\n\n    a | b\n\nand \\|c\\|"),
        (".. math:: a|b\n\nx*", ".. math:: a|b\n\nx\\*"),
        ("`game`s", "`game`\\ s"),
    ],
)
def test_docstrings_mean_what_they_say(text, expected):
    assert docstrings.escaped(text) == expected


def test_every_module_has_its_place_in_the_library(tmp_path):
    library.write(tmp_path)
    text = "\n".join(page.read_text("utf-8") for page in (tmp_path / "api").glob("*.rst"))
    overview = (tmp_path / "api/mechanism.rst").read_text("utf-8")
    assert overview.count("- :doc:`mechanism.") == len(library.packages()) - 1
    for path in (ROOT / "mechanism").rglob("*.py"):
        name = library.dotted(path.relative_to(ROOT)).removesuffix(".__init__")
        assert f".. automodule:: {name}\n" in text
    assert "Told in :doc:`/book/incentives/misreport`." in text
    assert (tmp_path / "tests/theorems/test_misreport.rst").exists()


def test_first_page_counts_the_last_build(tmp_path, monkeypatch):
    claims = [
        {"status": "holds", "controls": [{"noticed": True}, {"noticed": False}]},
        {"status": "violated", "controls": [{"noticed": True}]},
    ]
    (tmp_path / "claims.json").write_text(json.dumps({"claims": claims}))
    monkeypatch.setattr(front, "CLAIMS", tmp_path / "claims.json")
    kept = {f"forecast_{name}": name for name in ("published", "met", "cells", "near")}
    monkeypatch.setattr(front, "glued", lambda chapter: kept)
    said = front.counts()
    assert (said["claims_held"], said["claims"]) == ("1", "2")
    assert (said["controls_noticed"], said["controls"]) == ("2", "3")
    assert (said["forecasts_met"], said["cells_met"]) == ("near", "met")


def test_no_figure_of_the_build_is_typed_on_the_first_page():
    text = (ROOT / "book/index.md").read_text("utf-8")
    assert not re.findall(r"\b\d+ of \d+\b", text)
    for name in ("claims_held", "controls_noticed", "cells_met", "forecasts_met", "version"):
        assert f"{{{{ {name} }}}}" in text


def test_a_picture_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    made = nbformat.v4.new_notebook(cells=[cell("plot()", [PICTURE])])
    nbformat.write(made, tmp_path / "one.ipynb")
    one = SimpleNamespace(notebook=tmp_path / "one.ipynb")
    monkeypatch.setattr(front, "chapter", lambda stem: one)
    assert front.picture("one", 1) == b"hello"
    with pytest.raises(ChapterError, match="picture 2 of one, which has 1"):
        front.picture("one", 2)


def test_citation_has_one_source():
    source = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    text = front.bibtex()
    assert f"version = {{{source['version']}}}" in text and source["title"] in text
    assert "arXiv:2405.16276" in text and text.count("@") == 2
    assert text.count("{") == text.count("}")


def test_pictures_need_words_of_their_own():
    long = "What to see in this picture, in so many words that it helps who cannot see it."

    def faults(*alts):
        cells_ = [cell("p()", [PICTURE] * n, mystnb={"image": {"alt": alt}}) for alt, n in alts]
        return list(cells.without_words(nbformat.v4.new_notebook(cells=cells_), set()))

    assert faults((long, 1), (f"{long} a | {long} b", 2)) == []
    assert "two pictures" in faults((long, 1), (long, 1))[0]
    assert "too little" in faults(("a plot", 1))[0]
    assert "2 pictures and 1" in faults((long, 2))[0]


def test_a_site_with_a_picture_without_words_is_not_built(tmp_path):
    made = nbformat.v4.new_notebook(cells=[cell("plot()", [PICTURE])])
    nbformat.write(made, tmp_path / "one.ipynb")
    with pytest.raises(ChapterError, match="part/one: an alternative text says too little"):
        cells.fold_files({"part/one": tmp_path / "one.ipynb"})


def test_seconds_are_known_only_after_a_run():
    from tools.execution import seconds

    assert seconds(Chapter("book/no/such_chapter")) is None
