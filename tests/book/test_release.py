"""The files that a release is cited and installed by say the same; what would spoil it is found."""

import re
import shutil
import subprocess

import pytest
import yaml

from tools import release
from tools.chapters import ROOT

FILES = ("pyproject.toml", "CITATION.cff", ".zenodo.json", "CHANGELOG.md", release.WORKFLOW)


@pytest.fixture
def checkout(tmp_path):
    """A repository of these files alone, all committed."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return tmp_path


def test_the_files_agree():
    assert release.disagreements() == []


NOW = release.project(ROOT)["version"]
PLANTED = [
    ("version", "pyproject.toml", f'version = "{NOW}"', 'version = "0.0.1"'),
    ("version", "CITATION.cff", f"version: {NOW}", "version: 1.0"),
    ("version", ".zenodo.json", f'"version": "{NOW}"', '"version": "0.9.0"'),
    ("version", "CHANGELOG.md", f"## {NOW} - ", f"## Unreleased\n\n- more\n\n## {NOW} - "),
    ("date", "CITATION.cff", "date-released:", "date-accessed:"),
    ("date", ".zenodo.json", '"publication_date": "2', '"publication_date": "1'),
    ("licence", "CITATION.cff", "license: MIT", "license: Apache-2.0"),
    ("keywords", ".zenodo.json", '"RLHF", ', ""),
    ("title", ".zenodo.json", '"title": "mechanism', '"title": "mechanisms'),
    ("abstract", "CITATION.cff", "attack and falsify", "attack and prove"),
    ("contributors", "pyproject.toml", "The mechanism contributors", "Somebody"),
    ("supported Pythons", release.WORKFLOW, '"3.11", "3.12", ', '"3.11", '),
]


@pytest.mark.parametrize(("fact", "name", "old", "new"), PLANTED)
def test_a_disagreement_is_found(checkout, fact, name, old, new):
    text = (checkout / name).read_text()
    assert old in text
    (checkout / name).write_text(text.replace(old, new, 1))
    found = release.disagreements(checkout)
    assert any(line.startswith(f"{fact}: ") and f"{name} has " in line for line in found)


def test_what_is_left_undone_is_found(checkout):
    assert list(release.undone(checkout)) == []
    tag = f"v{release.project(checkout)['version']}"
    assert list(release.undone(checkout, tagged=True)) == [f"the present commit has no tag {tag}"]
    subprocess.run(["git", "-C", str(checkout), "tag", tag], check=True)
    assert list(release.undone(checkout, tagged=True)) == []
    assert list(release.undone(checkout)) == [f"the tag {tag} exists: raise the version"]
    (checkout / "new file").write_text("")
    assert any("new file" in line for line in release.undone(checkout, tagged=True))


def workflow(name):
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text())


def test_the_weekly_build_takes_the_pins_off(tmp_path):
    steps = workflow("weekly.yml")["jobs"]["rebuild"]["steps"]
    command = next(step["run"] for step in steps if "sed" in step.get("run", ""))
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    before = (ROOT / "requirements.txt").read_text()
    after = (tmp_path / "requirements.txt").read_text()
    assert set(re.findall("^(.+)==", after, re.MULTILINE)) == {"jupyter-book", "sphinx-book-theme"}
    assert "constraints" not in re.sub("#.*", "", after)
    names = re.compile(r"^[\w.\[\]-]+(?=$|==)", re.MULTILINE)
    assert names.findall(after) == names.findall(before) != []


def test_workflows_run_only_targets_that_exist_and_are_limited_in_time():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for name, job in workflow(path.name)["jobs"].items():
            assert job["timeout-minutes"] <= 90, f"{path.name}: {name}"
            runs = "\n".join(step.get("run", "") for step in job["steps"])
            for words in re.findall(r"^ *make ([^|\n]*?)(?: 2>|$)", runs, re.MULTILINE):
                asked = {word for word in words.split() if not word.startswith("-")}
                assert asked <= targets, f"{path.name}: {name}"
            for module in re.findall(r"python -m (tools[.\w]+)", runs):
                assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module


def test_every_supported_python_runs_tests_that_exist():
    steps = workflow("book.yml")["jobs"]["library"]["steps"]
    named = re.findall(r"(?:tests|mechanism)/[\w/.]+", steps[-1]["run"])
    assert len(named) > 10 and all((ROOT / name).exists() for name in named)
