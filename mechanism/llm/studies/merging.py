r"""What is lost by merging an adapter into bfloat16 weights: ``python -m mechanism...merging``.

An adapter's change D of a weight matrix W is small beside W, and bfloat16 keeps 8 bits: W + D is
rounded to a multiple of about |W| / 256. Measured are the relative error that this leaves in D,
`|round(W + D) - W - D| / |D|` (Frobenius norms), and what it does to the log-probabilities of
whole completions, beside what rounding does to these without any merging.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism import folders
from mechanism.llm.config import Settings
from mechanism.llm.models import policies, sample, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import pipeline
from mechanism.llm.runs.record import LOCAL, RECORDED, origin
from mechanism.llm.stages import Store
from mechanism.llm.studies import learning_rates

RESULT = RECORDED / "merging.json"
PROMPTS, SAMPLES = 16, 4
SCALES = (1.0, 0.5, 0.1)


def weight_error(wrapped: Any, adapter: str) -> float:
    """Return the relative error that rounding to the weights' own type leaves in the change."""
    lost = whole = 0.0
    for module in wrapped.modules():
        if adapter in getattr(module, "lora_A", {}):
            change = module.get_delta_weight(adapter).detach().float()
            weight = module.get_base_layer().weight
            kept = (weight.float() + change).to(weight.dtype).float() - weight.float()
            lost += float(((kept - change) ** 2).sum())
            whole += float((change**2).sum())
    return float(np.sqrt(lost / whole))


def measure(
    settings: Settings, initial: Path, adapter: Path, asked: Sequence[str], samples: int = SAMPLES
) -> list[dict[str, float]]:
    """Return a line per scale of the adapter, over `samples` completions of every prompt.

    `weight_error`; and three standard deviations over completions, in nats: `effect`, of the
    log-ratio to the initial model; `error`, of what merging changes in it; `noise`, of what
    another batch size changes in the initial model's log-probability.
    """
    model, tokenizer = policies.load(initial, settings)
    drawn = sample.draw(model, tokenizer, asked, samples, settings, settings.seed)
    first = sample.log_probs(model, tokenizer, asked, drawn, settings)
    single = settings.model_copy(update={"sample_batch": 1})
    again = sample.log_probs(model, tokenizer, asked, drawn, single)
    lines = []
    for scale in SCALES:
        wrapped = soups.attach(policies.load(initial, settings)[0], [adapter])
        soups.use_soup(wrapped, (scale,))
        loose = sample.log_probs(wrapped, tokenizer, asked, drawn, settings)
        lost = weight_error(wrapped, "soup")
        wrapped.merge_adapter(["soup"])
        merged = sample.log_probs(wrapped, tokenizer, asked, drawn, settings)
        spreads = {"effect": loose - first, "error": merged - loose, "noise": again - first}
        line = {"scale": scale, "weight_error": lost}
        lines.append(line | {name: float(np.std(part)) for name, part in spreads.items()})
    return lines


def record(settings: Settings | None = None, root: Path = LOCAL / "stages") -> dict[str, Any]:
    """Measure on an adapter of `learning_rates`, trained if need be; write the result."""
    settings = settings or learning_rates.settings_of(learning_rates.RATES[0])
    store, reward = Store(root, print), settings.rewards[0]
    initial = pipeline.initial_model(settings, store)
    adapter = pipeline.adapter(settings, store, initial, reward)
    tokenizer = policies.load_tokenizer(initial.path)
    chosen = tasks.prompts(settings, "held-out", PROMPTS, tokenizer)
    asked = [policies.format_prompt(tokenizer, p.text, settings.system) for p in chosen]
    result = origin("python -m mechanism.llm.studies.merging", settings) | {
        "settings": settings.model_dump(mode="json"),
        "reward": reward,
        "completions": f"{PROMPTS} held-out prompts x {SAMPLES}, of the initial model",
        "scales": measure(settings, initial.path, adapter.path / "adapter", asked),
    }
    folders.write_text(RESULT, json.dumps(result, indent=1) + "\n")
    return result


def recorded() -> pd.DataFrame:
    """Return the recorded lines of `measure`."""
    return pd.DataFrame(json.loads(RESULT.read_text("utf-8"))["scales"])


if __name__ == "__main__":
    record()
