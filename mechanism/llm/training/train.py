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

from mechanism.llm.config import Settings
from mechanism.llm.models import policies
from mechanism.llm.stages import CLOCK, spent

GRPO_WARNING = (
    "GRPO does not maximise E[r] - lam KL: its penalty is differentiated with the prefix fixed."
    " Use trainer='rloo' where lam must mean the weight of the divergence."
)
SETTINGS = (
    "trainer", "steps", "batch_prompts", "completions", "accumulation", "learning_rate",
    "lora_rank", "lora_alpha", "lora_dropout", "lam", "max_new_tokens", "temperature", "seed",
    "dtype",
)  # fmt: skip


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
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(folder / "adapter"))
    (folder / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    _remove_checkpoints(folder)


def make_trainer(
    settings: Settings,
    initial: Path,
    prompts: Sequence[tuple[str, str]],
    reward: Any,
    folder: Path,
) -> Any:
    """Return the TRL trainer, ready to train."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, ProgressCallback
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    logging.getLogger("transformers.generation").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)
    if settings.trainer == "grpo":
        warnings.warn(GRPO_WARNING, stacklevel=2)
    config, trainer = {
        "rloo": (RLOOConfig, RLOOTrainer),
        "grpo": (GRPOConfig, GRPOTrainer),
    }[settings.trainer]
    model, tokenizer = policies.load(initial, settings)
    lora = LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=settings.lora_dropout,
        target_modules="all-linear", task_type="CAUSAL_LM",
    )  # fmt: skip
    rows = [prompts[k] for k in prompt_order(settings, len(prompts))]
    data = Dataset.from_list([{"prompt": text, "context": context} for text, context in rows])
    on_cpu = policies.device(settings) == "cpu"
    arguments = config(
        output_dir=str(folder), beta=settings.lam, num_iterations=1, max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_prompts * settings.completions,
        gradient_accumulation_steps=settings.accumulation, num_generations=settings.completions,
        max_completion_length=settings.max_new_tokens, temperature=settings.temperature,
        learning_rate=settings.learning_rate, lr_scheduler_type="constant", warmup_steps=0,
        seed=settings.seed, data_seed=settings.seed, shuffle_dataset=False,
        use_cpu=on_cpu, bf16=False, fp16=False,
        disable_dropout=settings.lora_dropout == 0, gradient_checkpointing=not on_cpu,
        save_strategy="steps", save_steps=settings.checkpoint_every, save_total_limit=1,
        logging_steps=1, report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    made = trainer(
        model=model, reward_funcs=[reward_function(reward)], args=arguments, train_dataset=data,
        processing_class=tokenizer, peft_config=lora,
    )  # fmt: skip
    for callback in (PrinterCallback, ProgressCallback):  # a line of forty figures a step
        made.remove_callback(callback)
    return made


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

    class Clock(TrainerCallback):
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
            (folder / CLOCK).write_text(json.dumps(round(seconds, 2)))

    return Clock()


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint: the trainer writes its state last."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def _remove_checkpoints(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
