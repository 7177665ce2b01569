"""Print the book as one PDF with Chromium: `make pdf`.

The pages of the site become one document, so that the links between them, the bookmarks and the
page numbers are Chromium's own. It is printed twice: the contents need the numbers of the first.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Destination

from tools import browser
from tools.chapters import ROOT, ChapterError
from tools.downloads import links
from tools.downloads.document import Page, assemble
from tools.release import project

logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium miscounts its objects
NAME = "mechanism-book.pdf"
WIDTH, HEIGHT = 658, 976  # of the text on A4 in CSS pixels: what is wider is made smaller
FOOTER = """<div style="width: 100%; font-size: 8px; color: #555; padding: 0 18mm; display: flex;
justify-content: space-between"><span class="title"></span><span class="pageNumber"></span></div>"""
LEAST = 0.5  # smaller than that nobody reads a table
SHRINK = """([width, least]) => {
  const broad = part => Math.max(part.scrollWidth, part.getBoundingClientRect().width);
  for (const table of document.querySelectorAll("table.dataframe"))  // words first go on a new line
    if (broad(table) > table.parentElement.getBoundingClientRect().width + 1)
      for (const cell of table.querySelectorAll("tbody :is(th, td)"))
        if (cell.textContent.trim().length > 20)
          Object.assign(cell.style, {whiteSpace: "normal", minWidth: "9em"});
  const wholes = "table, mjx-container[display=true], .cell_output, img";
  for (const part of document.querySelectorAll(wholes)) {
    const wide = broad(part);
    const room = part.parentElement.getBoundingClientRect().width;
    if (wide > room + 1 && room > 0) part.style.zoom = room / wide;
  }
  const over = [...document.querySelectorAll(".page *")].filter(
    part => part.getBoundingClientRect().right > width + 2 && !part.closest("mjx-assistive-mml"));
  const small = [...document.querySelectorAll("table")].filter(
    table => table.style.zoom && table.style.zoom < least);
  const named = part => part.closest(".page").id + " " + part.outerHTML.slice(0, 80);
  return {"wider than the paper": over.map(named), "a table too small to read": small.map(named)};
}"""
NUMBER = """numbers => {
  for (const place of document.querySelectorAll("[data-page]"))
    place.textContent = numbers[place.dataset.page];
}"""


def publish(html: Path) -> None:
    """Print the built site into itself, and offer the PDF on its first page."""
    count = print_book(html, html / "_static" / NAME)
    links.offer(html / "book" / "index.html", html / "_static")
    size = (html / "_static" / NAME).stat().st_size / 1e6
    print(f"  {html / '_static' / NAME}: {count} pages, {size:.1f} MB", flush=True)


def print_book(html: Path, into: Path) -> int:
    """Print the built site into a file; return the number of its pages."""
    path = browser.find() or browser.install()
    if path is None:
        raise ChapterError("make pdf needs Chromium: install chromium or google-chrome")
    text, pages = assemble(html)
    print(f"  printing   the book, {len(pages)} pages of the site", flush=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=browser.options())
        return print_document(started, text, pages, into)


def print_document(chromium: Browser, text: str, pages: list[Page], into: Path) -> int:
    """Print an assembled document into a file; return the number of its sheets."""
    with tempfile.TemporaryDirectory() as name:
        document, draft = Path(name, "book.html"), Path(name, "draft.pdf")
        document.write_text(text, encoding="utf-8")
        tab = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        typeset(tab, document)
        printed(tab, draft)
        tab.evaluate(NUMBER, starts(PdfReader(draft), pages))
        printed(tab, draft)
        tab.close()
        return finish(draft, into, pages)


def typeset(tab: Tab, document: Path) -> None:
    """Open the document, wait for its mathematics and pictures, make smaller what is too wide."""
    tab.emulate_media(media="print")
    tab.goto(document.as_uri(), wait_until="load", timeout=120_000)
    tab.wait_for_function("() => window.MathJax?.startup?.promise", timeout=60_000)
    tab.evaluate("() => MathJax.startup.promise")
    for fault, places in tab.evaluate(SHRINK, [WIDTH, LEAST]).items():
        if places:
            raise ChapterError(f"{fault}:\n  " + "\n  ".join(places[:20]))


def printed(tab: Tab, file: Path) -> None:
    """Print what is open, with bookmarks from the headings and a number on each page."""
    tab.pdf(
        path=file, prefer_css_page_size=True, print_background=True, outline=True, tagged=True,
        display_header_footer=True, header_template="<span></span>", footer_template=FOOTER,
    )  # fmt: skip


def starts(reader: PdfReader, pages: list[Page]) -> dict[str, int]:
    """Return the number of the first sheet of every page of the book."""
    places = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    return {
        page.docname: reader.get_destination_page_number(places[page.docname]) + 1 for page in pages
    }


def finish(draft: Path, into: Path, pages: list[Page]) -> int:
    """Write the PDF with its metadata; refuse one whose links or bookmarks lead nowhere."""
    reader = PdfReader(draft)
    if faults := [*broken(reader), *unmarked(reader, pages)]:
        raise ChapterError("the PDF has problems:\n  " + "\n  ".join(faults))
    writer = PdfWriter(clone_from=reader)
    writer.add_metadata({"/Title": pages[0].title, "/Subject": project(ROOT)["description"]})
    writer.write(into)
    return len(reader.pages)


def broken(reader: PdfReader) -> Iterator[str]:
    """Yield every link that leads to a file of this machine, or to a place that is not there."""
    places = set(reader.named_destinations)
    for number, page in enumerate(reader.pages, start=1):
        for note in page.get("/Annots", ()):
            link = note.get_object()
            action = link.get("/A", {})
            if str(action.get("/URI", "")).startswith("file:"):
                yield f"page {number}: {action['/URI']}"
            aim = link.get("/Dest", action.get("/D"))
            if isinstance(aim, str) and aim not in places:
                yield f"page {number}: no place {aim}"


def unmarked(reader: PdfReader, pages: list[Page]) -> Iterator[str]:
    """Yield every page of the book that no bookmark names."""
    titles = {"".join(title.split()) for title in titles_of(reader.outline)}
    for page in pages:
        if "".join(page.title.split()) not in titles:
            yield f"no bookmark {page.title!r}"


def titles_of(outline: list) -> Iterator[str]:
    """Yield the titles of all bookmarks, those below others included."""
    for entry in outline:
        if isinstance(entry, Destination):
            yield str(entry.title)
        else:
            yield from titles_of(entry)
