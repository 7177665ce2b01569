"""What staging adds to the pages: folded cells, the library's pages, the first page."""

import json
import re
from types import SimpleNamespace

import nbformat
import pytest
import yaml

from tools.chapters import ROOT, Chapter, ChapterError
from tools.pages import cells, docstrings, front, library

PICTURE = {"image/png": "aGVsbG8="}
TABLE = {"text/html": "<table><tr><td>1</td></tr></table>"}


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


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
        (cell("\n".join(["x = 1"] * 7), [TABLE]), "the code of this table"),
        (cell("\n".join(["x = 1"] * 6), [TABLE]), None),
        (cell("plot()", [PICTURE]), "the code of this figure"),
        (cell("plot()", [PICTURE], tags=["hide-input"]), "the code of this figure"),
        (cell("1", [{"text/plain": "1"}], tags=["hide-input"]), "the code"),
        (cell("plot()", [PICTURE], tags=["hide-output"]), "the {type} of this figure"),
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
