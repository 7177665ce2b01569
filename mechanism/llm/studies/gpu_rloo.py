"""RLOO on the same card and at the same number of completions as a model by regression.

A model by regression sees the pool and the completions of its own rounds. RLOO gets as many, 64
prompts times 16 completions a step, by the settings that the small scale has for it.
"""

import time
from typing import Any

from mechanism.llm.config import Settings
from mechanism.llm.models import policies
from mechanism.llm.presets import PRESETS
from mechanism.llm.runs import evaluate
from mechanism.llm.training import train

STEP = {"batch_prompts": 16, "completions": 16, "accumulation": 4}
FOLDER = "rloo"  # what the names of folders end with


def rloo_settings(settings: Settings) -> Settings:
    """Return the settings of RLOO at the completions that regression would draw for one model.

    >>> from mechanism.llm.config import preset
    >>> s = rloo_settings(preset("small", train_prompts=330, pool_samples=48, round_samples=24,
    ...                          rounds=1))
    >>> s.batch, s.steps, s.schedule
    (1024, 23, 'linear')
    """
    s = settings
    texts = s.train_prompts * (s.pool_samples + s.rounds * s.round_samples)
    step = {name: min(size, s.train_prompts) for name, size in STEP.items()}
    given = {"trainer": "rloo", "schedule": PRESETS["small"]["schedule"], **step}
    made = s.model_copy(update=given)
    return made.model_copy(update={"steps": max(1, round(texts / made.batch))})


def fit(machine: Any, name: str) -> None:
    """Train one reward of a `gpu.Machine` by RLOO; sample the model and keep the trainer's log."""
    s, folder, start = machine.settings, machine.folder / f"adapter_{name}", time.monotonic()
    asked = [
        (policies.format_prompt(machine.tokenizer, prompt.text, s.system), prompt.context)
        for prompt in machine.train
    ]
    (reward,) = (reward for reward in machine.rewards if reward.name == name)
    train.train(s, machine.initial, asked, reward, folder)
    table = evaluate.evaluate(
        s, machine.initial, machine.held, machine.rewards, s.samples, [folder / "adapter"],
        (1.0,), name,
    )  # fmt: skip
    table.to_parquet(machine.folder / f"{name}.parquet", compression="zstd")
    machine.took(name, start)
