"""Prompts and preferred answers of the `paper` scale, read from the files of two hub data sets.

*Harmless vs. humor*: dialogues of `Anthropic/hh-rlhf`; the prompt is everything through the last
"Assistant:", the answer what follows in the preferred dialogue. *Faithful vs. summary*: Reddit
posts of `openai/summarize_from_feedback` (`info.post`), the answer the preferred summary.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism.core.errors import InvalidInputError
from mechanism.llm.hub.sources import DATA, SOURCES
from mechanism.llm.prompts import Prompt

TURN = "\n\nAssistant:"
INSTRUCTION = "### Instruction: Generate a one-sentence summary of this post.\n### Input: {post}\n"
RESPONSE = "### Response:"
PUBLISHED = ("train", "held-out")  # the two parts in which both data sets come
SHUFFLE = 0  # the files are sorted by where they come from; every run reads the same order


@dataclass(frozen=True)
class Example:
    """A prompt and the answer that people preferred."""

    prompt: Prompt
    answer: str


def split_dialogue(text: str) -> tuple[str, str] | None:
    r"""Return (prompt, answer) at the last turn of the assistant; None without one or its words.

    >>> split_dialogue("\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Joke?\n\nAssistant: Ha.")
    ('\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Joke?\n\nAssistant:', 'Ha.')
    """
    at = text.rfind(TURN)
    answer = text[at + len(TURN) :].strip()
    return (text[: at + len(TURN)], answer) if at >= 0 and answer else None


@cache
def examples(game: str, folder: Path) -> tuple[Example, ...]:
    """Return the examples of a game from its data set's folder, training first, prompts distinct.

    A held-out prompt that is also a training prompt is left out.

    Raises
    ------
    InvalidInputError
        Where a file lacks a column.
    """
    read = _dialogues if game == "harmless_humor" else _posts
    found: dict[str, Example] = {}
    patterns = SOURCES[DATA[game]].files
    for split, pattern in zip(PUBLISHED, patterns, strict=True):
        files = sorted(folder.glob(pattern))
        table = pd.concat([_frame(path) for path in files], ignore_index=True)
        order = np.random.default_rng(SHUFFLE).permutation(len(table))
        for example in read(table.iloc[order], split):
            found.setdefault(example.prompt.text, example)
    return tuple(found.values())


def prompts(game: str, folder: Path) -> tuple[Prompt, ...]:
    """Return the prompts of `examples`."""
    return tuple(example.prompt for example in examples(game, folder))


def _frame(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_json(path, lines=True, dtype=False)


def _column(table: pd.DataFrame, name: str) -> Any:
    if name not in table:
        rule = f"no such column among {', '.join(table.columns)}"
        raise InvalidInputError("data set", name, rule, "download the files that `needed` names")
    return table[name]


def _dialogues(table: pd.DataFrame, split: str) -> list[Example]:
    halves = [split_dialogue(text) for text in _column(table, "chosen")]
    return [Example(Prompt(half[0], half[0], split), half[1]) for half in halves if half]


def _posts(table: pd.DataFrame, split: str) -> list[Example]:
    """Posts alone: the held-out part also has news articles, whose `post` is empty."""
    rows = zip(
        _column(table, "info"), _column(table, "summaries"), _column(table, "choice"), strict=True
    )
    return [
        Example(_post_prompt(info["post"], split), summaries[int(choice)]["text"].strip())
        for info, summaries, choice in rows
        if info["post"] and summaries[int(choice)]["text"].strip()
    ]


def _post_prompt(post: str, split: str) -> Prompt:
    return Prompt(INSTRUCTION.format(post=post.strip()) + RESPONSE, post.strip(), split)
