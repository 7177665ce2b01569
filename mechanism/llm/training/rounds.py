"""From prompts to an adapter by `regression`: one pool, one fit, then rounds on policy.

The pool of the initial model serves every model of a game; it is drawn for all rewards at once.
A round draws from the model as it is and fits once more, at half the learning rate.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.config import Settings
from mechanism.llm.models import policies
from mechanism.llm.prompts import Prompt
from mechanism.llm.training import lora, regression
from mechanism.llm.training.pool import Pool, draw_pool, load

POOL = "pool.pt"
SETTINGS = (
    "trainer", "pool_samples", "rounds", "round_samples", "fit_epochs", "fit_batch", "trace",
    "frozen_layers", "learning_rate", "warmup", "lora_rank", "lora_alpha", "lam", "max_new_tokens",
    "temperature", "seed", "dtype",
)  # fmt: skip
LATER = ("fit_to", "round_epochs")  # keyed only where they are not what earlier versions did
Log = list[dict[str, float]]


def made_from(settings: Settings) -> dict[str, Any]:
    """Return what the key of a training depends on; stages of earlier versions are found again."""
    fields = Settings.model_fields
    changed = [name for name in LATER if getattr(settings, name) != fields[name].default]
    return settings.only(*SETTINGS, *changed)


def upper_layers(model: Any, settings: Settings) -> range:
    """Return the layers that get an adapter.

    Raises
    ------
    InvalidInputError
        Where none is left.
    """
    layers = model.config.num_hidden_layers
    if settings.frozen_layers >= layers:
        rule = f"must leave one of the model's {layers} layers"
        raise InvalidInputError("frozen_layers", settings.frozen_layers, rule, "freeze fewer")
    return range(settings.frozen_layers, layers)


def adapted(initial: Path, settings: Settings) -> tuple[Any, Any]:
    """Return `(model, tokenizer)`: the initial model with a new adapter on its upper layers."""
    from peft import get_peft_model
    from transformers import set_seed

    base, tokenizer = policies.load(initial, settings)
    chosen = upper_layers(base, settings)
    set_seed(settings.seed)
    return get_peft_model(base, lora.configuration(settings, base, layers=chosen)), tokenizer


def write_pool(
    settings: Settings, initial: Path, prompts: Sequence[Prompt], rewards: Sequence[Any], out: Path
) -> None:
    """Draw the pool of the initial model and write it to `out/pool.pt`."""
    if len(prompts) < 2:
        fix = "values of one prompt are fitted on others: ask for 2 or more"
        raise InvalidInputError("train_prompts", len(prompts), "must be at least 2", fix)
    model, tokenizer = policies.load(initial, settings)
    upper_layers(model, settings)
    drawn = draw_pool(
        model, tokenizer, prompts, rewards, settings.pool_samples, settings, settings.seed
    )
    drawn.save(out / POOL)


def train(
    settings: Settings,
    initial: Path,
    pool: Path,
    prompts: Sequence[Prompt],
    rewards: Sequence[Any],
    weights: Floats,
    folder: Path,
) -> None:
    """Train for the weighted sum of `rewards`; write `adapter` and `log.json` into `folder`.

    After each fit the adapter is written to `checkpoints`, from where a killed run goes on.
    """
    model, tokenizer = adapted(initial, settings)
    log, done = _resume(model, folder / "checkpoints")
    first = load(pool / POOL, str(model.device))
    if done == 0:
        log += note(regression.train(model, first, weights, settings), first, 0)
        _checkpoint(model, folder / "checkpoints", log, 1)
    if settings.rounds >= max(done, 1):
        again = rounds(model, tokenizer, settings, prompts, rewards, weights, max(done, 1))
        for k, lines in again:
            log += lines
            _checkpoint(model, folder / "checkpoints", log, k + 1)
    model.save_pretrained(str(folder / "adapter"))
    (folder / "log.json").write_text(json.dumps(log, indent=1), encoding="utf-8")


def rounds(
    model: Any,
    tokenizer: Any,
    settings: Settings,
    prompts: Sequence[Prompt],
    rewards: Sequence[Any],
    weights: Floats,
    first: int = 1,
) -> Iterator[tuple[int, Log]]:
    """Draw from the model and fit it again, for each round from `first`; yield number and log."""
    for k in tqdm(range(first, settings.rounds + 1), desc="rounds", disable=None, leave=False):
        seed = settings.seed + 1000 * k
        own = draw_pool(model, tokenizer, prompts, rewards, settings.round_samples, settings, seed)
        half = {"fit_epochs": settings.round_epochs, "learning_rate": settings.learning_rate / 2}
        log = regression.train(
            model, own, weights, settings.model_copy(update=half | {"seed": seed})
        )
        yield k, note(log, own, k)


def note(log: Log, pool: Pool, number: int) -> Log:
    """Add to each step which round it belongs to and what the completions of that round earned."""
    means, spread = pool.rewards.mean(0).tolist(), pool.rewards.std(0).tolist()
    said: dict[str, float] = {"round": number, "kl": float(pool.log_ratio.sum(1).mean())}
    for name, mean, std in zip(pool.names, means, spread, strict=True):
        said |= {f"rewards/{name}/mean": mean, f"rewards/{name}/std": std}
    return [line | said for line in log]


def _checkpoint(model: Any, folder: Path, log: Log, done: int) -> None:
    """Write adapter and log of `done` finished fits, the marker last."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if "lora" in k}
    save_file(weights, str(folder / f"{done}.safetensors"))
    part = folder / "done.part"
    part.write_text(json.dumps({"done": done, "log": log}), encoding="utf-8")
    part.replace(folder / "done.json")


def _resume(model: Any, folder: Path) -> tuple[Log, int]:
    """Load the last checkpoint into the model, if there is one; return its log and number."""
    marker = folder / "done.json"
    if not marker.exists():
        return [], 0
    from safetensors.torch import load_file

    found = json.loads(marker.read_text(encoding="utf-8"))
    weights = load_file(str(folder / f"{found['done']}.safetensors"), device=str(model.device))
    model.load_state_dict(weights, strict=False)
    return found["log"], found["done"]
