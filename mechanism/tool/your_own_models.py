"""The tables of the chapter on the reader's own models: one example of every foreign format.

Files lie in `mechanism/data/formats`; layouts follow the tools' own code, texts and scores are
invented.
"""

from typing import Any

from mechanism.places import data
from mechanism.tool.loading import load
from mechanism.tool.tables import Table

EXAMPLES: dict[str, dict[str, Any]] = {
    "ric": {"sizes": {"obtained_score1": 3, "obtained_score2": 7}},
    "trl": {"sizes": {"harmless_reward": 3, "humor_reward": 7}, "lam": 0.5},
    "verl": {"sizes": {"harmless": 3, "humor": 7}, "candidate": "step"},
    "lm_eval": {"sizes": {"arc_easy": 3, "gsm8k": 2}, "filter": "strict-match"},
    "rewardbench": {"sizes": {"helpful_rm": 3, "harmless_rm": 7}, "lam": 0.5},
    "alpaca_eval": {"sizes": {"win_rate": 3, "length_controlled_winrate": 2}},
    "ultrafeedback": {
        "sizes": {"helpfulness": 3, "honesty": 7}, "lam": 0.5, "missing": "drop",
    },
}  # fmt: skip
SOUPS = "soups_helpful_harmless_humor.csv"
SOUP_NAMES = "method,w_harmless,w_helpful,w_humor"


def load_example(name: str, **changes: Any) -> Table:
    """Load the example of a format; `changes` replace its options.

    >>> load_example("alpaca_eval").names[0]
    'model-1'
    """
    return load(data("formats", name), **{**EXAMPLES[name], **changes})


def load_soups(sizes: dict[str, float]) -> Table:
    """The 105 released models, named by method and preference weights.

    >>> len(load_soups({"helpful": 3, "harmless": 2, "humor": 1}).names)
    105
    """
    return load(data(SOUPS), sizes, candidate=SOUP_NAMES)
