"""The book as a PDF: three pages of the site printed, and what a spoiled print is refused for."""

import re

import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from tests.site.visits import SITE
from tools.chapters import ChapterError
from tools.downloads import document, pdf
from tools.pages.tables import SCROLLS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pdf")]
TOC = {
    "root": "book/index",
    "parts": [
        {"caption": "First", "chapters": [{"file": "book/game/rlhf_game"}]},
        {"caption": "Last", "chapters": [{"file": "book/notation"}, {"file": "book/bibliography"}]},
    ],
}


@pytest.fixture(scope="module")
def printed(chromium, tmp_path_factory):
    """The PDF of four pages of the site, and the pages."""
    folder = tmp_path_factory.mktemp("pdf")
    (folder / "_toc.yml").write_text(yaml.safe_dump(TOC))
    text, pages = document.assemble(SITE, folder)
    count = pdf.print_document(chromium, text, pages, folder / "book.pdf")
    reader = PdfReader(folder / "book.pdf")
    assert count == len(reader.pages)
    return reader, pages


def words(reader, number):
    return " ".join(reader.pages[number].extract_text().split())


def test_contents_name_the_sheet_where_each_page_begins(printed):
    reader, pages = printed
    listed = words(reader, 1)
    for page in pages:
        number = int(re.search(re.escape(page.title) + r" ?(\d+)", listed)[1])
        assert page.title in words(reader, number - 1)
        assert words(reader, number - 1).endswith(str(number))  # stamped at the foot


def test_bookmarks_links_and_formulas(printed):
    reader, pages = printed
    marked = {" ".join(title.split()) for title in pdf.titles_of(reader.outline)}
    assert {page.title for page in pages} <= marked and len(marked) > 3 * len(pages)
    first = pages[1].docname
    begin = pdf.starts(reader, pages)
    aims, outside = [], []
    for page in reader.pages[begin[first] - 1 : begin["book/notation"] - 1]:
        for note in page.get("/Annots", ()):
            link = note.get_object()
            aims.append(link.get("/Dest", link.get("/A", {}).get("/D")))
            outside.append(link.get("/A", {}).get("/URI"))
    places = [str(aim).lstrip("/") for aim in aims if aim]
    assert any(place.startswith("book/bibliography--") for place in places)
    assert any(place.startswith(f"{first}--") for place in places)
    assert not any(str(link).startswith("file:") for link in outside)
    text = "".join(page.extract_text() for page in reader.pages)
    assert "\\sum" not in text and "\\(" not in text and "∑" in text


def test_nothing_is_cut_at_the_right(printed):
    reader, _ = printed
    for page in reader.pages:
        right, begins = float(page.mediabox.right), []

        def keep(text, outer, inner, font, size, begins=begins):
            if text.strip():
                begins.append((inner[4] * outer[0] + inner[5] * outer[2] + outer[4], text))

        page.extract_text(visitor_text=keep)
        assert begins and max(begins)[0] < right - 40, max(begins)


def test_a_spoiled_print_is_refused(printed, tmp_path):
    reader, pages = printed
    writer = PdfWriter(clone_from=reader)
    dead = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/Link"),
            NameObject("/Dest"): TextStringObject("nowhere"),
        }
    )
    writer.pages[2].annotations.append(writer._add_object(dead))
    writer.add_annotation(3, Link(rect=(0, 0, 9, 9), url="file:///etc/hostname"))
    writer.write(tmp_path / "spoiled.pdf")
    absent = document.Page("book/gone", "", pages[0].article.__copy__())
    absent.article.find("h1").string = "A page without a bookmark"
    with pytest.raises(ChapterError) as refused:
        pdf.finish(tmp_path / "spoiled.pdf", tmp_path / "out.pdf", [*pages, absent])
    for fault in ("page 3: no place nowhere", "page 4: file:///etc/hostname", "without a bookmark"):
        assert fault in str(refused.value)
    assert not (tmp_path / "out.pdf").exists()


@pytest.fixture
def typeset(chromium, tmp_path):
    """Put a piece of a page as it is printed, and return the tab."""
    script = (SITE / "_static/mathjax/tex-chtml.js").resolve().as_uri()
    tab = chromium.new_page(viewport={"width": pdf.WIDTH, "height": pdf.HEIGHT})

    def put(piece):
        page = f'<section class="page" id="x"><h1>x</h1>{piece}</section>'
        (tmp_path / "one.html").write_text(f'<script defer src="{script}"></script>{page}')
        pdf.typeset(tab, tmp_path / "one.html")
        return tab

    yield put
    tab.close()


def test_what_is_wider_than_the_paper_is_refused(typeset):
    with pytest.raises(ChapterError, match=r"wider than the paper:\s+x <div"):
        typeset('<div style="width: 900px">wide</div>')


TABLE = '<table class="dataframe" style="white-space: nowrap"><tbody><tr>{}</tr></tbody></table>'


def test_long_words_of_a_table_take_more_lines_before_it_is_made_smaller(typeset):
    tab = typeset(TABLE.format("<td>0.25</td><td>" + 60 * "many words " + "</td>"))
    assert tab.evaluate("document.querySelector('table').style.zoom") == ""


def test_a_table_too_small_to_read_is_refused(typeset):
    with pytest.raises(ChapterError, match=r"a table too small to read:\s+x <table"):
        typeset(TABLE.format(60 * "<td>0.123456789</td>"))


def test_paper_says_nothing_of_scrolling():
    text = f"<caption><span>30 rows{SCROLLS}.</span></caption>"
    article = f'<article><table class="dataframe">{text}</table></article>'
    page = document.Page("book/a", "", BeautifulSoup(article, "html.parser").article)
    document.settle(page, SITE, set())
    assert page.article.get_text() == "30 rows."


def test_folded_code_is_left_out_and_a_folded_picture_is_not():
    fold = '<details class="hide"><summary>Show</summary>{}</details>'
    code, shown = '<div class="cell_input">x = 1</div>', '<div class="cell_output">drawn</div>'
    text = f"<article>{fold.format(code)}{fold.format(shown)}<details>told</details></article>"
    page = document.Page("book/a", "", BeautifulSoup(text, "html.parser").article)
    document.settle(page, SITE, set())
    assert str(page.article) == f'<article>{shown}<details open="">told</details></article>'


def test_links_lead_into_the_document_or_out_of_it():
    names, here = {"book/a/x", "book/index"}, "book/a/x"
    cases = {
        "https://example.org/#b": "https://example.org/#b",
        "#b": "#book/a/x--b",
        "../index.html": "#book/index",
        "../index.html#c": "#book/index--c",
        "../a/x.html": "#book/a/x",
        "../other.html": None,
        "../../_sources/book/a/x.ipynb": None,
    }
    assert {href: document.inner(href, here, names) for href in cases} == cases
