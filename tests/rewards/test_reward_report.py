"""What is recorded of the rewards, and what the page makes of it."""

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.rewards import gaming, report, reward_models, scoring
from tests.rewards.made_up_rewards import SOURCE, TEXTS, WordEmbedding, made_up, real


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
