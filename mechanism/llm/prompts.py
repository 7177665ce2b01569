"""Prompts of the two games, kept in CSV files beside the code.

Licences and splits of every source are in ``mechanism/data/llm/SOURCES.json``.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import REWARDS

SPLITS = ("train", "validation", "held-out")
SUMMARY_REQUEST = "Summarize this in one sentence: "


@dataclass(frozen=True)
class Prompt:
    """What a model is asked.

    Attributes
    ----------
    text : str
        The request.
    context : str
        What rewards may look at: the request itself in ``harmless_humor``, the source passage
        in ``faithful_summary``.
    split : str
        "train", "validation" or "held-out". No two of them share a subject (first game) or a
        paper (second game).
    """

    text: str
    context: str
    split: str


@cache
def load_prompts(game: str, split: str | None = None) -> tuple[Prompt, ...]:
    """Prompts of a game: training, then validation, then held-out prompts.

    Parameters
    ----------
    game : str
        "harmless_humor" (340 + 48 + 64 short requests of the project's own making) or
        "faithful_summary" (352 + 48 + 64 passages of 30 to 60 words from aclsum).
    split : str, optional
        "train", "validation" or "held-out"; all by default.

    Raises
    ------
    InvalidInputError
        If there is no such game or split.

    Examples
    --------
    >>> [len(load_prompts("harmless_humor", split)) for split in SPLITS]
    [340, 48, 64]
    >>> load_prompts("harmless_humor")[0].text
    'Tell me what you think about my cooking.'
    """
    if game not in REWARDS:
        raise InvalidInputError("game", game, f"must be one of {', '.join(REWARDS)}", "name one")
    if split is not None and split not in SPLITS:
        raise InvalidInputError("split", split, f"must be one of {', '.join(SPLITS)}", "name one")
    prompts = _requests() if game == "harmless_humor" else _summaries()
    return tuple(prompt for prompt in prompts if split in (None, prompt.split))


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(str(files("mechanism") / "data" / "llm" / name), keep_default_na=False)


def _requests() -> tuple[Prompt, ...]:
    frame = _read("prompts_harmless_humor.csv")
    return tuple(
        Prompt(text, text, split)
        for text, split in zip(frame["prompt"], frame["split"], strict=True)
    )


def _summaries() -> tuple[Prompt, ...]:
    frame = _read("passages_faithful_summary.csv")
    return tuple(
        Prompt(SUMMARY_REQUEST + passage, passage, split)
        for passage, split in zip(frame["passage"], frame["split"], strict=True)
    )
