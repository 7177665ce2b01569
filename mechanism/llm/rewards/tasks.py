"""What a run is about: its prompts and its reward models, at each scale."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings
from mechanism.llm.models import policies
from mechanism.llm.prompts import Prompt, load_prompts


def prompts(settings: Settings, split: str, count: int, tokenizer: Any) -> tuple[Prompt, ...]:
    """Return the first `count` prompts of a split (see `SPLITS`) that are short enough.

    Raises
    ------
    InvalidInputError
        Where there are fewer; says how many there are.
    """
    found = [
        prompt
        for prompt in _all_prompts(settings)
        if prompt.split == split and _length(settings, prompt, tokenizer) <= settings.prompt_tokens
    ]
    if len(found) < count:
        limit = f"of at most {settings.prompt_tokens} tokens"
        rule = f"only {len(found)} {split} prompts {limit} in {settings.game}"
        raise InvalidInputError("prompts", count, rule, f"ask for {len(found)} or fewer")
    return tuple(found[:count])


def check_counts(settings: Settings) -> None:
    """Refuse a run that asks for more prompts than there are, whatever their length.

    Raises
    ------
    InvalidInputError
        Names the setting, and how many there are.
    """
    if settings.preset == "paper":  # its data are read once the model is there
        return
    asked = {"support_prompts": "held-out"}
    if settings.train:
        asked |= {"train_prompts": "train", "held_out_prompts": "held-out"}
    for name, split in asked.items():
        count = sum(prompt.split == split for prompt in _all_prompts(settings))
        if (value := getattr(settings, name)) > count:
            rule = f"{settings.game} has {count} {split} prompts"
            raise InvalidInputError(name, value, rule, f"ask for {count} or fewer")


def _length(settings: Settings, prompt: Prompt, tokenizer: Any) -> int:
    """Tokens of the prompt as the model reads it."""
    text = policies.format_prompt(tokenizer, prompt.text, settings.system)
    return len(tokenizer(text, add_special_tokens=False).input_ids)


def _all_prompts(settings: Settings) -> Sequence[Prompt]:
    if settings.preset == "tiny":
        from mechanism.llm.models import tiny

        return tiny.prompts()
    if settings.preset == "paper":
        from mechanism.llm.hub import data, sources

        folder = sources.folder_of(sources.DATA[settings.game], settings.substitutes)
        return data.prompts(settings.game, folder)
    return load_prompts(settings.game)


def rewards(settings: Settings, names: Sequence[str]) -> list[Any]:
    """Return the reward models of these names at the run's scale."""
    if settings.preset == "tiny":
        from mechanism.llm.models import tiny

        return [tiny.TinyReward(name) for name in names]
    if settings.preset == "paper":
        from mechanism.llm.hub import rewards as hub_rewards

        return [hub_rewards.load(settings, name) for name in names]
    from mechanism.llm.rewards import reward_models

    return list(reward_models.load(names))


def definitions(settings: Settings) -> dict[str, str | int]:
    """Return what prompts and rewards were made from, for the keys of stages that use them."""
    if settings.preset != "small":
        return {}
    from mechanism.llm.rewards import reward_models

    data = files("mechanism") / "data" / "llm"
    parts = ["heads.json", *sorted(p.name for p in data.iterdir() if settings.game in p.name)]
    content = b"".join((data / part).read_bytes() for part in parts)
    return {
        "rewards": reward_models.DEFINITION,
        "data": hashlib.sha256(content).hexdigest()[:12],
    }


def score(models: Sequence[Any], contexts: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """Return a column `reward_<name>` per reward, one row a completion."""
    if all(hasattr(model, "embed") for model in models):
        from mechanism.llm.rewards.reward_models import score_table

        return score_table(models, contexts, texts)
    return pd.DataFrame({f"reward_{m.name}": m.score(contexts, texts) for m in models})
