"""Reward models of the `paper` scale: published classifiers, each asked in its own format.

Scores are raw logits, not in [0, 1] as at the smaller scales; they are min-max normalised where
the mechanism runs, over candidates. Formats follow the models' public descriptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError, ShapeError
from mechanism.llm.config import Settings
from mechanism.llm.hub.sources import REWARD_IDS, folder_of
from mechanism.llm.models import policies
from mechanism.tables.candidates import RANDOM

LONGEST = 1024  # tokens, where the model itself does not say less


@dataclass(frozen=True)
class Template:
    """How a classifier reads a completion: one text or a pair, and which logit is the reward.

    `{context}` is the dialogue or the post, `{completion}` the answer, `{bos}` the tokenizer's
    first token. `second` is None for a single text.
    """

    first: str
    second: str | None
    logit: int


TEMPLATES = {
    "harmless": Template("{context}", "{completion}", 0),
    "humor": Template("{completion}", None, 1),
    "faithful": Template("{completion}", "{context}", 1),
    "summary": Template("{completion} {bos} {context}", None, 0),
    "preference": Template("{context}", "{completion}", 0),
}


@dataclass(frozen=True, eq=False)
class HubReward:
    """A sequence classifier as a reward.

    Attributes
    ----------
    name : str
        Name of the reward.
    folder : Path
        Where the model and its tokenizer lie.
    template : Template
        Its input and the logit that is the reward.
    batch : int
        Texts at a time; texts of like length go together, and no score depends on the batch.
    device : str
        "cpu" or "cuda".
    """

    name: str
    folder: Path
    template: Template
    batch: int = 32
    device: str = "cpu"

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model = AutoModelForSequenceClassification.from_pretrained(self.folder)
        if self.template.logit >= model.config.num_labels:
            rule = f"logit {self.template.logit} of a model with {model.config.num_labels}"
            raise InvalidInputError("reward", self.name, rule, "use a classifier of that size")
        return _prepared(self.folder, model, self.device)

    def score(self, contexts: Sequence[str], completions: Sequence[str]) -> Floats:
        """Raw logit of each completion in its context, shape (N,), float64."""

        def read(model: Any, inputs: Any) -> Any:
            return model(**inputs).logits[:, self.template.logit]

        return _in_batches(self, contexts, completions, read)[:, 0]


@dataclass(frozen=True, eq=False)
class RandomProjection(HubReward):
    r"""The negative control: a fixed random direction in the embedding of a reward model.

    :math:`\sum_k g_k h_k / \|g\|` with h the mean last hidden state of the completion alone and g
    standard normal from seed 0. It knows nothing of harm, humor or summaries.
    """

    def score(self, contexts: Sequence[str], completions: Sequence[str]) -> Floats:  # noqa: D102
        def read(model: Any, inputs: Any) -> Any:
            mask = inputs["attention_mask"][..., None]
            states = model.base_model(**inputs).last_hidden_state.float()
            return (states * mask).sum(1) / mask.sum(1)

        means = _in_batches(self, contexts, completions, read)
        direction = np.random.default_rng(0).normal(size=means.shape[1])
        return means @ direction / np.linalg.norm(direction)


def load(settings: Settings, name: str) -> HubReward:
    """Return a reward by name: one of `TEMPLATES` or "random"; weights are read when it scores.

    Raises
    ------
    InvalidInputError
        Where there is no such reward, or its model is not on this machine.
    """
    known = RANDOM, *TEMPLATES
    if name not in known:
        raise InvalidInputError("reward", name, f"not among {', '.join(known)}", "name one")
    device, batch = policies.device(settings), min(32, settings.sample_batch)
    if name == RANDOM:
        folder = folder_of(REWARD_IDS[settings.rewards[0]], settings.substitutes)
        return RandomProjection(
            RANDOM, folder, Template("{bos}{completion}", None, 0), batch, device
        )
    folder = folder_of(REWARD_IDS[name], settings.substitutes)
    return HubReward(name, folder, TEMPLATES[name], batch, device)


def _prepared(folder: Path, model: Any, device: str) -> tuple[Any, Any]:
    """Return (model, tokenizer); a model that finds its last token by padding must know it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.to(device).eval(), tokenizer


def _in_batches(
    reward: HubReward, contexts: Sequence[str], completions: Sequence[str], read: Any
) -> Floats:
    """Apply `read(model, inputs)` to all texts, shape (N, values), in the order given."""
    import torch

    if len(contexts) != len(completions):
        found = f"{len(completions)} beside {len(contexts)} contexts"
        raise ShapeError("completions", found, "one context a completion", "repeat the context")
    model, tokenizer = reward._loaded
    pairs = [
        _filled(reward.template, tokenizer, *texts)
        for texts in zip(contexts, completions, strict=True)
    ]
    order = np.argsort([sum(map(len, pair)) for pair in pairs], kind="stable")
    longest = min(tokenizer.model_max_length, _positions(model), LONGEST)
    rows: list[Any] = []
    for start in range(0, len(order), reward.batch):
        chosen = [pairs[k] for k in order[start : start + reward.batch]]
        inputs = tokenizer(
            *map(list, zip(*chosen, strict=True)), return_tensors="pt", padding=True,
            truncation=True, max_length=longest,
        ).to(reward.device)  # fmt: skip
        with torch.inference_mode():
            rows.append(read(model, inputs).double().reshape(len(chosen), -1).cpu().numpy())
    if not rows:
        return np.zeros((0, 1))
    found_rows = np.concatenate(rows)
    return np.asarray(found_rows[np.argsort(order)], dtype=np.float64)


def _filled(template: Template, tokenizer: Any, context: str, completion: str) -> tuple[str, ...]:
    """Fill the template; a special token spelled out in a text must not act as one."""
    for special in tokenizer.all_special_tokens:
        context, completion = context.replace(special, ""), completion.replace(special, "")
    values = {"context": context, "completion": completion, "bos": tokenizer.bos_token or ""}
    parts = [template.first] if template.second is None else [template.first, template.second]
    return tuple(part.format(**values) for part in parts)


def _positions(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", None) or LONGEST)
