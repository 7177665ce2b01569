"""Suggested experiments: the parameters that chapters name are there, the commands parse."""

import ast
import re
import shlex

import jupytext
import pytest
import typer
from typer._click import Context
from typer._click.exceptions import UsageError

from mechanism.cli import app
from mechanism.statements import CLAIMS
from tools.chapters import ROOT, find_chapters

SECTION = re.compile(r"^## Try it\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"^- `(?P<what>[^`]+)` \(\d+ (?:s|min)\):\s+(?P<look>\S.*)", re.MULTILINE)
IN_A_PART = [chapter for chapter in find_chapters() if chapter.docname.count("/") == 2]


def items(text: str) -> list[re.Match[str]]:
    """Return the experiments that a page suggests; a line that is none is an error."""
    section = SECTION.search(text)
    lines = re.findall(r"^- ", section[1], re.MULTILINE) if section else []
    found = list(ITEM.finditer(section[1])) if section else []
    assert len(found) == len(lines), f"{section[1]}: write - `what` (20 s): what to look at"
    return found


def parameters(chapter) -> dict[str, object]:
    """Return the defaults of a chapter's parameters."""
    cells = jupytext.read(ROOT / chapter.source).cells
    cell = next(cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.Assign)
    }


def parse(line: str) -> None:
    """Parse a command of the library without running it; raise where it is none."""
    words = shlex.split(line)
    command = typer.main.get_command(app)
    name = words.pop(0)
    assert name == "mechanism"
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(Context(command), words)
    context = command.make_context(name, list(words))
    for path in context.params.get("files") or []:
        assert list(ROOT.glob(str(path))), f"there is no {path}"
    assert set(context.params.get("only") or []) <= set(CLAIMS)


def changes(what: str, defaults: dict[str, object]) -> bool:
    """Say whether an assignment gives another value of the same kind to a parameter."""
    (node,) = ast.parse(what).body
    value, name = ast.literal_eval(node.value), node.targets[0].id
    return name in defaults and type(value) is type(defaults[name]) and value != defaults[name]


def is_assignment(what: str) -> bool:
    return bool(re.match(r"\w+ = ", what))


@pytest.mark.parametrize("chapter", IN_A_PART, ids=lambda chapter: chapter.stem)
def test_chapter_suggests_experiments_that_can_be_run(chapter):
    found = items((ROOT / chapter.source).read_text("utf-8"))
    assert found, "no section `## Try it`"
    for item in found:
        if is_assignment(item["what"]):
            assert changes(item["what"], parameters(chapter)), item["what"]
        else:
            parse(item["what"])


@pytest.mark.parametrize(
    "line",
    [
        "mechanism claims --onyl def-3.2",
        "mechanism claims --budget many",
        "mechanism price mechanism/data/gone*.csv --sizes a=1",
        "mechanism claims --only thm-9.9",
        "mechanism nothing",
    ],
)
def test_what_is_no_command_is_noticed(line):
    with pytest.raises((UsageError, AssertionError)):
        parse(line)


@pytest.mark.parametrize("what", ["budgte = 3", "budget = 2.5", "budget = 2000", "budget = 'x'"])
def test_what_is_no_parameter_is_noticed(what):
    assert not changes(what, {"budget": 2000, "seed": 0})
    assert changes("budget = 4000", {"budget": 2000, "seed": 0})


def test_a_line_without_a_time_is_noticed():
    with pytest.raises(AssertionError, match="what to look at"):
        items("## Try it\n\n- `seed = 7`: other games.\n")


@pytest.mark.parametrize("chapter", find_chapters(), ids=lambda chapter: chapter.stem)
def test_no_running_time_is_typed_in_a_header(chapter):
    assert not re.search(r"runs\s+in\s+about", (ROOT / chapter.source).read_text("utf-8"))
