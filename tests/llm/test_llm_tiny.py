"""The enumerable language model against slow loops, samples and trainers; exact training targets.

What needs torch is skipped where it is missing; targets and rewards are tested without it.
"""

import os
from itertools import product

import numpy as np
import pytest

from mechanism import sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import preset
from mechanism.llm.models import tiny
from mechanism.llm.training.rules import RULES

os.environ.setdefault("TQDM_DISABLE", "1")
SIZES = (0.3, 0.7)
NAMES = ("harmless", "humor", "faithful", "summary", "random")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The initial model as it comes back from disk, with its tokenizer and folder."""
    pytest.importorskip("torch", reason="the tiny model needs torch and transformers")
    pytest.importorskip("transformers")
    from mechanism.llm.models import policies

    folder = tmp_path_factory.mktemp("tiny")
    tiny.make_initial(folder, 0)
    return (*policies.load(folder, preset("tiny", device="cpu")), folder)


def test_every_completion_is_listed_once():
    every = tiny.enumerate_completions()
    words = tiny.WORDS
    slow = {" ".join(text) for k in range(4) for text in product(words, repeat=k)}
    assert len(every.texts) == len(slow)
    assert set(every.texts) == slow
    short = (every.tokens == 0).any(axis=1)
    assert (every.mask.sum(axis=1) == [min(len(t.split()) + 1, 3) for t in every.texts]).all()
    assert short.sum() == 1 + 11 + 121


@pytest.mark.parametrize("name", NAMES)
def test_rewards_are_probabilities_that_spread_and_need_known_words(name):
    table = tiny.reward_table([tiny.TinyReward(name)], tiny.REQUESTS)
    assert ((table > 0) & (table < 1)).all()
    assert table.std(axis=-1).min() > 0.1
    with pytest.raises(InvalidInputError, match="banana"):
        tiny.TinyReward(name).score(["facts"], ["joke banana"])


def test_the_rewards_of_a_game_conflict_and_the_control_is_neutral():
    table = tiny.reward_table([tiny.TinyReward(n) for n in NAMES], tiny.REQUESTS)
    correlation = np.mean([np.corrcoef(rewards) for rewards in table], axis=0)
    assert correlation[0, 1] < -0.4
    assert correlation[2, 3] < -0.15
    assert abs(correlation[4, :4]).max() < 0.1
    with pytest.raises(InvalidInputError, match="use one of"):
        tiny.TinyReward("kindness")


def test_requests_are_made_of_words_and_come_in_both_splits():
    assert {word for r in tiny.REQUESTS for word in r.split()} <= set(tiny.WORDS)
    train, held_out = (
        [p.text for p in tiny.prompts() if p.split == split] for split in ("train", "held-out")
    )
    assert train == held_out == list(tiny.REQUESTS)


def test_probabilities_sum_to_one_and_agree_with_a_slow_loop(loaded):
    """Independent: one text and one token at a time, through the tokenizer, softmax by hand."""
    import torch

    model, tokenizer, _ = loaded
    exact = tiny.exact_log_probs(model, tokenizer, tiny.REQUESTS)
    assert exact.shape == (4, 1464)
    np.testing.assert_allclose(np.exp(exact).sum(axis=1), 1, atol=1e-12)
    every = tiny.enumerate_completions()
    for row in np.random.default_rng(0).choice(1464, 15, replace=False):
        text = tiny.REQUESTS[row % 4]
        ids, total = tokenizer(text).input_ids, 0.0
        wanted = [tokenizer.vocab[word] for word in every.texts[row].split()]
        for token in [*wanted, tokenizer.eos_token_id][:3]:
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1].double().numpy()
            total += logits[token] - np.log(np.exp(logits).sum())
            ids = [*ids, token]
        assert exact[row % 4, row] == pytest.approx(total, abs=1e-5)
        assert tokenizer.decode(every.tokens[row], skip_special_tokens=True) == every.texts[row]


def test_samples_and_scores_of_the_pipeline_agree_with_the_exact_law(loaded):
    """Word frequencies of 4 x 500 samples within 5 standard errors; scores within 1e-5."""
    from mechanism.llm.models import sample

    model, tokenizer, _ = loaded
    settings = preset("tiny", device="cpu", sample_batch=1000)
    drawn = sample.draw(model, tokenizer, list(tiny.REQUESTS), 500, settings, 0)
    exact = tiny.exact_log_probs(model, tokenizer, tiny.REQUESTS)
    texts = list(tiny.enumerate_completions().texts)
    of_text = [texts.index(c.text) for c in drawn]
    scored = sample.log_probs(model, tokenizer, tiny.REQUESTS, drawn, settings)
    np.testing.assert_allclose(
        scored, [exact[c.prompt, k] for c, k in zip(drawn, of_text, strict=True)], atol=1e-5
    )
    for word in ("", *tiny.WORDS):
        says = np.array([(word in t.split()) if word else t == "" for t in texts], float)
        chance = (np.exp(exact) * says).sum(axis=1)
        share = says[of_text].reshape(4, 500).mean(axis=1)
        assert (abs(share - chance) <= 5 * np.sqrt(chance * (1 - chance) / 500)).all(), word


def test_the_model_comes_back_from_disk_and_depends_on_the_seed(loaded, tmp_path):
    from mechanism.llm.models import policies

    model, tokenizer, _ = loaded
    exact = tiny.exact_log_probs(model, tokenizer, tiny.REQUESTS)
    for seed, same in ((0, True), (1, False)):
        tiny.make_initial(tmp_path / str(seed), seed)
        other, words = policies.load(tmp_path / str(seed), preset("tiny", device="cpu"))
        again = tiny.exact_log_probs(other, words, tiny.REQUESTS)
        assert np.array_equal(again, exact) is same
    next_token = np.exp(exact).reshape(4, -1)[:, 0]  # ending at once
    assert exact.min() < exact.max() - np.log(10)
    assert ((next_token > 0.005) & (next_token < 0.5)).all()


def test_the_exact_optimum_beats_other_policies_and_differs_by_request(loaded):
    model, tokenizer, _ = loaded
    rewards = [tiny.TinyReward(name) for name in NAMES[:2]]
    game = tiny.exact_game(model, tokenizer, tiny.REQUESTS, rewards, SIZES, 0.3)
    best = sw_max(game)
    rng = np.random.default_rng(0)
    for spread in (0.01, 0.3):
        other = best * np.exp(spread * rng.normal(size=(20, *best.shape)))
        other /= other.sum(axis=-1, keepdims=True)
        assert (game.welfare(other) < game.welfare(best)).all()
    assert (game.welfare(game.reference) < game.welfare(best) - 0.005).all()
    assert abs(best[0] - best[1]).sum() > 0.1


def test_rloo_moves_towards_the_optimum_from_the_right_reference(loaded, tmp_path):
    """One real training, short: the gap halves; and TRL's reference is the initial model."""
    pytest.importorskip("trl", reason="training needs trl")
    from mechanism.llm.studies import trainers

    _, tokenizer, folder = loaded
    game = trainers.exact_game(folder, 0)
    training = trainers.Training(RULES[0], 0.1, 0, steps=30)
    trainer = trainers.make_trainer(training, folder, tmp_path)
    assert trainer.beta == 0.1
    first = np.exp(tiny.exact_log_probs(trainer.ref_model, tokenizer, tiny.REQUESTS))
    np.testing.assert_allclose(first, game.reference, atol=1e-6)
    trainer.train()
    policy = np.exp(tiny.exact_log_probs(trainer.model.eval(), tokenizer, tiny.REQUESTS))
    line = trainers.outcome(training, game, policy)
    assert 0 < line["gap"] < 0.5 * (line["optimum"] - line["initial"])
    assert line["tv_to_target"] == pytest.approx(line["tv_to_optimum"])
