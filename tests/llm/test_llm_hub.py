"""The paper scale on stand-ins: tiny models of the same classes on disk, in place of the hub's."""

import json
import socket

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import preset
from mechanism.llm.hub import data as hub_data
from mechanism.llm.hub import rewards as hub_rewards
from mechanism.llm.hub import sources as hub
from mechanism.llm.runs import pipeline

WORDS = "please tell me a joke about the sea and my boss it was good bad kind ha no yes".split()
GAMES = ("harmless_humor", "faithful_summary")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "<s>", "</s>", "<unk>", *WORDS]
    inner = Tokenizer(WordLevel({word: k for k, word in enumerate(names)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    inner.post_processor = TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", padding_side="left",
    )  # fmt: skip


def save(model, folder):
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def classifier(kind, labels, folder):
    import torch
    import transformers as t

    torch.manual_seed(labels)
    size = len(tokenizer())
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": labels}
    configs = {
        "gpt2": (t.GPT2ForSequenceClassification, t.GPT2Config(
            vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=256, **ids)),
        "bert": (t.DistilBertForSequenceClassification, t.DistilBertConfig(
            vocab_size=size, dim=16, n_layers=1, n_heads=2, hidden_dim=32, **ids)),
        "bart": (t.BartForSequenceClassification, t.BartConfig(
            vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32,
            encoder_attention_heads=2, decoder_attention_heads=2, decoder_ffn_dim=32,
            max_position_embeddings=256, forced_eos_token_id=2, decoder_start_token_id=2, **ids)),
        "deberta": (t.DebertaV2ForSequenceClassification, t.DebertaV2Config(
            vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=256, **ids)),
    }  # fmt: skip
    kind_of, config = configs[kind]
    return save(kind_of(config), folder)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """A folder for each hub id that the paper scale names."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    llama = LlamaConfig(
        vocab_size=len(tokenizer()), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=256, pad_token_id=0, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    found = {hub.LLAMA: save(LlamaForCausalLM(llama), root / "llama")}
    kinds = {"harmless": ("gpt2", 1), "humor": ("bert", 2), "faithful": ("bart", 3),
             "summary": ("gpt2", 1), "preference": ("deberta", 1)}  # fmt: skip
    for name, (kind, labels) in kinds.items():
        found[hub.REWARD_IDS[name]] = classifier(kind, labels, root / name)
    found[hub.DATA["harmless_humor"]] = dialogues(root / "hh")
    found[hub.DATA["faithful_summary"]] = posts(root / "posts")
    return found


def dialogues(folder):
    for number, split in enumerate(("train", "test")):
        (folder / "base").mkdir(parents=True, exist_ok=True)
        lines = [
            {"chosen": f"\n\nHuman: tell me {a} {b}\n\nAssistant: it was {b}"}
            for a in WORDS[6 * number : 6 * number + 6]
            for b in WORDS[:3]
        ]
        path = folder / "base" / f"{split}.jsonl"
        path.write_text("\n".join(json.dumps(line) for line in lines))
    return str(folder)


def posts(folder):
    for number, split in enumerate(("train", "validation")):
        (folder / "comparisons" / split).mkdir(parents=True)
        rows = [
            {
                "info": {"post": f"my boss {a} {b} the sea"},
                "summaries": [{"text": f"boss {a}"}, {"text": "no"}],
                "choice": 0,
            }
            for a in WORDS[6 * number : 6 * number + 6]
            for b in WORDS[:3]
        ]
        pd.DataFrame(rows).to_parquet(folder / "comparisons" / split / "0.parquet")
    return str(folder)


SMALL = {
    "device": "cpu", "dtype": "float32", "max_new_tokens": 4, "train_prompts": 6,
    "held_out_prompts": 3, "samples": 2, "support_prompts": 2, "support_samples": 4,
    "sft_steps": 1, "steps": 1, "batch_prompts": 2, "completions": 2, "accumulation": 1,
    "lora_rank": 2, "soups": 2, "temperature": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
def test_the_paper_preset_runs_whole_on_stand_ins(stand_ins, tmp_path, game):
    settings = preset("paper", game=game, substitutes=stand_ins, **SMALL)
    done = pipeline.run(settings, tmp_path, lambda text: None)
    made = [stage.name for stage in done.stages]
    assert {"sft", *(f"train-{name}" for name in (*settings.rewards, "random"))} <= set(made)
    assert (
        done.samples is not None
        and np.isfinite(done.samples.filter(like="reward_").to_numpy(float)).all()
    )
    assert set(done.samples.candidate) == {"initial", "soup 0.00", "soup 1.00", "random"}
    assert (done.samples.log_prob <= 1e-6).all()


@pytest.mark.parametrize("name", hub.REWARD_IDS)
def test_a_score_is_that_of_the_text_alone(stand_ins, name):
    settings = preset("paper", game=GAMES[0], substitutes=stand_ins)
    reward = hub_rewards.load(settings, name)
    contexts = ["tell me a joke", "my boss was bad", "the sea and the sea"]
    texts = ["ha", "it was good and kind", "no no no"]
    together = reward.score(contexts, texts)
    alone = [reward.score([c], [t])[0] for c, t in zip(contexts, texts, strict=True)]
    assert np.allclose(together, alone, atol=1e-5)
    assert np.ptp(together) > 0


@pytest.mark.parametrize("game", GAMES)
def test_prompts_and_splits(stand_ins, game):
    found = hub_data.prompts(game, hub.folder_of(hub.DATA[game], stand_ins))
    train = {p.text for p in found if p.split == "train"}
    held_out = {p.text for p in found if p.split == "held-out"}
    assert len(train) == len(held_out) == 18 and not train & held_out
    end = "Assistant:" if game == "harmless_humor" else "### Response:"
    assert all(text.endswith(end) for text in train)


def test_one_error_names_everything_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "cache_folder", lambda: tmp_path)
    settings = preset("paper")
    with pytest.raises(InvalidInputError) as raised:
        hub.check_available(hub.needed(settings), {})
    words = str(raised.value)
    assert all(name in words for name in hub.needed(settings))
    assert "accept the licence" in words and "hf download" in words and str(tmp_path) in words


def test_an_incomplete_folder_is_told(stand_ins, tmp_path):
    with pytest.raises(InvalidInputError, match=r"lacks config\.json"):
        hub.check_available([hub.LLAMA], {hub.LLAMA: str(tmp_path)})
    hub.check_available([hub.LLAMA], stand_ins)
    with pytest.raises(InvalidInputError, match="nobody reads"):
        hub.check_available([hub.LLAMA], stand_ins | {"some/model": "x"})
