r"""Fine-tune a LoRA adapter for one reward, through TRL.

RLOO with `beta = lam` and one iteration per batch draws its gradient from
`E_pi [r - lam log(pi / pi0)]`: SW-Max's own objective for a single reward, without bias. GRPO is
offered, with a warning: it differentiates another penalty, and by default divides rewards by their
standard deviation within a prompt, after which lam no longer means what it says (see `trainers`).
"""

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mechanism import folders
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings
from mechanism.llm.models import policies
from mechanism.llm.stages import CLOCK, spent
from mechanism.llm.training import lora

GRPO_WARNING = (
    "GRPO does not maximise E[r] - lam KL: its penalty is differentiated with the prefix fixed."
    " Use trainer='rloo' where lam must mean the weight of the divergence."
)
SETTINGS = (
    "trainer", "steps", "batch_prompts", "completions", "accumulation", "learning_rate",
    "lora_rank", "lora_alpha", "lora_dropout", "lam", "max_new_tokens", "temperature", "seed",
    "dtype",
)  # fmt: skip
LATER = {  # keyed only where they differ from what earlier versions did
    name: Settings.model_fields[name].default for name in ("schedule", "warmup", "max_grad_norm")
}


def made_from(settings: Settings) -> dict[str, Any]:
    """Return what the key of a training depends on; stages of earlier versions are found again."""
    changed = [name for name, before in LATER.items() if getattr(settings, name) != before]
    mask = {"dropout": "of supervised fine-tuning alone"} if settings.lora_dropout else {}
    return settings.only(*SETTINGS, *changed) | mask | {"order": ORDER}


def train(
    settings: Settings,
    initial: Path,
    prompts: Sequence[tuple[str, str]],
    reward: Any,
    folder: Path,
) -> None:
    """Train for `reward` on `(formatted prompt, context)` pairs; write adapter and training log.

    Checkpoints lie in `folder/checkpoints` until the end, so that a killed run goes on from the
    last of them; `log.json` holds the trainer's figures of every step.
    """
    from transformers import set_seed

    set_seed(settings.seed)
    trainer = make_trainer(settings, initial, prompts, reward, folder / "checkpoints")
    trainer.add_callback(_clock(folder, reward.name))
    last = _last_checkpoint(folder / "checkpoints")
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except RuntimeError:
        _check_finite(trainer.model, settings)
        raise
    _check_finite(trainer.model, settings)
    trainer.save_model(str(folder / "adapter"))
    folders.write_text(folder / "log.json", json.dumps(trainer.state.log_history, indent=1))
    _remove_checkpoints(folder)


def _check_finite(model: Any, settings: Settings) -> None:
    """Refuse a training that diverged: torch would say so much later, and in other words."""
    import torch

    trained = (part for part in model.parameters() if part.requires_grad)
    if not all(bool(torch.isfinite(part).all()) for part in trained):
        rule = "the training diverged: weights are no longer finite"
        raise InvalidInputError("learning_rate", settings.learning_rate, rule, "lower it")


def make_trainer(
    settings: Settings,
    initial: Path,
    prompts: Sequence[tuple[str, str]],
    reward: Any,
    folder: Path,
) -> Any:
    """Return the TRL trainer of one reward, ready to train: prompts in an order of our own."""
    if settings.trainer == "grpo":
        warnings.warn(GRPO_WARNING, stacklevel=2)
    rows = [prompts[k] for k in prompt_order(settings, len(prompts))]
    return trainer_for(
        settings, initial, rows, [reward], folder, shuffle_dataset=False,
        save_strategy="steps", save_steps=settings.checkpoint_every, save_total_limit=1,
        logging_steps=1,
    )  # fmt: skip


def trainer_for(
    settings: Settings,
    initial: Path,
    rows: Sequence[tuple[str, str]],
    rewards: Sequence[Any],
    folder: Path,
    adapter: bool = True,
    **options: Any,
) -> Any:
    """Return TRL's trainer of `settings.trainer`; `options` are further arguments of TRL.

    `rows` are pairs of formatted prompt and context. Dropout is off: it would give the sampled and
    the scored log-probabilities different masks.
    """
    import trl
    from datasets import Dataset
    from transformers import PrinterCallback, ProgressCallback

    logging.getLogger("transformers.generation").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)
    kind = settings.trainer.upper()
    model, tokenizer = policies.load(initial, settings)
    made = getattr(trl, f"{kind}Trainer")(
        model=model,
        reward_funcs=[reward_function(reward) for reward in rewards],
        args=getattr(trl, f"{kind}Config")(**arguments(settings, folder) | options),
        train_dataset=Dataset.from_list([{"prompt": text, "context": c} for text, c in rows]),
        processing_class=tokenizer,
        peft_config=lora.configuration(settings, model) if adapter else None,
    )
    for callback in (PrinterCallback, ProgressCallback):  # a line of forty figures a step
        made.remove_callback(callback)
    return made


def arguments(settings: Settings, folder: Path) -> dict[str, Any]:
    """Return the arguments of TRL's trainers that the settings fix."""
    on_cpu = policies.device(settings) == "cpu"
    return {
        "output_dir": str(folder), "beta": settings.lam, "num_iterations": 1,
        "max_steps": settings.steps, "gradient_accumulation_steps": settings.accumulation,
        "per_device_train_batch_size": settings.batch_prompts * settings.completions,
        "num_generations": settings.completions, "temperature": settings.temperature,
        "max_completion_length": settings.max_new_tokens,
        "learning_rate": settings.learning_rate, "lr_scheduler_type": settings.schedule,
        "warmup_steps": round(settings.warmup * settings.steps),
        "max_grad_norm": settings.max_grad_norm, "seed": settings.seed,
        "data_seed": settings.seed, "use_cpu": on_cpu, "bf16": False, "fp16": False,
        "disable_dropout": True, "gradient_checkpointing": not on_cpu,
        "report_to": [], "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip


ORDER = 2  # counts the changes of `prompt_order`: adapters trained in another are not reused


def prompt_order(settings: Settings, prompts: int) -> list[int]:
    """Return which prompt every row of the whole training has: shuffled passes over all of them.

    Laid out in advance, since a trainer that shuffles at each pass goes on in another order after
    it was interrupted. Processes that train together share the rows.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    wanted = settings.steps * settings.batch_prompts * settings.accumulation * processes
    random = np.random.default_rng(settings.seed)
    passes = [random.permutation(prompts) for _ in range(-(-wanted // prompts))]
    return np.concatenate(passes)[:wanted].tolist()


def reward_function(reward: Any) -> Callable[..., list[float]]:
    """Return the reward model in the form in which TRL calls it."""

    def score(
        prompts: list[str], completions: list[str], context: list[str], **kwargs: Any
    ) -> list[float]:
        return [float(value) for value in reward.score(context, [c.strip() for c in completions])]

    score.__name__ = str(reward.name)
    return score


def _clock(folder: Path, reward: str) -> Any:
    """Show progress; note the working time with every checkpoint, for interrupted attempts."""
    from tqdm import tqdm
    from transformers import TrainerCallback

    earlier, start = spent(folder), time.perf_counter()

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, *rest: Any, **kwargs: Any) -> None:
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc=f"training for {reward}",
                unit="step", disable=None,
            )  # fmt: skip

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.bar.update()

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            self.bar.close()

        def on_save(self, *args: Any, **kwargs: Any) -> None:
            seconds = earlier + time.perf_counter() - start
            folders.write_text(folder / CLOCK, json.dumps(round(seconds, 2)))

    return Clock()


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint: the trainer writes its state last."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def _remove_checkpoints(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
