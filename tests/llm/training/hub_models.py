"""A Llama of random weights on disk, whose tokenizer puts its first token before a text."""

import gzip
import json

WORDS = ["kind", "joke", "pun", "fool", "story", "summary", "post", "Human", "Assistant", "facts"]
CORPUS = [" ".join(WORDS), "Tell me a story. ha ha. The post says so; a summary of facts."]


def llama(folder):
    """Save model and tokenizer, in the format of Llama-2's: bytes, and <s> first."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    names, alphabet = ["<s>", "</s>", "<unk>"], pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=names, initial_alphabet=alphabet)
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
    )
    words = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    words.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def dialogues(folder, rows=12):
    """Save preferred and refused answers as the hub's data set has them."""
    for split, first in (("train", 0), ("test", rows)):
        part = folder / "harmless-base"
        part.mkdir(parents=True, exist_ok=True)
        with gzip.open(part / f"{split}.jsonl.gz", "wt") as file:
            for k in range(first, first + rows):
                start = f"\n\nHuman: Tell me story {k}.\n\nAssistant:"
                row = {"chosen": f"{start} A kind story {k}.", "rejected": f"{start} No, fool."}
                file.write(json.dumps(row) + "\n")
