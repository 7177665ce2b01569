r"""What a run costs: parameters, FLOPs, memory, hours, disk, by formula from the architecture.

A multiply-add is two FLOPs. With P the weights in linear layers (the last one apart), T tokens in
sequences of length L, all `heads * head_dim` = h and all layers n:

=========  ==================================================================
forward    2 P T + 4 n h L T + 2 d V (tokens whose next-token logits are wanted)
LoRA       + 2 P_lora T forward, 4 P_lora T backward
backward   2 P T + 8 n h L T + 4 P_lora T + logits: the frozen weights need no gradient of theirs
recompute  gradient checkpointing runs the layers forward once more
=========  ==================================================================

Attention is counted in full, not by its causal half, as torch's own counter does. The counts agree
with that counter (see the tests); hours follow from a stated accelerator and utilisation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings
from mechanism.llm.hub import sources as hub

BYTES = {"float32": 4, "bfloat16": 2}
# Saved for the backward pass, bytes per token and layer, as multiples of (hidden, intermediate);
# 28 more per unit of LoRA rank. Counted with saved-tensor hooks on the pinned versions, dropout on.
SAVED = {"bfloat16": (64, 14), "float32": (72, 20)}
ADAPTER_BYTES = 4  # PEFT keeps adapters in float32 beside bfloat16 weights


@dataclass(frozen=True)
class Architecture:
    """The shape of a Llama-like model, and the parameters that follow from it.

    >>> Architecture(32000, 4096, 11008, 32, 32, 32, 128, tied=False).parameters
    6738415616
    """

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Architecture":
        """Read a `config.json` of a Llama-like model."""
        heads = config["num_attention_heads"]
        return cls(
            config["vocab_size"], config["hidden_size"], config["intermediate_size"],
            config["num_hidden_layers"], heads, config.get("num_key_value_heads") or heads,
            config.get("head_dim") or config["hidden_size"] // heads,
            config.get("tie_word_embeddings", False),
        )  # fmt: skip

    @property
    def linear(self) -> tuple[tuple[int, int], ...]:
        """Shapes (in, out) of one layer's linear maps: q, k, v, o, gate, up, down."""
        d, f, width = self.hidden, self.intermediate, self.heads * self.head_dim
        kv = self.kv_heads * self.head_dim
        return (d, width), (d, kv), (d, kv), (width, d), (d, f), (d, f), (f, d)

    @property
    def linear_parameters(self) -> int:
        """P: weights of all layers' linear maps."""
        return self.layers * sum(a * b for a, b in self.linear)

    @property
    def parameters(self) -> int:
        """All parameters: embedding, layers with two norms each, last norm, head if not tied."""
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return embeddings + self.linear_parameters + (2 * self.layers + 1) * self.hidden

    def lora_parameters(self, rank: int) -> int:
        """P_lora: rank (in + out) for every linear map of every layer."""
        return self.layers * rank * sum(a + b for a, b in self.linear)

    def attention_flops(self, tokens: int, length: int) -> int:
        """Scores and weighted values of all layers, `tokens` queries on `length` keys each."""
        return 4 * self.layers * self.heads * self.head_dim * length * tokens

    def forward_flops(self, tokens: int, length: int, wanted: int, rank: int = 0) -> int:
        """FLOPs of a forward pass; `wanted` tokens get logits; adapters of `rank` on top."""
        weights = self.linear_parameters + (self.lora_parameters(rank) if rank else 0)
        head = 2 * self.hidden * self.vocabulary * wanted
        return 2 * weights * tokens + self.attention_flops(tokens, length) + head

    def training_flops(
        self, tokens: int, length: int, wanted: int, rank: int, checkpointing: bool
    ) -> int:
        """FLOPs of forward and backward with LoRA; recomputing the layers if `checkpointing`."""
        forward = self.forward_flops(tokens, length, wanted, rank)
        backward = self.forward_flops(tokens, length, wanted) + self.attention_flops(tokens, length)
        again = self.forward_flops(tokens, length, 0, rank) if checkpointing else 0
        return forward + again + backward + 4 * self.lora_parameters(rank) * tokens

    def cache_bytes(self, tokens: int, dtype: str) -> int:
        """Keys and values of `tokens` tokens in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * BYTES[dtype] * tokens

    def activation_bytes(self, tokens: int, dtype: str, rank: int, checkpointing: bool) -> int:
        """Bytes saved for the backward pass; with checkpointing inputs of layers and one layer."""
        per_hidden, per_intermediate = SAVED[dtype]
        one = per_hidden * self.hidden + per_intermediate * self.intermediate + 28 * rank
        if checkpointing:
            return tokens * (self.layers * self.hidden * BYTES[dtype] + one)
        return tokens * self.layers * one


KNOWN = {
    hub.LLAMA: Architecture(32_000, 4096, 11_008, 32, 32, 32, 128, tied=False),
    "smollm2": Architecture(49_152, 576, 1536, 30, 9, 3, 64, tied=True),
}


def architecture(settings: Settings) -> Architecture:
    """Return the shape of the initial model; reads a `config.json` where there is a folder.

    Raises
    ------
    InvalidInputError
        Where the model is neither known nor on this machine.
    """
    if settings.initial == "tiny":
        from mechanism.llm.models import tiny

        return Architecture(
            1 + len(tiny.WORDS), tiny.WIDTH, 2 * tiny.WIDTH, tiny.LAYERS, tiny.HEADS, tiny.HEADS,
            tiny.WIDTH // tiny.HEADS, tied=False,
        )  # fmt: skip
    stands_in = settings.initial in settings.substitutes
    if settings.initial in KNOWN and not stands_in:
        return KNOWN[settings.initial]
    folder = hub.locate(settings.initial, settings.substitutes)
    if folder is None:
        rule = "neither a known model nor one on this machine, so its shape is not known"
        raise InvalidInputError("initial", settings.initial, rule, "name a folder with the model")
    return _read(folder, settings.initial)


def _read(folder: Path, name: str) -> Architecture:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    try:
        return Architecture.from_config(config)
    except KeyError as error:
        rule = f"its config.json has no {error.args[0]}, so it is not Llama-like"
        raise InvalidInputError("initial", name, rule, "plan a Llama-like model") from None


@dataclass(frozen=True)
class Accelerator:
    """What hours are estimated for: peak FLOP/s in bf16, bytes/s, bytes, and the share reached.

    `utilisation` of the peak in training and scoring; `reading` of the bandwidth in generation,
    low because plain `generate` spends much of every token outside the matrix products.
    """

    name: str = "NVIDIA A100 80 GB"
    peak: float = 312e12
    bandwidth: float = 2.0e12
    memory: float = 80e9
    utilisation: float = 0.35
    reading: float = 0.25

    def hours(self, flops: float, bytes_read: float = 0.0) -> float:
        """Hours of matrix products at `utilisation` and of token-by-token reading at `reading`."""
        seconds = flops / (self.peak * self.utilisation)
        return (seconds + bytes_read / (self.bandwidth * self.reading)) / 3600
