"""What the first page shows of the last build: counts, pictures, versions, how to cite."""

import base64
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools.chapters import BUILD, Chapter, ChapterError, find_chapters

CLAIMS = BUILD / "claims.json"
SHOWN_VERSIONS = ("numpy", "scipy", "torch", "jupyter-book", "sphinx")
PICTURE = re.compile(r"pictures/(\w+)-(\d+)\.png")


def cited(source: dict[str, Any], kind: str, key: str) -> str:
    """Return a part of a citation file as an entry of BibTeX."""
    people = [
        f"{a['family-names']}, {a['given-names']}" if "family-names" in a else "{" + a["name"] + "}"
        for a in source["authors"]
    ]
    fields = {"title": "{" + source["title"] + "}", "author": " and ".join(people)}
    if "collection-title" in source:
        fields["booktitle"] = source["collection-title"]
    for name in ("version", "url"):
        if name in source:
            fields[name] = str(source[name])
    fields["year"] = str(source.get("year") or source["date-released"])[:4]
    if identifiers := source.get("identifiers"):
        fields["note"] = identifiers[0]["value"]
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def bibtex(citation: Path = Path("CITATION.cff")) -> str:
    """Return the entries of this software and of the paper that it checks."""
    source = yaml.safe_load(citation.read_text("utf-8"))
    software, (paper, *_) = source, source["references"]
    entries = cited(software, "software", "mechanism"), cited(paper, "inproceedings", "sun2025")
    return "\n\n".join(entries) + "\n"


def changes(log: Path = Path("CHANGELOG.md")) -> str:
    """Return the changelog from its first version on, its headings one level down."""
    text = "##" + log.read_text("utf-8").partition("\n##")[2]
    return re.sub(r"^(?=##)", "#", text, flags=re.MULTILINE)


def glued(chapter: Chapter) -> dict[str, str]:
    """Return what an executed chapter keeps for its text, by name, as plain text."""
    found = {}
    for cell in nbformat.read(chapter.notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
                texts = [v for kind, v in output.data.items() if kind.endswith("text/plain")]
                found[name] = texts[0].strip("'") if texts else ""
    return found


def counts() -> dict[str, str]:
    """Return the figures of the first page, from the claims and the chapter on the forecast."""
    run = json.loads(CLAIMS.read_text("utf-8"))
    controls = [control for claim in run["claims"] for control in claim["controls"]]
    tables = glued(chapter("forecast"))
    return {
        "claims": str(len(run["claims"])),
        "claims_held": str(sum(claim["status"] == "holds" for claim in run["claims"])),
        "controls": str(len(controls)),
        "controls_noticed": str(sum(control["noticed"] for control in controls)),
        "cells": tables["forecast_published"],
        "cells_met": tables["forecast_met"],
        "forecasts": tables["forecast_cells"],
        "forecasts_met": tables["forecast_near"],
    }


def chapter(stem: str) -> Chapter:
    """Return the chapter of a stem."""
    return next(one for one in find_chapters() if one.stem == stem)


def versions() -> dict[str, str]:
    """Return the versions that the site was built with, as one line."""
    parts = [f"Python {platform.python_version()}"]
    parts += [f"{name} {version(name).split('+')[0]}" for name in SHOWN_VERSIONS]
    own = yaml.safe_load(Path("CITATION.cff").read_text("utf-8"))["version"]
    return {"version": str(own), "versions": ", ".join(parts)}


def picture(stem: str, number: int) -> bytes:
    """Return the picture that a chapter shows as its first, second, ..."""
    cells = nbformat.read(chapter(stem).notebook, as_version=4).cells
    shown = [
        output.data["image/png"]
        for cell in cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    if number > len(shown):
        raise ChapterError(f"a page shows picture {number} of {stem}, which has {len(shown)}")
    return base64.b64decode(shown[number - 1])


def write(into: Path) -> dict[str, str]:
    """Write pictures and citation beside the staged pages; return the words for the text."""
    for page in (into / "book").glob("*.md"):
        for stem, number in PICTURE.findall(page.read_text("utf-8")):
            path = into / "book" / "pictures" / f"{stem}-{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(stem, int(number)))
    (into / "book" / "cite.bib").write_text(bibtex(), encoding="utf-8")
    (into / "book" / "changes.txt").write_text(changes(), encoding="utf-8")
    return counts() | versions()
