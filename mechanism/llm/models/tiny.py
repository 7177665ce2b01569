r"""A language model so small that every completion can be listed, so that all answers are exact.

A randomly initialised two-layer Llama writes at most three of eleven words: 1464 completions in
all. Its distribution over them is computed, not sampled, so `exact_game` is an `RLHFGame` whose
optimum, valuations and payments the core knows in closed form. Rewards are logistic in word
weights, and the two of a game conflict. Everything else (tokenizer, sampling, LoRA, trainers) is
what the larger scales use.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechanism import KL, RLHFGame
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.prompts import SPLITS, Prompt

END = "<end>"  # id 0: ends a completion and pads; the model has no other special token to emit
WORDS = (
    "kind", "thanks", "sorry", "story", "facts", "and", "no", "ha", "joke", "pun", "fool",
)  # fmt: skip
MAX_NEW_TOKENS = 3
REQUESTS = ("story and joke", "facts", "no joke and thanks", "sorry and story")
WIDTH, LAYERS, HEADS = 64, 2, 4
SPREAD = 0.1  # of the initial weights; next-token probabilities then differ about tenfold

# Word weights in the order of WORDS: logits, so that three fitting words come close to 1.
WEIGHTS: dict[str, tuple[float, ...]] = {
    "harmless": (1.5, 1.2, 1.0, 0.3, 0.3, 0.0, -0.6, -0.3, -0.6, -0.9, -2.0),
    "humor": (-0.9, -0.9, -1.2, 0.6, -0.9, 0.0, -0.3, 1.0, 1.5, 1.2, 0.6),
    "faithful": (0.0, 0.0, 0.0, 0.3, 0.6, 0.3, 0.0, -0.6, -0.6, -0.6, -0.9),
    "summary": (-0.6, -0.9, -0.9, -0.9, 0.3, -1.2, -0.6, -0.9, -0.6, -0.6, -0.6),
}
BIAS = {"harmless": 0.0, "humor": -0.5, "faithful": -1.0, "summary": 1.5, "random": 0.0}
ECHO = {"harmless": 0.0, "humor": 0.5, "faithful": 1.5, "summary": -0.5, "random": 0.0}


def definition() -> str:
    """Return 12 hexadecimal digits that change with the model, the requests or the rewards.

    >>> len(definition())
    12
    """
    parts = (WORDS, MAX_NEW_TOKENS, REQUESTS, WIDTH, LAYERS, HEADS, SPREAD, WEIGHTS, BIAS, ECHO)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def prompts() -> tuple[Prompt, ...]:
    """Return four requests for training and the same four for each other split.

    >>> len(prompts()), prompts()[0].text
    (12, 'story and joke')
    """
    return tuple(Prompt(text, text, split) for split in SPLITS for text in REQUESTS)


@dataclass(frozen=True)
class TinyReward:
    r"""Reward in [0, 1] of a text by its words, sigma(bias + sum_w (weight_w + echo [w asked])).

    `echo` rewards (or punishes) words that the request has too, so that the optimum differs by
    prompt. "random", the control, has fixed random weights that are orthogonal to all other
    rewards' and sum to 0.

    Raises
    ------
    InvalidInputError
        If there is no reward of this name.

    Examples
    --------
    >>> TinyReward("humor").score(["facts", "joke"], ["joke ha", "joke ha"]).round(3).tolist()
    [0.881, 0.924]
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in BIAS:
            rule = "no tiny reward of this name"
            raise InvalidInputError("name", self.name, rule, f"use one of {', '.join(BIAS)}")

    def score(self, contexts: Sequence[str], completions: Sequence[str]) -> Floats:
        """Return the rewards of completions to requests, shape (N,), reward units."""
        said, asked = _counts(completions), _counts(contexts)
        logit = BIAS[self.name] + said @ _weights(self.name)
        logit = logit + ECHO[self.name] * (said * (asked > 0)).sum(axis=1)
        return 1 / (1 + np.exp(-logit))


def _weights(name: str) -> Floats:
    if name in WEIGHTS:
        return np.array(WEIGHTS[name])
    # orthogonal to 1 too: otherwise the control would depend on length, as "summary" does
    tables = np.array([*WEIGHTS.values(), np.ones(len(WORDS))]).T
    drawn = np.random.default_rng(0).normal(size=len(WORDS))
    return drawn - tables @ np.linalg.lstsq(tables, drawn)[0]


def _counts(texts: Sequence[str]) -> Floats:
    """How often each word occurs in each text, shape (N, words)."""
    words = [text.split() for text in texts]
    try:
        ids = [WORDS.index(word) for text in words for word in text]
    except ValueError:
        unknown = next(word for text in words for word in text if word not in WORDS)
        fix = f"use only {', '.join(WORDS)}"
        raise InvalidInputError("text", unknown, "not a word of the tiny model", fix) from None
    counts = np.zeros((len(texts), len(WORDS)))
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in words])
    np.add.at(counts, (rows, np.array(ids, dtype=int)), 1)
    return counts


def make_initial(folder: Path, seed: int) -> None:
    """Write a randomly initialised model and its tokenizer into `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1 + len(WORDS), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
        max_position_embeddings=32, initializer_range=SPREAD, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordLevel({word: k for k, word in enumerate((END, *WORDS))}))
    inner.pre_tokenizer = WhitespaceSplit()
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=inner, eos_token=END, pad_token=END, padding_side="left",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Completions:
    """Every completion that the model can write.

    Attributes
    ----------
    tokens : ndarray of int, shape (m, L)
        Token ids; 0 from the end on.
    mask : ndarray of bool, shape (m, L)
        True up to the first end token, which counts.
    texts : tuple of str
        What rewards read; no two are the same.
    """

    tokens: NDArray[np.int_]
    mask: NDArray[np.bool_]
    texts: tuple[str, ...]


def enumerate_completions(length: int = MAX_NEW_TOKENS) -> Completions:
    """List every completion of at most `length` tokens.

    >>> [len(enumerate_completions(length).texts) for length in (1, 2, 3)]
    [12, 133, 1464]
    """
    every = np.indices((1 + len(WORDS),) * length).reshape(length, -1).T
    ended = np.cumsum(every == 0, axis=1)
    tokens = every[((ended > 0) == (every == 0)).all(axis=1)]
    mask = np.cumsum(tokens == 0, axis=1) <= 1
    texts = tuple(" ".join(WORDS[k - 1] for k in row if k > 0) for row in tokens)
    return Completions(tokens, mask, texts)


def exact_log_probs(
    model: Any, tokenizer: Any, requests: Sequence[str], length: int = MAX_NEW_TOKENS
) -> Floats:
    """Return log pi(completion | request) in nats, shape (requests, m), of every completion.

    The model runs in its own precision, once per beginning of a completion; its logits are
    normalised in float64, so that the probabilities of each request sum to 1 within 1e-12.
    """
    every, words = enumerate_completions(length), len(WORDS)
    beginnings = 1 + np.indices((words,) * (length - 1)).reshape(length - 1, -1).T
    place = np.zeros(len(every.tokens), dtype=int)
    steps = []
    tables = [_next_token(model, tokenizer, text, beginnings) for text in requests]
    for t in range(length):
        steps.append(np.stack([table[t] for table in tables])[:, place, every.tokens[:, t]])
        place = np.where(every.tokens[:, t] > 0, place * words + every.tokens[:, t] - 1, 0)
        place = np.minimum(place, words ** (t + 1) - 1)
    return np.asarray((np.stack(steps, axis=-1) * every.mask).sum(axis=-1))


def _next_token(
    model: Any, tokenizer: Any, text: str, beginnings: NDArray[np.int_]
) -> list[Floats]:
    """Log-probability of the next token after each t words, t = 0, 1, ..: shapes (W^t, 1 + W)."""
    import torch

    asked = np.array(tokenizer(text, add_special_tokens=False).input_ids)
    rows = np.hstack([np.tile(asked, (len(beginnings), 1)), beginnings])
    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(rows).to(model.device)).logits.double()
    scores = logits[:, len(asked) - 1 :].log_softmax(-1).cpu().numpy()
    deepest = beginnings.shape[1]
    return [scores[:: len(WORDS) ** (deepest - t), t] for t in range(deepest + 1)]


def reward_table(
    rewards: Sequence[Any], requests: Sequence[str], length: int = MAX_NEW_TOKENS
) -> Floats:
    """Return the reward of every completion to every request, shape (requests, rewards, m)."""
    texts = enumerate_completions(length).texts
    contexts = [request for request in requests for _ in texts]
    scores = [r.score(contexts, list(texts) * len(requests)) for r in rewards]
    return np.stack([s.reshape(len(requests), len(texts)) for s in scores], axis=1)


def exact_game(
    model: Any,
    tokenizer: Any,
    requests: Sequence[str],
    rewards: Sequence[Any],
    sizes: Sequence[float],
    lam: float,
) -> RLHFGame:
    """Return the game that fine-tuning plays, one per request: rewards (P, n, m), KL(lam).

    Outcomes are in the order of `enumerate_completions`; the reference is the model given.
    """
    reference = np.exp(exact_log_probs(model, tokenizer, requests))
    return RLHFGame(reward_table(rewards, requests), np.array(sizes), reference, KL(lam))
