r"""One pool of completions, drawn once, from which every model of a game is trained.

A pool holds completions of one model to the training prompts, token by token: what was drawn, how
likely the initial model was to draw it, its rewards, and the states that value functions look at.
The layers below the first adapted one never change, so their output is kept and not recomputed.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mechanism.core.errors import Floats
from mechanism.llm.config import Settings
from mechanism.llm.models import policies, sample
from mechanism.llm.prompts import Prompt
from mechanism.llm.rewards import tasks

READ = 128  # completions of one forward pass


@dataclass(frozen=True, eq=False)
class Pool:
    """N completions of at most T tokens after prompts of at most H tokens; tensors on one device.

    Attributes
    ----------
    prompt : tensor of int, shape (N,)
        Number of the prompt of each completion.
    rewards : tensor, shape (N, R)
        Raw rewards, in the order of `names`.
    names : tuple of str
        The rewards.
    tokens, mask : tensor, shape (N, T)
        Token ids, and 1.0 up to the last token.
    attention : tensor, shape (N, H + T)
        1 where there is a token.
    states : tensor, shape (N, H + T, d)
        Output of the layers that are never adapted.
    log_initial : tensor, shape (N, T)
        Log-probability of each token under the initial model, nats.
    log_ratio : tensor, shape (N, T)
        Log-probability under the model that drew it, less `log_initial`.
    features : tensor, shape (N, T + 1, F)
        What value functions see of the text before each token, and of the whole.
    """

    prompt: Any
    rewards: Any
    names: tuple[str, ...]
    tokens: Any
    mask: Any
    attention: Any
    states: Any
    log_initial: Any
    log_ratio: Any
    features: Any

    @property
    def size(self) -> int:
        """Number N of completions."""
        return len(self.prompt)

    def save(self, path: Path) -> None:
        """Write the pool to one file."""
        import torch

        torch.save({f.name: getattr(self, f.name) for f in fields(self)}, path)


def load(path: Path, device: str) -> Pool:
    """Return the pool that `Pool.save` wrote."""
    import torch

    return Pool(**torch.load(path, map_location=device, weights_only=True))


def split(model: Any, layers: int) -> tuple[Any, Any]:
    """Return views of a causal model: its first `layers` layers, and the rest with its head.

    Both share all weights with the model; the second takes the first's output as embeddings.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    lower, upper = copy.copy(base.model), copy.copy(base)
    lower._modules = dict(base.model._modules)
    lower.layers, lower.norm = base.model.layers[:layers], _identity()
    inner = copy.copy(base.model)
    inner._modules = dict(base.model._modules)
    inner.layers = base.model.layers[layers:]
    upper._modules = dict(base._modules)
    upper.model = inner
    return lower, upper


def _identity() -> Any:
    from torch import nn

    return nn.Identity()


def token_log_probs(
    upper: Any, states: Any, attention: Any, tokens: Any, temperature: float
) -> tuple[Any, Any]:
    """Return log-probabilities (B, T) of the last T tokens, and last-layer states (B, T + 1, d)."""
    import torch

    length = tokens.shape[1]
    position = (attention.cumsum(1) - 1).clamp(min=0)
    hidden = upper.model(
        inputs_embeds=states, attention_mask=attention, position_ids=position, use_cache=False
    ).last_hidden_state[:, -length - 1 :]
    # one matrix: for a slice of three dimensions torch copies the head once a completion
    logits = upper.lm_head(hidden[:, :-1].flatten(0, 1)).float() / temperature
    scored = torch.nn.functional.cross_entropy(logits, tokens.flatten(), reduction="none")
    return -scored.view(tokens.shape), hidden


def draw_pool(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rewards: Sequence[Any],
    samples: int,
    settings: Settings,
    seed: int,
    batch: int = READ,
) -> Pool:
    """Draw `samples` completions of `model` to each prompt, score them, and keep their states.

    Parameters
    ----------
    model : model
        What draws; with an adapter, the initial model is the same with the adapter off.
    samples, seed : int
        Completions a prompt, and where their random numbers begin.
    batch : int
        Completions a forward pass.
    """
    asked = [policies.format_prompt(tokenizer, p.text, settings.system) for p in prompts]
    drawn = sample.draw(model, tokenizer, asked, samples, settings, seed)
    contexts, texts = [prompts[c.prompt].context for c in drawn], [c.text for c in drawn]
    scored = tasks.score(rewards, contexts, texts).to_numpy(float)
    names = tuple(reward.name for reward in rewards)
    return read_pool(model, tokenizer, asked, drawn, scored, names, settings, batch)


def read_pool(
    model: Any,
    tokenizer: Any,
    asked: Sequence[str],
    drawn: Sequence[sample.Completion],
    rewards: Floats,
    names: tuple[str, ...],
    settings: Settings,
    batch: int = READ,
) -> Pool:
    """Run the model once over drawn completions and keep what training needs."""
    import torch

    heads = [policies.prompt_ids(tokenizer, text) for text in asked]
    pairs = [(heads[c.prompt], c.tokens) for c in drawn]
    longest = max(len(tail) for _, tail in pairs)
    ids, attention, mask = sample.joined(pairs, longest, tokenizer.pad_token_id)
    ids, attention, mask = (part.to(model.device) for part in (ids, attention, mask))
    tokens = ids[:, -longest:]
    lower, upper = split(model, settings.frozen_layers)
    kept: dict[str, list[Any]] = {"states": [], "initial": [], "own": [], "features": []}
    adapted = hasattr(model, "disable_adapter")
    starts = range(0, len(drawn), batch)
    with torch.no_grad():
        for start in tqdm(starts, desc="reading", unit="batch", disable=None, leave=False):
            rows = slice(start, start + batch)
            position = (attention[rows].cumsum(1) - 1).clamp(min=0)
            states = lower(
                input_ids=ids[rows], attention_mask=attention[rows], position_ids=position,
                use_cache=False,
            ).last_hidden_state  # fmt: skip
            given = (states, attention[rows], tokens[rows], settings.temperature)
            own, hidden = token_log_probs(upper, *given)
            initial = own
            if adapted:
                with model.disable_adapter():
                    initial, hidden = token_log_probs(upper, *given)
            kept["states"].append(states)
            kept["own"].append(own * mask[rows])
            kept["initial"].append(initial * mask[rows])
            kept["features"].append(_features(states[:, -longest - 1 :], hidden, mask[rows]))
    joined = {name: torch.cat(parts) for name, parts in kept.items()}
    like = {"device": model.device}
    return Pool(
        torch.tensor([c.prompt for c in drawn], **like),
        torch.tensor(rewards, dtype=torch.float32, **like), names, tokens, mask, attention,
        joined["states"], joined["initial"], joined["own"] - joined["initial"], joined["features"],
    )  # fmt: skip


def _features(lower: Any, upper: Any, mask: Any) -> Any:
    """States of the last token, their mean over the completion so far, and its length."""
    import torch

    seen = torch.cat([torch.zeros_like(mask[:, :1]), mask], 1)[..., None]
    count = seen.cumsum(1)
    mean = (lower.float() * seen).cumsum(1) / count.clamp(min=1)
    parts = [lower.float(), upper.float(), mean, count / mask.shape[1], (count == 0).float()]
    return torch.cat(parts, -1).to(lower.dtype)
