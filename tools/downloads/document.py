"""The built pages as one document for print: title, contents, then every page of the contents."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from urllib.parse import unquote, urldefrag

import yaml
from bs4 import BeautifulSoup, Tag

from tools.chapters import ROOT
from tools.pages.tables import SCROLLS
from tools.release import newest, project

STYLE = Path(__file__).with_name("print.css")
PAPER = "https://arxiv.org/abs/2405.16276"
COLOURED = re.compile("[kcs]")  # what is printed in colour: keywords, comments, strings
DROPPED = "script, style, a.headerlink, .d-print-none, button, input, dialog"


@dataclass(frozen=True)
class Page:
    """A page of the book: its name, its part in the contents, and what stands on it."""

    docname: str
    part: str
    article: Tag

    @property
    def title(self) -> str:
        """Its first heading, number included."""
        heading = self.article.find("h1")
        return heading.get_text().strip().rstrip("#") if heading else self.docname


def parts(root: Path = ROOT) -> list[tuple[str, list[str]]]:
    """Return the parts of the contents, each with its pages; the first page's part has no name."""
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    named = [
        (part["caption"], [docname for entry in part["chapters"] for docname in files(entry)])
        for part in contents.get("parts", [])
    ]
    alone = [docname for entry in contents.get("chapters", []) for docname in files(entry)]
    return [("", [contents["root"], *alone]), *named]


def files(entry: dict) -> Iterator[str]:
    """Yield the page of an entry of the contents, and those below it."""
    yield entry["file"]
    for below in entry.get("sections", []):
        yield from files(below)


def read_pages(html: Path, root: Path = ROOT) -> list[Page]:
    """Read the built pages in the order of the contents."""
    found = []
    for part, docnames in parts(root):
        for docname in docnames:
            text = (html / f"{docname}.html").read_text(encoding="utf-8")
            article = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
            found.append(Page(docname, part, article))
    return found


def anchor(docname: str, identifier: str = "") -> str:
    """Return the name that a place has in the whole document."""
    return f"{docname}--{identifier}" if identifier else docname


def settle(page: Page, html: Path, names: set[str]) -> None:
    """Let links, pictures and anchors of a page mean the same in the whole document."""
    folder = (html / page.docname).parent
    for tag in page.article.select(DROPPED):
        tag.decompose()
    for tag in page.article.select("details"):
        if "hide" not in tag.get("class", []):
            tag["open"] = ""
        elif tag.select_one(".cell_output"):  # a folded picture is printed, without its code
            tag.replace_with(tag.select_one(".cell_output"))
        else:
            tag.decompose()  # folded code: paper cannot unfold it
    for tag in page.article.select(".highlight span[class]"):
        if not COLOURED.match(tag["class"][0]):
            tag.unwrap()  # every span is an object in the PDF, and there are 100,000
    for tag in page.article.select("table.dataframe caption span"):
        tag.string = tag.get_text().replace(SCROLLS, "")
    for tag in page.article.find_all(id=True):
        tag["id"] = anchor(page.docname, tag["id"])
    for tag in page.article.find_all(src=True):
        tag["src"] = (folder / unquote(tag["src"])).resolve().as_uri()
    for tag in page.article.find_all("a"):
        target = inner(tag.get("href", ""), page.docname, names)
        if target is None:
            tag.unwrap()  # leads to what is no part of the document
        else:
            tag["href"] = target


def inner(href: str, docname: str, names: set[str]) -> str | None:
    """Return where a link leads in the whole document; None where it leads out of it."""
    if "://" in href or href.startswith("mailto:"):
        return href
    path, identifier = urldefrag(href)
    if path:
        docname = os.path.normpath(Path(docname).parent / unquote(path)).removesuffix(".html")
    return "#" + anchor(docname, identifier) if docname in names else None


def contents(pages: list[Page]) -> str:
    """Return the list of all pages; the numbers are filled in once they are known."""
    lines, part = [], ""
    for page in pages:
        if page.part != part:
            part = page.part
            lines.append(f'<li class="part">{escape(part)}</li>')
        lines.append(
            f'<li><a href="#{page.docname}"><span>{escape(page.title)}</span>'
            f'<span class="number" data-page="{page.docname}">000</span></a></li>'
        )
    return f'<nav class="contents"><h1>Contents</h1><ul>{"".join(lines)}</ul></nav>'


def title_page(pages: list[Page]) -> str:
    """Return the first page: title, version, the paper that it is about, what print leaves out."""
    about = project(ROOT)
    day = date.fromisoformat(newest(ROOT)["date"] or date.today().isoformat())
    return f"""
    <section class="front">
      <h1>{escape(pages[0].title)}</h1>
      <p>{escape(about["description"])}</p>
      <p>Version {about["version"]} of {day:%d %B %Y} · {about["authors"][0]["name"]}
      · {about["license"]} licence</p>
      <p>On <a href="{PAPER}">Mechanism Design for LLM Fine-tuning with Multiple Reward Models</a>,
      NeurIPS 2025.</p>
      <p class="note">Printed from the pages of the site. Code that is folded there is left out
      here; it is in the notebooks.</p>
    </section>"""


def assemble(html: Path, root: Path = ROOT) -> tuple[str, list[Page]]:
    """Return the whole document as HTML, and its pages."""
    pages = read_pages(html, root)
    head = BeautifulSoup((html / f"{pages[0].docname}.html").read_text("utf-8"), "html.parser").head
    folder, names = (html / pages[0].docname).parent, {page.docname for page in pages}
    for page in pages:
        settle(page, html, names)
    styles = [
        f'<link rel="stylesheet" href="{(folder / urlless(link["href"])).resolve().as_uri()}">'
        for link in head.find_all("link", rel="stylesheet")
    ]
    mathematics = [str(tag) for tag in head.find_all("script") if "window.MathJax" in tag.text]
    loader = head.find("script", src=lambda source: source and "mathjax" in source)
    source = (folder / urlless(loader["src"])).resolve().as_uri()
    body = [title_page(pages), contents(pages)]
    part = ""
    for page in pages:
        opened = f'<p class="part">{escape(page.part)}</p>' if page.part != part else ""
        part = page.part
        body.append(f'<section class="page" id="{page.docname}">{opened}{page.article}</section>')
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{escape(pages[0].title)}</title>{"".join(styles)}'
        f"<style>{STYLE.read_text('utf-8')}</style>{''.join(mathematics)}"
        f'<script defer src="{source}"></script></head><body>{"".join(body)}</body></html>'
    ), pages


def urlless(href: str) -> str:
    """Return the path of a link without its query."""
    return unquote(href.partition("?")[0])
