"""Cut the passages of the game faithful_summary from the texts of aclsum.

Run: ``python tools/passages.py aclsum-0.1.2-py3-none-any.whl``. It reads the wheel without
installing it and writes ``mechanism/data/llm/passages_faithful_summary.csv``, passages of 30 to 60
words. Papers of the package's train and val files: the first 128 whose abstract opens with such a
passage are for training, the others for validation. Its test papers are held out, one passage each.
"""

import csv
import json
import re
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "mechanism/data/llm/passages_faithful_summary.csv"
WORDS = (30, 60)
OPENINGS = {"train": 128, "held-out": 64}
WANTED = {"train": 352, "validation": 48}
SECTIONS = ("introduction", "conclusion", "abstract")
WHOLE = re.compile(r"[A-Z][ -~]*[a-z)]\.$")
POINTS_ELSEWHERE = re.compile(
    r"\b(Figure|Fig|Table|Section|Sect|Eq|Appendix|et al)\b|http|[\[\]{}<>=|\\]"
)

Row = tuple[str, str, str]
Paper = dict[str, list[str]]


def plain(sentence: str) -> str:
    """Undo the tokenisation: no space before a comma or inside brackets."""
    text = re.sub(r"\s+([.,;:!?%)\]])", r"\1", sentence.strip())
    text = re.sub(r"([(\[])\s+", r"\1", text)
    return re.sub(r"\s+(n't|'s|'re|'ve)\b", r"\1", text)


def opening(sentences: list[str]) -> str | None:
    """First sentences that make 30 to 60 words together, or None."""
    words: list[str] = []
    for sentence in sentences:
        words += plain(sentence).split()
        if len(words) >= WORDS[0]:
            break
    return " ".join(words) if WORDS[0] <= len(words) <= WORDS[1] else None


def inner(sentences: list[str], used: list[str]) -> str | None:
    """First run of whole sentences, none in a passage in use, that is an opening, or None."""
    whole = [
        _is_whole(text) and not any(text in passage for passage in used)
        for text in map(plain, sentences)
    ]
    for start in range(len(sentences)):
        stop = next((k for k in range(start, len(whole)) if not whole[k]), len(whole))
        if found := opening(sentences[start:stop]):
            return found
    return None


def _is_whole(text: str) -> bool:
    balanced = text.count("(") == text.count(")")
    return bool(WHOLE.match(text)) and balanced and not POINTS_ELSEWHERE.search(text)


def openings(papers: dict[str, Paper], split: str) -> list[Row]:
    """First passage of the abstract of each paper that has one, as many as wanted."""
    found = ((split, name, opening(paper["abstract"])) for name, paper in papers.items())
    return [(split, name, text) for split, name, text in found if text][: OPENINGS[split]]


def more(papers: dict[str, Paper], split: str, rows: list[Row]) -> list[Row]:
    """Add passages to these rows, a section of every paper after the other, as many as wanted."""
    rows = list(rows)
    for section in SECTIONS:
        for name, paper in papers.items():
            text = inner(paper[section], [row[2] for row in rows if row[1] == name])
            if text and len(rows) < WANTED[split]:
                rows.append((split, name, text))
    return rows


def read(wheel: str, *names: str) -> dict[str, Paper]:
    """Sentences of the papers of these files by section, by name of the paper."""
    with zipfile.ZipFile(wheel) as archive:
        texts = [archive.read(f"aclsum/dataset/{name}.jsonl").decode() for name in names]
    papers = (json.loads(line) for text in texts for line in text.splitlines())
    return {paper["id"]: paper["sentences"] for paper in papers}


def main(wheel: str) -> None:
    """Write the CSV; a paper that gives no passage of the wanted length is left out."""
    papers = read(wheel, "train", "val")
    first = openings(papers, "train")
    trained = {row[1] for row in first}
    rows = more({name: papers[name] for name in papers if name in trained}, "train", first)
    others = {name: papers[name] for name in papers if name not in trained}
    rows += more(others, "validation", [])
    rows += openings(read(wheel, "test"), "held-out")
    with TARGET.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("split", "paper", "passage"), *rows])


if __name__ == "__main__":
    main(sys.argv[1])
