"""The build: what a page must have, what a chapter depends on, how it runs, what is staged."""

import shutil
import subprocess
from pathlib import Path

import grimp
import nbformat
import pytest
import yaml

from tests.book.book_project import PICTURE, page, write_project
from tools import site
from tools.chapters import (
    LONG,
    ROOT,
    Chapter,
    ChapterError,
    all_notebooks,
    find_chapters,
    is_notebook,
    longest_first,
)
from tools.dependencies import (
    closure,
    code_cells,
    dependencies,
    import_graph,
    imported_names,
    module_name,
)
from tools.execution import comparison, environment, execute, failed, faults, seconds


def notebook(*cells: tuple[str, list]) -> nbformat.NotebookNode:
    made = nbformat.v4.new_notebook()
    for number, (source, outputs) in enumerate(cells, start=1):
        made.cells.append(
            nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=number)
        )
    return made


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name=name, text=text)


# what a chapter depends on


def test_imported_names():
    code = "import a.b as c\nfrom d import e\nfrom f.g import h\ndef run():\n    import i"
    assert imported_names(code) == {"a.b", "d", "d.e", "f.g", "f.g.h", "i"}


def test_closure_follows_imports_and_packages(tmp_path, monkeypatch):
    files = {
        "zoo/__init__.py": "",
        "zoo/one.py": "from zoo.far import deep",
        "zoo/far/__init__.py": "from zoo import side",
        "zoo/far/deep.py": "",
        "zoo/side.py": "def later():\n    from zoo import lazy",
        "zoo/lazy.py": "",
        "zoo/apart.py": "import zoo.one",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("zoo", cache_dir=None)
    reached = {"zoo", "zoo.one", "zoo.far", "zoo.far.deep", "zoo.side", "zoo.lazy"}
    assert closure({"zoo.one", "numpy"}, graph) == reached
    assert closure({"numpy"}, graph) == set()


def test_dependencies_of_a_chapter(monkeypatch):
    monkeypatch.chdir(ROOT)
    graph = import_graph()
    for chapter in all_notebooks():
        needed = dependencies(chapter, graph)
        assert chapter.source in needed
        assert Path("mechanism/data/published_tables.csv") in needed
        names = imported_names("\n".join(code_cells(chapter.source)))
        direct = names & {module_name(path) for path in Path("mechanism").rglob("*.py")}
        assert direct <= {module_name(path) for path in needed if path.suffix == ".py"}


def test_unreadable_imports_depend_on_every_module(project):
    (project / "mechanism").mkdir()
    (project / "mechanism/broken.py").write_text("def")
    assert Path("mechanism/broken.py") in dependencies(Chapter("book/part/one"), None)


def test_a_run_made_here_makes_its_chapter_run_again(project):
    for name in ("runs/llm/finished/tiny/provenance.json", "mechanism/llm/runs/record.py"):
        chapter = Chapter("book/part/one")
        made = Path("runs/llm/finished/tiny/provenance.json")
        assert made not in dependencies(chapter, None)  # nothing made, or nobody reads it
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text("{}")
    assert made in dependencies(chapter, None)


def test_a_run_made_elsewhere_makes_its_chapter_run_again(project, monkeypatch):
    made = project / ".hidden" / "elsewhere" / "finished" / "tiny" / "provenance.json"
    for path in (made, project / "mechanism/llm/runs/record.py"):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    monkeypatch.setenv("MECHANISM_RUNS", str(project / ".hidden" / "elsewhere"))
    assert made in dependencies(Chapter("book/part/one"), None)


# how a chapter is executed


def test_execution_stores_outputs_without_timings(project, forked):
    chapter = Chapter("book/part/one")
    execute(chapter, [chapter.source])
    stored = nbformat.read(chapter.notebook, as_version=4)
    assert stored.cells[-1].outputs[0].data["text/plain"] == "2"
    assert "papermill" not in stored.metadata
    assert not chapter.report.exists()
    assert faults(chapter) == []


RUN_TWICE = (
    "from pathlib import Path\nlog = Path('runs')\nlog.open('a').write('x')\nlen(log.read_text())"
)


def executed(folder, *cells):
    """Write the book with a chapter of these cells into a folder, run it there, and return it."""
    chapter = Chapter("book/part/one")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(write_project(folder))
        chapter.source.write_text(page(*cells))
        execute(chapter, [chapter.source])
    return folder


@pytest.fixture(scope="module")
def run_once(tmp_path_factory, forked):
    """The book after the first run of a chapter that counts its runs."""
    return executed(tmp_path_factory.mktemp("once"), RUN_TWICE)


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        (lambda text: text + "\nMore prose.\n", 1),
        (lambda text: text.replace("ipython3\n", "ipython3\n:tags: [hide-input]\n\n"), 1),
        (lambda text: text + "\n```{code-cell} ipython3\n1 + 1\n```\n", 2),
        (lambda text: text.replace("len(", "4 + len("), 2),
        (lambda text: text.replace("ipython3\n", "ipython3\n:tags: [raises-exception]\n\n"), 2),
    ],
    ids=["prose", "a tag", "a new cell", "code", "an error allowed"],
)
def test_a_page_runs_again_only_for_its_code(project, forked, run_once, change, runs):
    chapter = Chapter("book/part/one")
    shutil.copytree(run_once, project, dirs_exist_ok=True)
    chapter.source.write_text(change(chapter.source.read_text()))
    execute(chapter, [chapter.source])
    assert len((project / "book/part/runs").read_text()) == runs
    stored = nbformat.read(chapter.notebook, as_version=4)
    assert stored.cells[1].outputs[0].data["text/plain"] in (str(runs), str(4 + runs))
    assert faults(chapter) == [] and seconds(chapter) > 0
    assert ("More prose." in stored.cells[-1].source) == (
        "More prose." in chapter.source.read_text()
    )


def test_a_page_runs_again_when_what_it_uses_has_changed(project, forked):
    chapter, data = Chapter("book/part/one"), Path("data.csv")
    chapter.source.write_text(page(RUN_TWICE))
    for number in (1, 2):
        data.write_text(str(number))
        execute(chapter, [chapter.source, data])
    assert len((project / "book/part/runs").read_text()) == 2


def test_failure_names_chapter_cell_line_and_error(project, forked):
    chapter = Chapter("book/part/one")
    chapter.source.write_text(page("1 + 1", "value = 3\nvalue / 0"))
    chapter.notebook.parent.mkdir(parents=True)
    chapter.notebook.write_text("the last good one")
    with pytest.raises(ChapterError) as failed:
        execute(chapter, [chapter.source])
    message = str(failed.value)
    assert message.startswith("book/part/one.md failed in code cell 2 of 2, line 13")
    assert "    value / 0" in message
    assert "ZeroDivisionError: division by zero" in message
    assert chapter.report.exists()
    assert chapter.notebook.read_text() == "the last good one"


def test_dead_kernel_names_the_cell(project, forked):
    chapter = Chapter("book/part/one")
    chapter.source.write_text(page("1 + 1", "import os\nos._exit(3)"))
    with pytest.raises(ChapterError, match=r"in code cell 2 of 2, line 13[\s\S]*Kernel died"):
        execute(chapter, [chapter.source])


def test_a_kernel_that_dies_before_a_word_is_seen():
    cell = nbformat.v4.new_code_cell("1 + 1", metadata={"papermill": {"status": "completed"}})
    assert failed(cell)
    cell.metadata["execution"] = {"shell.execute_reply": "now"}
    assert not failed(cell)


def test_change_during_the_run_is_noticed(project, forked):
    chapter = Chapter("book/part/one")
    chapter.source.write_text(page("open('one.md', 'a').write('more')"))
    with pytest.raises(ChapterError, match="changed while it ran"):
        execute(chapter, [chapter.source])


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (notebook(("1 + 1", [])), "compare nothing"),
        (notebook(("1", [stream("1")]), ("2", [stream("oh", "stderr")])), "standard error"),
    ],
)
def test_faults(project, made, fault):
    chapter = Chapter("book/part/one")
    chapter.notebook.parent.mkdir(parents=True)
    nbformat.write(made, chapter.notebook)
    assert fault in " ".join(faults(chapter))


AGREE = {
    "seeded": "import random\nrandom.Random(1).random()",
    "semicolon": "value = object()\nvalue;",
    "picture": PICTURE.format("0.5"),
}
DIFFER = {
    "unseeded": "import random\nrandom.random()",
    "unseeded picture": PICTURE.format("random.random()"),
}


@pytest.fixture(scope="module")
def second_runs(tmp_path_factory, forked, chapters_served_again):
    """What a second run says of a chapter whose cells agree, and of one whose cells do not."""
    said, variables = [], environment() | chapters_served_again
    for cells in (AGREE, DIFFER):
        made = executed(tmp_path_factory.mktemp("twice"), *cells.values())
        words = comparison([made / Chapter("book/part/one").notebook], "-n", "0")
        ran = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True)
        said.append((ran.returncode, ran.stdout))
    return said


@pytest.mark.parametrize("name", [*AGREE, *DIFFER])
def test_second_run_notices_chance(second_runs, name):
    differs, number = name in DIFFER, list(DIFFER if name in DIFFER else AGREE).index(name)
    code, said = second_runs[differs]
    assert code == differs and (f"Cell {number}: Cell outputs differ" in said) == differs, said


# what is staged and how the site's problems are told


def test_staged_book_has_nothing_to_execute(project):
    chapter = Chapter("book/part/one")
    chapter.notebook.parent.mkdir(parents=True)
    nbformat.write(notebook(("1", [stream("1")])), chapter.notebook)
    into = Path("staged")
    site.stage(into, [chapter], yaml.safe_load(Path("_toc.yml").read_text()))
    files = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
    book = {"book/index.md", "book/part/one.ipynb", "book/_static/a.css"}
    assert files == book | {"_config.yml", "_toc.yml"}
    config = yaml.safe_load((into / "_config.yml").read_text())
    assert config == {"title": "T", "execute": {"execute_notebooks": "off", "timeout": 5}}


def test_contents_must_exist(project):
    assert find_chapters(project) == [Chapter("book/part/one")]
    assert not is_notebook(project / "book/index.md")
    (project / "book/part/one.md").unlink()
    with pytest.raises(ChapterError, match=r"_toc\.yml names book/part/one"):
        find_chapters(project)


def test_long_chapters_are_begun_first_and_none_is_lost():
    chapters = find_chapters()
    ordered = longest_first(chapters)
    assert {chapter.name for chapter in ordered[: len(LONG)]} == set(LONG)
    assert sorted(ordered, key=chapters.index) == chapters


def test_problems_name_the_file_that_is_edited(project):
    staged = Path("staged")
    root = f"{staged.resolve()}/book/part"
    log = f"reading\n{root}/one.ipynb:30002: WARNING: no such label: 'x'\n"
    log += f"{root}/one.ip.rst: WARNING: duplicate, other instance in book/two.ipynb\n"
    assert site.readable_problems(log, staged) == [
        "  book/part/one.md, cell 3, line 2: WARNING: no such label: 'x'",
        "  book/part/one.md: WARNING: duplicate, other instance in book/two.md",
    ]
