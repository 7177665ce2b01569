"""Models and data of the classes that the paper scale loads: random weights, saved to disk."""

import gzip
import json
from pathlib import Path

import pandas as pd

WORDS = ["kind", "joke", "pun", "fool", "story", "summary", "post", "Human", "Assistant", "facts"]
CORPUS = [" ".join(WORDS), "Tell me a story. ha ha. The post says so; a summary of facts."]


def tokenizer(folder, kind):
    """Save a byte-level tokenizer with the special tokens and pair format of a model class."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = {
        "llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "deberta": {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"},
        "bart": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
    }[kind]
    names = list(dict.fromkeys(special.values()))
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=names, initial_alphabet=alphabet)
    )
    formats = {
        "llama": ("<s> $A", "<s> $A <s> $B"),
        "deberta": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"),
        "bart": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    }
    if kind in formats:
        single, pair = formats[kind]
        ids = [(name, made.token_to_id(name)) for name in names]
        made.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=ids
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **special)
    fast.save_pretrained(folder)
    return fast


def llama(folder):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(folder, "llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def classifier(folder, kind, labels):
    import torch
    import transformers as t

    words = tokenizer(folder, kind)
    torch.manual_seed(1)
    common = {"vocab_size": len(words), "num_labels": labels, "max_position_embeddings": 128}
    pad = words.pad_token_id
    if kind == "gpt2":
        config = t.GPT2Config(
            vocab_size=len(words), num_labels=labels, n_positions=128, n_embd=32, n_layer=2,
            n_head=4, bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
            initializer_range=0.5,
        )  # fmt: skip
        model = t.GPT2ForSequenceClassification(config)
    elif kind == "bart":
        config = t.BartConfig(
            **common, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=pad,
            bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, init_std=0.5,
            decoder_start_token_id=words.eos_token_id,
        )  # fmt: skip
        model = t.BartForSequenceClassification(config)
    else:
        config = t.DebertaV2Config(
            **common, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, pad_token_id=pad,
            intermediate_size=64, relative_attention=True, position_buckets=16,
            pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", share_att_key=True,
            initializer_range=0.5, type_vocab_size=0,
        )  # fmt: skip
        model = t.DebertaV2ForSequenceClassification(config)
    model.save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    saved["id2label"] = {str(k): f"LABEL_{k}" for k in range(labels)}  # BART's default has three
    (folder / "config.json").write_text(json.dumps(saved))


def dialogues(folder, rows=12):
    for split, first in (("train", 0), ("test", rows)):
        part = folder / "harmless-base"
        part.mkdir(parents=True, exist_ok=True)
        with gzip.open(part / f"{split}.jsonl.gz", "wt") as file:
            for k in range(first, first + rows):
                start = f"\n\nHuman: Tell me story {k}.\n\nAssistant:"
                row = {"chosen": f"{start} A kind story {k}.", "rejected": f"{start} No, fool."}
                file.write(json.dumps(row) + "\n")


def posts(folder, rows=12):
    for split, first in (("train", 0), ("validation", rows)):
        part = folder / "comparisons" / split
        part.mkdir(parents=True, exist_ok=True)
        table = [
            {
                "info": {"post": f"The post {k} has facts." if k % 5 else None, "title": "t"},
                "summaries": [{"text": f" Bad {k}."}, {"text": f" Facts {k}."}],
                "choice": k % 2,
            }
            for k in range(first, first + rows)
        ]
        pd.DataFrame(table).to_parquet(part / "0000.parquet")


def everything(folder: Path) -> dict[str, str]:
    """Make a folder for every hub id that the two games read; hub id -> folder."""
    from mechanism.llm.hub import sources as hub

    makers = {
        hub.LLAMA: llama,
        hub.DATA["harmless_humor"]: dialogues,
        hub.DATA["faithful_summary"]: posts,
        hub.REWARD_IDS["harmless"]: lambda path: classifier(path, "gpt2", 1),
        hub.REWARD_IDS["humor"]: lambda path: classifier(path, "deberta", 2),
        hub.REWARD_IDS["faithful"]: lambda path: classifier(path, "bart", 2),
        hub.REWARD_IDS["summary"]: lambda path: classifier(path, "gpt2", 1),
        hub.REWARD_IDS["preference"]: lambda path: classifier(path, "deberta", 1),
    }
    found = {name: folder / name.replace("/", "--") for name in makers}
    for name, make in makers.items():
        found[name].mkdir(parents=True)
        make(found[name])
    return {name: str(path) for name, path in found.items()}
