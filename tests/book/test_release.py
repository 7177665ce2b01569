"""The files that a release is cited and installed by say the same; what would spoil it is found."""

import shutil
import subprocess

import pytest

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
