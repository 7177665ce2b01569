"""Draw completions from a model, and the log-probability of completions under a model.

A completion is the tokens up to the end token, which counts, or up to `max_new_tokens`. Its
probability is the product of the model's own next-token probabilities at the run's temperature,
no token left out (no top-k, no top-p), so KL(pi || pi0) = E_pi log pi - log pi0 over completions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from mechanism.core.errors import Floats
from mechanism.llm.config import Settings
from mechanism.llm.models import policies


@dataclass(frozen=True)
class Completion:
    """One completion of prompt number `prompt`: its tokens and their text."""

    prompt: int
    sample: int
    tokens: tuple[int, ...]
    text: str
    ended: bool


def draw(
    model: Any, tokenizer: Any, prompts: Sequence[str], samples: int, settings: Settings, seed: int
) -> list[Completion]:
    """Draw `samples` completions for each prompt, `settings.sample_batch` at a time.

    Prompts of like length are drawn together; the result is in the order of the prompts.
    """
    import torch

    torch.manual_seed(seed)
    wanted = [index for index in range(len(prompts)) for _ in range(samples)]
    lengths = [len(policies.prompt_ids(tokenizer, text)) for text in prompts]
    order = sorted(range(len(wanted)), key=lambda row: lengths[wanted[row]])
    drawn: dict[int, tuple[int, ...]] = {}
    for rows in _batches(order, settings.sample_batch, "drawing"):
        asked = [wanted[row] for row in rows]
        inputs = _padded(tokenizer, [prompts[number] for number in asked], model.device)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with torch.inference_mode():
            known = _read(model, ids[:, :-1], mask[:, :-1], asked)
            found = model.generate(
                input_ids=ids, attention_mask=mask, past_key_values=known, do_sample=True,
                temperature=settings.temperature, top_k=0, top_p=1.0,
                max_new_tokens=settings.max_new_tokens, pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        for row, tokens in zip(rows, found[:, ids.shape[1] :].tolist(), strict=True):
            drawn[row] = _cut(tokens, tokenizer.eos_token_id)
    return [_completion(tokenizer, wanted[r], r % samples, drawn[r]) for r in range(len(wanted))]


def log_probs(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    completions: Sequence[Completion],
    settings: Settings,
) -> Floats:
    """Return log pi(completion | prompt) of each completion, in nats, shape (N,).

    The model runs in its own precision, the sum over tokens in float32.
    """
    import torch

    heads = [policies.prompt_ids(tokenizer, text) for text in prompts]
    lengths = [len(heads[c.prompt]) + len(c.tokens) for c in completions]
    order = sorted(range(len(completions)), key=lengths.__getitem__)
    result = np.zeros(len(completions))
    for rows in _batches(order, settings.sample_batch, "scoring"):
        longest = max(len(completions[row].tokens) for row in rows)
        texts = [(heads[completions[row].prompt], completions[row].tokens) for row in rows]
        ids, mask, counted = joined(texts, longest, tokenizer.pad_token_id)
        ids, mask = ids.to(model.device), mask.to(model.device)
        kept, known = ids.shape[1] - longest - 1, [completions[row].prompt for row in rows]
        with torch.inference_mode():
            logits = model(
                input_ids=ids[:, kept:], attention_mask=mask, position_ids=_places(mask)[:, kept:],
                past_key_values=_read(model, ids[:, :kept], mask[:, :kept], known),
                logits_to_keep=longest + 1,
            ).logits[:, :-1].float()  # fmt: skip
        chosen = ids[:, -longest:]
        scores = (logits / settings.temperature).log_softmax(-1)
        picked = scores.gather(2, chosen[..., None]).squeeze(2).cpu()
        result[rows] = (picked * counted).sum(1).double().numpy()
    return result


def _batches(order: Sequence[int], size: int, verb: str) -> Iterator[list[int]]:
    starts = range(0, len(order), size)
    for start in tqdm(starts, desc=verb, unit="batch", disable=None, leave=False):
        yield list(order[start : start + size])


def _read(model: Any, ids: Any, mask: Any, asked: Sequence[int]) -> Any:
    """Return the keys and values of tokens before all others, each distinct prompt read once.

    `ids` and `mask` have a row for every entry of `asked`, the number of its prompt.
    """
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    if not ids.shape[1]:
        return cache
    first = {number: row for row, number in reversed(list(enumerate(asked)))}
    once = torch.tensor(list(first.values()), device=ids.device)
    model(
        input_ids=ids[once], attention_mask=mask[once], position_ids=_places(mask[once]),
        past_key_values=cache, logits_to_keep=1,
    )  # fmt: skip
    place = {number: k for k, number in enumerate(first)}
    cache.batch_select_indices(torch.tensor([place[n] for n in asked], device=ids.device))
    return cache


def _places(mask: Any) -> Any:
    """Return the position of each token among those that are not padding."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _padded(tokenizer: Any, texts: Sequence[str], device: Any) -> dict[str, Any]:
    ids = {"input_ids": [policies.prompt_ids(tokenizer, text) for text in texts]}
    tokens = tokenizer.pad(ids, return_tensors="pt")
    return {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}


def joined(
    texts: Sequence[tuple[Sequence[int], Sequence[int]]], longest: int, pad: int
) -> tuple[Any, Any, Any]:
    """Prompts end in one column: padding before each prompt and after each completion."""
    import torch

    width = max(len(head) for head, _ in texts)
    ids = torch.full((len(texts), width + longest), pad)
    mask = torch.zeros_like(ids)
    for row, (head, tail) in enumerate(texts):
        columns = slice(width - len(head), width + len(tail))
        ids[row, columns] = torch.tensor([*head, *tail])
        mask[row, columns] = 1
    return ids, mask, mask[:, width:].float()


def _cut(tokens: Sequence[int], end: int) -> tuple[int, ...]:
    """Tokens up to the first end token, which counts."""
    return tuple(tokens[: tokens.index(end) + 1] if end in tokens else tokens)


def _completion(tokenizer: Any, prompt: int, sample: int, tokens: tuple[int, ...]) -> Completion:
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    return Completion(prompt, sample, tokens, text.strip(), tokens[-1] == tokenizer.eos_token_id)
