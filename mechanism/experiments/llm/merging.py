r"""What is lost by merging an adapter into bfloat16 weights: ``python -m mechanism...merging``.

A soup's change D of a weight matrix W is small beside W, and bfloat16 keeps 8 bits: W + D is
rounded to a multiple of about |W| / 256. Measured are the share of D lost in the weights,
`|round(W + D) - W - D| / |D|` (Frobenius norms), and what the loss does to the
log-probabilities of whole completions.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism.experiments.llm import policies, sample, soups
from mechanism.experiments.llm.config import Settings
from mechanism.experiments.llm.record import LOCAL, RECORDED, name_of, origin, read

RESULT = RECORDED / "merging.json"
COMPLETIONS = 64


def weights_lost(wrapped: Any, adapter: str) -> float:
    """Return the share of an adapter's change that rounding to the weights' own type loses."""
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
    settings: Settings, initial: Path, adapters: Sequence[Path], table: pd.DataFrame
) -> list[dict[str, float]]:
    """Return a line per soup weight: `weights_lost`, `effect` and `error` in nats.

    `effect` is the standard deviation over completions of the soup's log-ratio to the initial
    model, `error` that of the difference which merging makes to it.
    """
    model, tokenizer = policies.load(initial, settings)
    wrapped = soups.attach(model, adapters)
    drawn = [
        sample.Completion(
            0, k, tuple(tokenizer(text, add_special_tokens=False).input_ids), "", True
        )
        for k, text in enumerate(table["text"])
        if text
    ][:COMPLETIONS]
    asked = [policies.format_prompt(tokenizer, "Answer.", settings.system)]
    with wrapped.disable_adapter():
        first = sample.log_probs(wrapped, tokenizer, asked, drawn, settings)
    lines = []
    for weight in (1.0, 0.5, 0.1):
        soups.use_soup(wrapped, (weight, 1 - weight) if weight < 1 else (1.0, 0.0))
        loose = sample.log_probs(wrapped, tokenizer, asked, drawn, settings)
        lost = weights_lost(wrapped, "soup")
        wrapped.merge_adapter(["soup"])
        merged = sample.log_probs(wrapped, tokenizer, asked, drawn, settings)
        wrapped.unmerge_adapter()
        model, _ = policies.load(initial, settings)  # unmerging does not undo the rounding
        wrapped = soups.attach(model, adapters)
        lines.append(
            {
                "weight": weight,
                "weights_lost": lost,
                "effect": float(np.std(loose - first)),
                "error": float(np.std(merged - loose)),
            }
        )
    return lines


def record(game: str = "harmless_humor") -> dict[str, Any]:
    """Measure on the trained run of the small scale that was made here, and write the result."""
    run = read(LOCAL / "finished" / f"small_{game}_trained")
    places = {stage.rsplit("-", 1)[0]: LOCAL / "stages" / stage for stage in _stages(run)}
    adapters = [places[f"train-{name}"] / "adapter" for name in run.settings.rewards]
    result = origin("python -m mechanism.experiments.llm.merging", run.settings) | {
        "run": name_of(run.settings),
        "completions": COMPLETIONS,
        "soups": measure(run.settings, places["initial"], adapters, run.support),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _stages(run: Any) -> list[str]:
    return list(run.provenance["stages"])


def recorded() -> pd.DataFrame:
    """Return the recorded lines of `measure`."""
    return pd.DataFrame(json.loads(RESULT.read_text())["soups"])


if __name__ == "__main__":
    record()
