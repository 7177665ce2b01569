"""Say whether a release is ready: what names the version agrees, and nothing is left undone.

`make release-check` before the tag is set; `python -m tools.release --tagged` once it is.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.chapters import ROOT

WORKFLOW = ".github/workflows/book.yml"
HEADING = re.compile(r"^## (?P<version>\S+)(?: - (?P<date>\S+))?$", re.MULTILINE)
PYTHON = "Programming Language :: Python :: "


def disagreements(root: Path = ROOT) -> list[str]:
    """Return a line for each fact of the release that two files state differently."""
    facts = {
        "version": versions(root),
        "date": dates(root),
        "licence": named(root, "license"),
        "keywords": named(root, "keywords"),
        "title": {name: values.get("title") for name, values in records(root).items()},
        "abstract": abstracts(root),
        "contributors": contributors(root),
        "supported Pythons": pythons(root),
    }
    return [
        f"{fact}: " + ", ".join(f"{place} has {value!r}" for place, value in values.items())
        for fact, values in facts.items()
        if len(set(map(repr, values.values()))) > 1 or None in values.values()
    ]


def project(root: Path) -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def records(root: Path) -> dict[str, dict[str, Any]]:
    """Return what is said to those who cite."""
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    zenodo = (root / ".zenodo.json").read_text(encoding="utf-8")
    return {"CITATION.cff": yaml.safe_load(citation), ".zenodo.json": json.loads(zenodo)}


def newest(root: Path) -> dict[str, str | None]:
    """Return version and date of the changelog's first heading."""
    found = HEADING.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    return found.groupdict() if found else {"version": None, "date": None}


def named(root: Path, key: str) -> dict[str, Any]:
    """Return an entry that the package and both records have."""
    return {"pyproject.toml": project(root).get(key)} | {
        name: values.get(key) for name, values in records(root).items()
    }


def versions(root: Path) -> dict[str, Any]:
    """Return the version that each file names."""
    return named(root, "version") | {"CHANGELOG.md": newest(root)["version"]}


def dates(root: Path) -> dict[str, Any]:
    """Return the day of the release that each file names."""
    keys = {"CITATION.cff": "date-released", ".zenodo.json": "publication_date"}
    found = {name: records(root)[name].get(key) for name, key in keys.items()}
    return {"CHANGELOG.md": newest(root)["date"]} | found


def abstracts(root: Path) -> dict[str, Any]:
    """Return the paragraph that describes the project."""
    both = records(root)
    return {
        "CITATION.cff": both["CITATION.cff"].get("abstract"),
        ".zenodo.json": both[".zenodo.json"].get("description"),
    }


def contributors(root: Path) -> dict[str, Any]:
    """Return the names of the authors."""
    both = records(root)
    lists = {
        "pyproject.toml": project(root).get("authors", []),
        "CITATION.cff": both["CITATION.cff"].get("authors", []),
        ".zenodo.json": both[".zenodo.json"].get("creators", []),
    }
    return {place: [person.get("name") for person in people] for place, people in lists.items()}


def pythons(root: Path) -> dict[str, Any]:
    """Return the Pythons that the package promises and those that the workflow tries."""
    workflow = yaml.safe_load((root / WORKFLOW).read_text(encoding="utf-8"))
    promised = [c.removeprefix(PYTHON) for c in project(root)["classifiers"] if PYTHON in c]
    return {
        "pyproject.toml": promised,
        WORKFLOW: workflow["jobs"]["library"]["strategy"]["matrix"]["python-version"],
    }


def undone(root: Path = ROOT, tagged: bool = False) -> Iterator[str]:
    """Yield what is wrong with the checkout: changes that are not committed, a tag that is taken.

    With `tagged` the tag of the version must stand at the present commit.
    """
    if changed := git(root, "status", "--porcelain"):
        yield "not committed: " + ", ".join(line[3:] for line in changed.splitlines())
    tag = f"v{project(root)['version']}"
    if tagged:
        if tag not in git(root, "tag", "--points-at", "HEAD").split():
            yield f"the present commit has no tag {tag}"
    elif tag in git(root, "tag", "--list").split():
        yield f"the tag {tag} exists: raise the version"


def git(root: Path, *arguments: str) -> str:
    """Return what git prints."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


def main() -> None:
    """Print every problem, and end with 1 where there is one."""
    problems = [*disagreements(), *undone(tagged="--tagged" in sys.argv)]
    print("\n".join(problems) or f"version {project(ROOT)['version']} is ready for its tag")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
