"""What one setting turns on in the pages, and what their notebooks say in place of roles."""

import functools
import re
import shutil

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from tests.book.book_project import page, write_project
from tools import site
from tools.chapters import ROOT, Chapter, ChapterError
from tools.downloads import links, notebooks, prose, repository
from tools.execution import execute

URL = "https://github.com/someone/else"
LIBRARY = {  # pages made from the library, and the file that is edited
    "api/mechanism.core": "mechanism/core/__init__.py",
    "tests/theorems/test_gradient": "tests/theorems/test_gradient.py",
}
TEXT = """
Numbers: {glue:text}`whole`, {glue:text}`rate:.1%`, {glue:text}`words`.

```{prf:theorem} Theorem 9
:label: thm-nine

$a \\le b$ by {cite}`first,second`.
```

{prf:ref}`thm-nine` of {cite:t}`second`; {doc}`this page <one>`, [again](one), {doc}`../index`.
"""
BIB = """
@book{first, author = {Kant, I. and M{\\"u}ller, A. and B, C.}, year = {1781},
  title = {A}, publisher = {P}}
@book{second, author = {Euler, Leonhard}, title = {B}, publisher = {P}, year = {1748}}
"""
CELL = """from myst_nb import glue
glue("whole", 7, display=False)
glue("rate", 0.123, display=False)
glue("words", "two words", display=False)"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of one executed chapter with the settings of the real one."""
    with pytest.MonkeyPatch.context() as patch:
        folder = write_project(tmp_path_factory.mktemp("project"))
        patch.chdir(folder)
        for name in ("requirements.txt", "constraints.txt"):
            (folder / name).write_text("")
        shutil.copy(ROOT / "_config.yml", folder)
        shutil.copytree(ROOT / "book/_static", folder / "book/_static", dirs_exist_ok=True)
        (folder / "book/references.bib").write_text(BIB)
        (folder / "book/index.md").write_text("# Start\n\n```{bibliography}\n```\n")
        (folder / "book/part/one.md").write_text(
            page(CELL).replace("```{code", TEXT + "\n```{code")
        )
        execute(Chapter("book/part/one"), [])
        yield folder


@functools.cache
def built(book, url):
    """Build the site with this setting, a package's and a test's page in it; return its folder."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["repository"]["url"] = url
    config |= {"only_build_toc_files": False, "exclude_patterns": []}
    (book / "_config.yml").write_text(yaml.safe_dump(config))
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    source, output = book / "staged", book / ("there" if url else "nowhere")
    site.stage(source, [Chapter("book/part/one")], toc)
    for name in LIBRARY:
        (source / name).parent.mkdir(parents=True)
        (source / f"{name}.rst").write_text(f":orphan:\n\nOne\n===\n\n{name}\n")
    return site.jupyter_book(source, output, "-W", "-n", "--keep-going")


def read(html, name="book/part/one"):
    return BeautifulSoup((html / f"{name}.html").read_text(), "html.parser")


def outside(soup):
    return {a["href"] for a in soup.find_all("a", href=True) if a["href"].startswith("http")}


def test_without_a_repository_no_button_leads_out(book):
    soup = read(built(book, ""))
    assert not any(re.search("github|binder|colab", link) for link in outside(soup))
    assert "../../_sources/book/part/one.ipynb" in {a["href"] for a in soup("a", href=True)}


def test_with_a_repository_every_button_leads_there(book):
    found = outside(read(built(book, URL)))
    path = "book/part/one.ipynb"
    assert {
        URL,
        f"{URL}/edit/main/book/part/one.md",
        f"https://mybinder.org/v2/gh/someone/else/notebooks?urlpath=lab/tree/{path}",
        f"https://colab.research.google.com/github/someone/else/blob/notebooks/{path}",
    } <= found
    assert any(link.startswith(f"{URL}/issues/new?title=Issue%20on%20page") for link in found)


@pytest.mark.parametrize("name", LIBRARY)
def test_pages_of_the_library_lead_to_their_source_or_nowhere(book, name):
    assert not outside(read(built(book, ""), name))
    found = outside(read(built(book, URL), name))
    assert f"{URL}/edit/main/{LIBRARY[name]}" in found and (ROOT / LIBRARY[name]).exists()
    assert any(link.startswith(f"{URL}/issues/new?title=Issue%20on%20page") for link in found)


def test_the_setting_is_a_github_address_or_empty():
    for wrong in ("github.com/a/b", "https://example.org/a/b", "https://github.com/a"):
        with pytest.raises(ChapterError, match=r"repository\.url"):
            repository.read({"repository": {"url": wrong}})
    assert repository.read({"repository": {"url": f"{URL}/"}}).url == URL
    assert repository.read({}).archive == ""


def test_the_notebook_reads_as_the_page(book):
    soup = read(built(book, ""))
    made = nbformat.read(book / "_build/nb/part/one.ipynb", as_version=4)
    copy = notebooks.portable(made, "book/part/one", prose.gather(book), "paper,report", URL)
    assert [output for cell in copy.cells for output in cell.get("outputs", [])] == []
    text = next(cell.source for cell in copy.cells if "Numbers" in cell.source)
    assert "Numbers: 7, 12.3%, two words." in text
    shown = soup.find("article").get_text(" ")
    numbers = re.search("Numbers: .*", text)[0]
    assert re.sub(r"\s", "", numbers) in re.sub(r"\s", "", shown)
    assert "> **Theorem 9**\n>\n> $a \\le b$ by [Kant et al., 1781; Euler, 1748]." in text
    assert "Theorem 9 of Euler [1748]; [this page](one.ipynb), [again](one.ipynb), Start." in text
    assert not re.search(r"\{[a-z:]+\}`|myst_nb", "".join(cell.source for cell in copy.cells))


def test_the_first_cell_says_what_is_missing(monkeypatch, tmp_path):
    cell = notebooks.install_cell("paper,report", "")
    ran = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.run", lambda command, check: ran.append(command[-1]))
    exec(cell, {})
    assert ran == []  # all is installed here
    lacking = cell.replace('"mechanism.places"', '"mechanism.gone", "absent.module"')
    with pytest.raises(ModuleNotFoundError, match=r"notebooks\.zip.*\[paper,report\]"):
        exec(lacking, {})
    archive = repository.Repository(URL).archive
    exec(lacking.replace(', "")', f', "{archive}")'), {})
    assert ran == [f"mechanism[paper,report] @ {URL}/archive/refs/heads/main.zip"]
    wheel = tmp_path / f"mechanism-{notebooks.project(ROOT)['version']}-py3-none-any.whl"
    wheel.touch()
    (tmp_path / "book/part").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book/part")
    exec(lacking, {})
    assert ran[-1] == f"mechanism[paper,report] @ {wheel.as_uri()}"


def test_an_absent_download_is_not_offered(tmp_path):
    text = (
        '<ul><li><p><a class="x" href="../_static/notebooks.zip">all notebooks</a> (5 MB)</p></li>'
        '<li><p><a href="../_static/mechanism-book.pdf">PDF</a></p></li></ul>'
        '<p><a href="../_static/mechanism-book.pdf"><b>PDF</b></a>, <a href="game/x.html">x</a></p>'
    )
    shown, static = tmp_path / "index.html", tmp_path

    def offered():
        links.offer(shown, static)
        without = re.sub("<!--.*?-->", "", shown.read_text())
        return re.findall(r'href="(?:\.\./_static/)?([\w./-]+)"', without), without.count("<li>")

    shown.write_text(text)
    assert offered() == (["game/x.html"], 0)
    (static / "notebooks.zip").touch()
    assert offered() == (["notebooks.zip", "game/x.html"], 1)
    (static / "mechanism-book.pdf").touch()
    assert offered() == (["notebooks.zip", *["mechanism-book.pdf"] * 2, "game/x.html"], 2)
    assert shown.read_text() == text
    assert offered()[1] == 2
