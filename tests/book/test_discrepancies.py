"""The page of discrepancies names every chapter that found one, and asserts what it says."""

import re
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
PAGE = (BOOK / "discrepancies.md").read_text()
CHAPTERS = [path for path in BOOK.glob("*/*.md") if "he paper says" in path.read_text()]


def test_every_chapter_with_a_finding_is_named():
    named = {Path(name).name for name in re.findall(r"\{doc\}`([^`]+)`", PAGE)}
    missing = {path.stem for path in CHAPTERS} - named
    assert CHAPTERS and not missing, missing


def test_every_finding_is_asserted_by_a_cell():
    cells = re.findall(r"```\{code-cell\}.*?```", PAGE, flags=re.S)
    findings = PAGE.count("\nWe found\n")
    assert findings == sum("assert" in cell for cell in cells) == 3
