"""What the repository must look like: chapters, modules and tests, and what the guides name."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tools.chapters import (
    ROOT,
    find_chapters,
    toc_docnames,
)


def test_contents_and_pages_agree():
    pages = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "book").rglob("*.md")}
    named = toc_docnames()
    assert len(named) == len(set(named))
    assert {Path(name) for name in named} == pages


def test_a_stem_names_one_chapter():
    stems = [Path(name).name for name in toc_docnames()]
    assert len(stems) == len(set(stems))


ROOMS = ("core", "theorems", "experiments", "experiments/published", "llm/rewards", "tool", "")


# pages on one pipeline: their modules are rooms, a module each would only repeat these; and a page
# that is a figure to play with
PAGES_OF_ROOMS = {
    "try_to_cheat": "figures/try_to_cheat",
    "llm_training": "llm/training",
    "llm_payments": "payments",
    "llm_limits": "tables",
}


IN_A_PART = [chapter for chapter in find_chapters() if chapter.docname.count("/") == 2]


@pytest.mark.parametrize("chapter", IN_A_PART, ids=lambda chapter: chapter.stem)
def test_chapter_has_module_and_test_of_the_same_stem(chapter):
    rooms = [ROOT / "mechanism" / room for room in ROOMS]
    modules = [room / PAGES_OF_ROOMS.get(chapter.stem, chapter.stem) for room in rooms]
    assert any(path.with_suffix(".py").exists() or path.is_dir() for path in modules)
    assert len(list((ROOT / "tests").rglob(f"test_{chapter.stem}.py"))) == 1


@pytest.mark.parametrize("chapter", find_chapters(), ids=lambda chapter: chapter.stem)
def test_chapter_can_be_run_with_another_seed(chapter):
    import jupytext

    cells = jupytext.read(ROOT / chapter.source).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assigned = [node for node in ast.parse(tagged[0].source).body if isinstance(node, ast.Assign)]
    assert "seed" in {target.id for node in assigned for target in node.targets}


def test_no_path_of_one_machine():
    roots = "|".join(["home", "Users", "root", "work", "tmp"])
    pattern = rf"(^|[^A-Za-z0-9_.])/({roots})/"
    command = ["git", "grep", "-nIE", pattern, "--", ".", ":!constraints.txt"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("not a git checkout")
    assert found.stdout == ""


def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == phony


GUIDES = ["README.md", "CONTRIBUTING.md", *sorted(str(c.source) for c in find_chapters())]
FOLDERS = "mechanism|tests|tools|benchmarks|book"


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module holds."""
    path = ROOT / name.replace(".", "/")
    owner = path.parent
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    return owner.with_suffix(".py").exists() and path.name in owner.with_suffix(".py").read_text()


def absent(text: str) -> list[str]:
    """Return the paths and the modules that a text names and that are not there."""
    paths = re.findall(rf"[`(]((?:{FOLDERS})/[\w/.-]*\w/?)[`)]", text)
    modules = re.findall(r"`(mechanism(?:\.\w+)+)`", text)
    modules += re.findall(r"python -m ((?:mechanism|tools)(?:\.\w+)+)", text)
    gone = [path for path in paths if not (ROOT / path).exists()]
    return gone + [name for name in modules if not exists(name)]


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_names_is_there(guide):
    assert absent((ROOT / guide).read_text()) == []


def test_what_is_not_there_is_noticed():
    text = "`tests/conftest.py` `mechanism/gone.py` `mechanism.core.gone` `mechanism.llm`"
    assert absent(text) == ["mechanism/gone.py", "mechanism.core.gone"]


SOURCES = sorted(
    path for room in ("mechanism", "tools", "tests") for path in Path(ROOT, room).rglob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_longer_than_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


def test_no_folder_has_more_than_15_modules():
    folders = {path.parent for path in SOURCES}
    sizes = {str(folder): len(list(folder.glob("[!_]*.py"))) for folder in folders}
    assert max(sizes.values()) <= 15, sizes


def test_pytest_skips_no_folder_of_tests(pytestconfig):
    skipped = set(pytestconfig.getini("norecursedirs"))
    assert not skipped & {folder.name for folder in (ROOT / "tests").iterdir()}


def test_every_recorded_command_can_be_run_again():
    texts = [path.read_text() for path in (ROOT / "results").rglob("*.json")]
    commands = {name for text in texts for name in re.findall(r"python -m ([\w.]+)", text)}
    assert commands and all(exists(name) for name in commands)


def test_every_text_file_is_opened_with_its_encoding():
    """Where Python's own default is ASCII, text of the project must be read all the same."""
    calls = {"read_text": 1, "write_text": 2, "open": 3}
    for path in [
        *(ROOT / "mechanism").rglob("*.py"),
        *(ROOT / "tools").glob("*.py"),
        ROOT / "dodo.py",
    ]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            owner = ast.unparse(getattr(node.func, "value", ast.Name("")))
            given = {keyword.arg for keyword in node.keywords} | {
                a.value for a in node.args if isinstance(a, ast.Constant)
            }
            binary = any(isinstance(g, str) and set(g) <= set("rwab") and "b" in g for g in given)
            own = owner in ("folders", "tarfile", "os") or (path.name, name) == (
                "folders.py",
                "write_text",
            )
            if name in calls and not (binary or own):
                assert given & {"encoding", "utf-8"}, f"{path.name}:{node.lineno}"
