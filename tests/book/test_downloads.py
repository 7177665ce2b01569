"""Downloaded notebooks run where only the wheel is, and read well where no Sphinx is."""

import re
import subprocess

import jupytext
import nbformat
import pytest
import yaml

from tests.book import bare_environment
from tools.chapters import ROOT, Chapter, find_chapters
from tools.dependencies import import_graph
from tools.downloads import notebooks, prose
from tools.downloads.wheel import build_wheel

BUILD_ONLY = ("myst_nb", "jupyter_book", "sphinx", "jupytext", "pytest", "tools")
SHORT = ("book/game/rlhf_game", "book/practice/your_own_models")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def environments(wheel, tmp_path_factory):
    """Make an environment for each set of extras, once."""
    made = {}

    def of(extras):
        if extras not in made:
            folder = tmp_path_factory.mktemp("bare") / "environment"
            made[extras] = bare_environment.make(folder, wheel, extras)[0]
        return made[extras]

    return of


@pytest.fixture(scope="session")
def graph():
    return import_graph()


def run(chapter, graph, environments, empty):
    """Run a chapter's portable copy, made from its source, in an empty folder."""
    needed = notebooks.extras(chapter, graph)
    source = jupytext.read(ROOT / chapter.source)
    copy = notebooks.portable(source, chapter.docname, prose.gather(ROOT), needed)
    nbformat.write(copy, empty / "in.ipynb")
    python, variables = environments(needed), bare_environment.variables(empty)
    check = f"import importlib.util as u; print([n for n in {BUILD_ONLY} if u.find_spec(n)])"
    found = subprocess.run([python, "-c", check], cwd=empty, env=variables, capture_output=True)
    assert found.stdout == b"[]\n", found
    command = [python, "-m", "papermill", "in.ipynb", "out.ipynb", "-k", "python3"]
    done = subprocess.run(command, cwd=empty, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    left = {path.name for path in empty.iterdir() if not path.name.startswith(".")}
    assert left == {"in.ipynb", "out.ipynb"}


@pytest.mark.parametrize("docname", SHORT)
def test_a_short_notebook_runs_with_the_wheel_alone(
    docname, graph, environments, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    run(Chapter(docname), graph, environments, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", find_chapters(), ids=lambda chapter: chapter.stem)
def test_every_notebook_runs_with_the_wheel_alone(
    chapter, graph, environments, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    run(chapter, graph, environments, tmp_path)


@pytest.mark.slow
def test_the_workflow_installs_what_its_fast_tests_import(wheel, tmp_path):
    """What the matrix over Pythons runs is collected with the packages that it installs alone."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())
    run = workflow["jobs"]["library"]["steps"][-1]["run"]
    extras, others = re.search(r'pip install "\.\[(.+?)\]" (.+)', run).groups()
    python, _ = bare_environment.make(tmp_path / "environment", wheel, extras)
    site = next((tmp_path / "environment").glob("lib/python*/site-packages"))
    bare_environment.link(bare_environment.closure(others.split()).values(), site)
    asked = run.partition("python -m pytest -q")[2].replace("\\\n", " ").split()
    command = [python, "-m", "pytest", "--collect-only", "-q", "-n", "0", *asked]
    variables = bare_environment.variables(tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
