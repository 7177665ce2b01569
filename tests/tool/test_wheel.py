"""The wheel, in an environment that holds what it declares and nothing else."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mechanism.places import ROOT
from tests.book import bare_environment
from tools.downloads.wheel import build_wheel

# pydantic is not here: typer brings it
UNWANTED = {"torch", "pandas", "matplotlib", "joblib", "transformers", "pyarrow", "cvxpy"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Run Python with the wheel and links to what it declares, far from the repository."""
    folder, elsewhere = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("elsewhere")
    interpreter, found = bare_environment.make(folder / "environment", wheel)
    assert not UNWANTED & found

    def run(*arguments, code="from mechanism.cli import app; app()"):
        return subprocess.run([interpreter, "-I", "-c", code, *arguments],
                              cwd=elsewhere, capture_output=True, text=True)  # fmt: skip

    (elsewhere / "hand.csv").write_text("candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n")
    return run


def test_wheel_prices_and_audits(python):
    found = python("price", "hand.csv", "--sizes", "a=5,b=4", "--json")
    assert found.returncode == 0, found.stderr
    payments = [group["payment"] for group in json.loads(found.stdout)["groups"].values()]
    assert payments == pytest.approx([1.6, 2.0])
    assert python("audit", "hand.csv", "--sizes", "a=5,b=4").returncode == 0
    assert python("formats").returncode == 0
    assert "price" in python("--help").stdout


def test_wheel_says_what_the_other_commands_need(python):
    for name, extra in (("llm", "llm"), ("claims", "paper")):
        found = python(name, *(["show"] if name == "llm" else []))
        assert found.returncode == 2 and f"mechanism[{extra}]" in found.stderr
        assert "Traceback" not in found.stderr
    asked = python("price", "hand.csv", "--sizes", "a=5,b=4", "--report", "out.html")
    assert asked.returncode == 2 and "mechanism[report]" in asked.stderr


def test_wheel_holds_the_notebook_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "mechanism/tool/report.ipynb" in names
    assert not any(name.startswith(("tests/", "book/", "results/")) for name in names)


def test_wheel_holds_what_is_recorded_and_the_examples(python, wheel):
    def kept(folder):
        return {path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file()}

    inside = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    recorded = {Path("mechanism") / path for path in kept(ROOT / "results")}
    assert recorded | kept(ROOT / "mechanism/data") <= inside
    code = "from mechanism.places import results; print(results('published', 'soups.csv').exists())"
    assert python(code=code).stdout == "True\n"


def test_price_imports_nothing_heavy():
    code = (
        "import sys; from mechanism.cli import app\n"
        "try:\n    app(['formats'])\nexcept SystemExit:\n    pass\n"
        "import mechanism.tool.auditing.candidates, mechanism.tool.loading\n"
        f"print(sorted({UNWANTED!r} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.endswith("[]\n")


def test_shell_completion_is_on():
    command = [sys.executable, "-m", "mechanism.cli", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, env={"COLUMNS": "200"})
    assert "--install-completion" in found.stdout
