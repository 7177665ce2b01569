"""A prompt has the same tokens wherever a model reads it: the first token of Llama's included."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mechanism.llm.config import preset
from mechanism.llm.hub import sources
from mechanism.llm.models import policies, sample
from mechanism.llm.training import pool, rounds, sft, train
from tests.llm.training import hub_models

PROMPTS = ("Tell me a story.", "facts")
SMALL = {
    "device": "cpu", "dtype": "float32", "max_new_tokens": 3, "steps": 1, "batch_prompts": 2,
    "completions": 2, "accumulation": 1, "lora_rank": 2, "sample_batch": 1, "sft_steps": 1,
}  # fmt: skip


class Length:
    """A reward that needs no model."""

    name = "length"

    def score(self, contexts, completions):
        return [float(len(text)) for text in completions]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folders = {sources.LLAMA: "llama", sources.DATA["harmless_humor"]: "data"}
    found = {name: tmp_path_factory.mktemp(folder) for name, folder in folders.items()}
    hub_models.llama(found[sources.LLAMA])
    hub_models.dialogues(found[sources.DATA["harmless_humor"]])
    return preset("paper", substitutes={k: str(v) for k, v in found.items()}, **SMALL)


class Watch:
    """Rows of tokens that go into a model's embedding, after those that its cache remembers.

    Padding before them is taken off.
    """

    def __init__(self, model, pad):
        self.rows, self.pad, self.before, self.cached = set(), pad, [], 0
        model.register_forward_pre_hook(self.begin, with_kwargs=True)
        model.get_input_embeddings().register_forward_hook(self.note)

    def begin(self, module, given, named):
        cache = named.get("past_key_values")
        self.cached = 0 if cache is None else cache.get_seq_length()

    def note(self, module, given, out):
        rows = given[0].tolist()
        if self.cached:
            rows = [head[: self.cached] + row for head, row in zip(self.before, rows, strict=True)]
        self.before = rows
        for row in rows:
            first = next((k for k, token in enumerate(row) if token != self.pad), len(row))
            self.rows.add(tuple(row[first:]))

    def heads(self, wanted):
        """Which of the wanted beginnings some row has, and whether a row has none of them.

        A row that another goes on from is looked at there.
        """
        begun = {row[:k] for row in self.rows for k in range(len(row))}
        whole = [row for row in self.rows - begun if len(row) > 1]
        found = [[h for h in wanted if row[: len(h)] == h] for row in whole]
        return {h for part in found for h in part}, any(not part for part in found)


def read_by_rloo(settings, folder):
    initial = policies.source(settings)
    rows = [(text, text) for text in PROMPTS]
    trainer = train.trainer_for(
        settings, initial, rows, [Length()], folder, save_strategy="no", logging_strategy="no"
    )
    watch = Watch(trainer.model, trainer.processing_class.pad_token_id)
    trainer.train()
    return watch


def drawn_and_scored(settings, folder):
    model, tokenizer = policies.load(policies.source(settings), settings)
    watch = Watch(model, tokenizer.pad_token_id)
    found = sample.draw(model, tokenizer, PROMPTS, 1, settings, 0)
    sample.log_probs(model, tokenizer, PROMPTS, found, settings)
    return watch


def read_into_a_pool(settings, folder):
    model, tokenizer = rounds.adapted(policies.source(settings), settings)
    watch = Watch(model, tokenizer.pad_token_id)
    found = sample.draw(model, tokenizer, PROMPTS, 1, settings, 0)
    rewards = [[0.0]] * len(found)
    pool.read_pool(model, tokenizer, PROMPTS, found, rewards, ("r",), settings, batch=1)
    return watch


def heads(settings):
    """The tokens of the prompts as the tokenizer makes them, its first token in front."""
    tokenizer = policies.load_tokenizer(policies.source(settings))
    found = {(tokenizer.bos_token_id, *_plain(tokenizer, text)) for text in PROMPTS}
    assert tokenizer.bos_token_id is not None
    return found


def _plain(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


READERS = (read_by_rloo, drawn_and_scored, read_into_a_pool)


@pytest.mark.parametrize("read", READERS)
def test_every_reader_of_a_prompt_sees_the_same_tokens(settings, tmp_path, read):
    wanted = heads(settings)
    assert read(settings, tmp_path).heads(wanted) == (wanted, False)


@pytest.mark.parametrize("read", READERS[1:])
def test_a_first_token_left_out_of_evaluation_is_noticed(settings, tmp_path, monkeypatch, read):
    """Planted: evaluation without special tokens, as TRL never reads prompts."""
    monkeypatch.setattr(policies, "prompt_ids", _plain)
    found, others = read(settings, tmp_path).heads(heads(settings))
    assert not found and others


def test_supervised_fine_tuning_begins_a_text_as_evaluation_does(settings, tmp_path):
    trainer = sft.make_trainer(settings, policies.source(settings), tmp_path)
    row = trainer.train_dataset[0]
    text = trainer.processing_class.decode(row["input_ids"], skip_special_tokens=True)
    prompt = text[: text.index("Assistant:") + len("Assistant:")]
    head = policies.prompt_ids(trainer.processing_class, prompt)
    assert row["input_ids"][: len(head)] == head
    assert head[0] == trainer.processing_class.bos_token_id
    assert head.count(head[0]) == 1


def test_a_prompt_asked_for_several_times_is_read_once_and_scored_as_if_alone(settings, tmp_path):
    model, tokenizer = policies.load(policies.source(settings), settings)
    together = settings.model_copy(update={"sample_batch": 6})
    read = []
    model.get_input_embeddings().register_forward_hook(lambda m, given, out: read.append(given[0]))
    found = sample.draw(model, tokenizer, PROMPTS, 3, together, 0)
    heads = [policies.prompt_ids(tokenizer, text) for text in PROMPTS]
    assert read[0].shape == (len(PROMPTS), max(map(len, heads)) - 1)
    assert {len(rows) for rows in read[1:]} == {6}
    read.clear()
    scored = sample.log_probs(model, tokenizer, PROMPTS, found, together)
    assert [len(rows) for rows in read] == [len(PROMPTS), 6]
    alone = [_log_prob(model, heads[c.prompt], c.tokens, settings.temperature) for c in found]
    np.testing.assert_allclose(scored, alone, atol=1e-5)


def _log_prob(model, head, tail, temperature):
    """One completion after one prompt, read whole, without padding or cache."""
    with torch.no_grad():
        logits = model(torch.tensor([[*head, *tail]]), use_cache=False).logits[0]
    law = (logits[len(head) - 1 : -1].double() / temperature).log_softmax(-1)
    return float(law[range(len(tail)), list(tail)].sum())


class Largest(TorchDispatchMode):
    """The most numbers that one operation gave back."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.most = max(self.most, out.numel())
        return out


def test_the_head_is_not_copied_once_a_completion(settings):
    """Of all that is computed the logits are the most: rows of text times words."""
    model, _ = rounds.adapted(policies.source(settings), settings)
    _, upper = pool.split(model, 1)
    head = upper.lm_head
    rows, length = 16, 3
    states = torch.randn(rows, 5 + length, head.in_features)
    tokens = torch.zeros(rows, length, dtype=torch.long)
    attention = torch.ones(rows, 5 + length, dtype=torch.long)
    with Largest() as seen:
        found, _ = pool.token_log_probs(upper, states, attention, tokens, 1.0)
        found.sum().backward()
    assert seen.most == rows * length * head.out_features > head.weight.numel()
