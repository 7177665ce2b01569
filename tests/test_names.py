"""Every module, test and chapter that a document names exists, and no room outgrows its reader."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").rglob("*.md"))]
FLOOR = ("core", "attack", "theorems", "controls", "certificates", "figures")
FILE = re.compile(
    r"(?<![\w/.-])((?:mechanism|tests|book|tools)/[\w/]+(?:\.(?:py|md|toml))?)(?![\w<*/.-])"
)
MODULE = re.compile(r"`(mechanism(?:\.\w+)+)`")


def missing_names(text):
    """Paths and dotted names in a text that stand for nothing."""
    paths = [name for name in FILE.findall(text) if not (ROOT / name).exists()]
    return paths + [name for name in MODULE.findall(text) if not resolves(name)]


def resolves(name):
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except ImportError:
            continue
        for attribute in parts[k:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def header(text):
    """What stands before the first code cell: names elsewhere may be patterns or history."""
    return text.split("```{code-cell}")[0]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_in_documents_exist(path):
    text = path.read_text()
    assert missing_names(header(text) if "book" in path.parts else text) == []


def test_a_name_that_is_gone_is_noticed():
    text = "`mechanism.theorems.gone` and [x](mechanism/theorems/gone.py), tests/test_gone.py"
    assert len(missing_names(text)) == 3
    assert missing_names("`mechanism.claims.check`, [x](mechanism/theorems/misreport)") == []


def modules():
    for room in FLOOR:
        yield from sorted((ROOT / "mechanism" / room).rglob("*.py"))


STEMS = {path.stem for path in modules()} | {path.parent.name for path in modules()}
ELSEWHERE = ("llm", "published", "reward_models", "synthetic")  # tests of the experiments


def is_of_the_floor(path):
    name = path.stem.removeprefix("test_")
    return not name.startswith(ELSEWHERE) and any(
        name == stem or name.startswith(f"{stem}_") for stem in STEMS
    )


TESTS = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if is_of_the_floor(path)]


@pytest.mark.parametrize("path", [*modules(), *TESTS], ids=lambda path: path.name)
def test_no_module_is_longer_than_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("room", [room for room in FLOOR if room != "figures"])
def test_no_folder_has_more_than_15_modules(room):
    folder = ROOT / "mechanism" / room
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        assert len([path for path in inner.glob("*.py") if path.stem != "__init__"]) <= 15
