"""Supervised fine-tuning of the base model: the initial model that divergences start from.

TRL's `SFTTrainer` with LoRA on the preferred answers, then one merge in float32, so that the
initial model is an ordinary model and its rounding happens once.
"""

import os
from pathlib import Path
from typing import Any

from mechanism.llm.config import Settings
from mechanism.llm.hub.sources import DATA, folder_of
from mechanism.llm.models import policies
from mechanism.llm.training import lora, train

BATCH = 8  # texts an optimiser step, over all processes
LONGEST = 512  # tokens of prompt and answer together; what is longer is cut


def sft(settings: Settings, base: Path, folder: Path) -> None:
    """Fine-tune `base` for `sft_steps` steps and write the merged model into `folder`.

    Checkpoints lie in `folder/checkpoints` until the end; a run that finds one goes on from it.
    With several processes (`launch`) all of them train and the first one writes.
    """
    from accelerate import PartialState
    from transformers import set_seed

    set_seed(settings.seed)
    trainer = make_trainer(settings, base, folder / "checkpoints")
    last = train._last_checkpoint(folder / "checkpoints")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(folder / "adapter"))
    PartialState().wait_for_everyone()
    if PartialState().is_main_process:
        _merge(settings, base, folder)
        train._remove_checkpoints(folder)


def make_trainer(settings: Settings, base: Path, folder: Path) -> Any:
    """Return TRL's trainer on the preferred answers: loss on the answer alone."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from mechanism.llm.hub import data as hub_data

    model, tokenizer = policies.load(base, settings)
    data = folder_of(DATA[settings.game], settings.substitutes)
    rows = [
        {
            "prompt": policies.format_prompt(tokenizer, e.prompt.text, settings.system),
            "completion": " " + e.answer,
        }
        for e in hub_data.examples(settings.game, data)
        if e.prompt.split == "train"
    ]
    on_cpu = policies.device(settings) == "cpu"
    arguments = SFTConfig(
        output_dir=str(folder), max_steps=settings.sft_steps, max_length=LONGEST,
        per_device_train_batch_size=max(1, BATCH // int(os.environ.get("WORLD_SIZE", "1"))),
        learning_rate=settings.sft_learning_rate, lr_scheduler_type="linear",
        seed=settings.seed, data_seed=settings.seed, use_cpu=on_cpu, bf16=False, fp16=False,
        gradient_checkpointing=not on_cpu, save_strategy="steps",
        save_steps=max(1, settings.sft_steps // 20), save_total_limit=1, logging_steps=50,
        report_to=[], dataloader_pin_memory=False,
    )  # fmt: skip
    return SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora.configuration(settings, model, settings.lora_dropout),
    )  # fmt: skip


def _merge(settings: Settings, base: Path, folder: Path) -> None:
    """Add the adapter to the weights in float32, round once, save."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged: Any = PeftModel.from_pretrained(whole, str(folder / "adapter")).merge_and_unload()
    merged.to(getattr(torch, settings.dtype)).save_pretrained(folder)
    policies.load_tokenizer(base).save_pretrained(folder)
