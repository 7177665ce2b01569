"""One game on a GPU within a time limit: pool, models, soups, evaluation; see `make llm-gpu`.

``python -m mechanism.llm.runs.gpu --game harmless_humor --out FOLDER --seconds 500``. What the
book needs most comes first; what the time does not allow is left out and named. Every finished
table is on disk at once; `gpu_record` turns the folder into records.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from mechanism.core.errors import Floats
from mechanism.llm.config import Settings, preset
from mechanism.llm.models import policies, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import evaluate, record
from mechanism.llm.training import pool, regression, rounds
from mechanism.tables.candidates import INITIAL, RANDOM, SIZE_SCALE, SIZES, soup_name

SETTINGS: dict[str, Any] = {
    "trainer": "regression", "train": True, "dtype": "float32", "prompt_tokens": 128,
    "train_prompts": 330, "held_out_prompts": 64, "samples": 16, "support_prompts": 64,
    "support_samples": 64, "sample_batch": 1024, "pool_samples": 48, "rounds": 1,
    "round_samples": 24, "fit_batch": 512, "frozen_layers": 15, "schedule": "cosine",
    "warmup": 0.1, "max_grad_norm": 0.0,
}  # fmt: skip


def objectives() -> dict[str, tuple[float, float, float]]:
    """Return the weights (own, other, random) of every model beside those of single rewards.

    The control; SW-Max at the three size vectors; each group alone at its sizes; and at (5, 5)
    group 1's misreports alpha and beta, shares of its report among them.
    """
    named = {RANDOM: (0.0, 0.0, 1.0)}
    named |= {f"sw {a:g}-{b:g}": (SIZE_SCALE * a, SIZE_SCALE * b, 0.0) for a, b in SIZES}
    named |= {f"alone 1 {w:g}": (SIZE_SCALE * w, 0.0, 0.0) for w, _ in SIZES}
    named |= {f"alone 2 {w:g}": (0.0, SIZE_SCALE * w, 0.0) for w, _ in SIZES}
    named |= {f"alpha {a:g}": (0.5 * a, 0.5, 0.0) for a in (0.5, 2, 3, 0.25, 0.75)}
    return named | {f"beta {b:g}": (0.5 * b, 1 - 0.5 * b, 0.0) for b in (0.5, 1.5)}


@dataclass
class Machine:
    """One game and seed: its model in memory, its prompts, and where results go."""

    settings: Settings
    out: Path
    deadline: float
    notes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.initial = self.out / "initial"
        if not (self.initial / "config.json").exists():
            policies.write_initial(self.settings, self.initial)
        self.model, self.tokenizer = rounds.adapted(self.initial, self.settings)
        self.fresh = {k: v.clone() for k, v in self.model.state_dict().items() if "lora" in k}
        s = self.settings
        self.train = tasks.prompts(s, "train", s.train_prompts, self.tokenizer)
        self.held = tasks.prompts(s, "held-out", s.held_out_prompts, self.tokenizer)
        self.rewards = tasks.rewards(s, [*s.rewards, RANDOM])
        self.folder = self.out / f"{s.game}_{s.seed}"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def note(self, **what: Any) -> None:
        """Print a line of the log and keep it."""
        self.notes.append(what | {"left": round(self.left, 1)})
        print(json.dumps(self.notes[-1]), flush=True)
        (self.folder / "log.json").write_text(json.dumps(self.notes, indent=1), encoding="utf-8")

    def sample(self, name: str, model: Any = None, samples: int = 0) -> pd.DataFrame:
        """Draw from a model on held-out prompts; keep the table."""
        s = self.settings
        table = evaluate.sample_model(
            s, model or self.model, self.tokenizer, self.held, self.rewards, samples or s.samples,
            name,
        )  # fmt: skip
        table.to_parquet(self.folder / f"{name.replace(' ', '_')}.parquet", compression="zstd")
        return table

    def fit(self, name: str, weights: Floats, first: pool.Pool, again: bool) -> None:
        """Train one model from the pool, and by rounds of its own if `again`; sample it."""
        start = time.monotonic()
        self.model.load_state_dict(self.fresh, strict=False)
        log = regression.train(self.model, first, weights, self.settings)
        if again and self.settings.rounds:
            self.sample(f"{name} pool")
            arguments = (self.settings, self.train, self.rewards, weights)
            for _, lines in rounds.rounds(self.model, self.tokenizer, *arguments):
                log += lines
        self.sample(name)
        (self.folder / f"{name.replace(' ', '_')}.json").write_text(
            json.dumps(log), encoding="utf-8"
        )
        self.note(model=name, seconds=round(time.monotonic() - start, 1), loss=log[-1]["loss"])


def core(machine: Machine, points: int) -> pool.Pool:
    """Pool, initial model, the two reward models and their soups."""
    s = machine.settings
    machine.model.load_state_dict(machine.fresh, strict=False)
    first = pool.draw_pool(
        machine.model, machine.tokenizer, machine.train, machine.rewards, s.pool_samples, s, s.seed
    )
    machine.note(pool=first.size)
    machine.sample(INITIAL, samples=s.support_samples)
    adapters = []
    for k, name in enumerate(s.rewards):
        machine.fit(name, np.eye(3)[k], first, again=True)
        adapters.append(machine.folder / f"adapter_{name}")
        machine.model.save_pretrained(str(adapters[-1]))
    base, _ = policies.load(machine.initial, s)
    model = soups.attach(base, adapters)
    for weights in soups.soup_weights(points)[1:-1]:
        soups.use_soup(model, weights)
        machine.sample(soup_name(weights[0]), model)
    machine.note(soups=points)
    return first


def whole(machine: Machine, seconds_a_model: float) -> Iterator[str]:
    """Make everything of one seed in order; yield the names of what is left out."""
    first = core(machine, 3 if machine.settings.seed else machine.settings.soups)
    for name, weights in objectives().items():
        if machine.settings.seed or machine.left < seconds_a_model:
            yield name
        else:
            machine.fit(name, np.array(weights), first, again=False)


def run(
    out: Annotated[Path, typer.Option(help="Folder for tables, adapters and logs.")],
    game: Annotated[str, typer.Option(help="The game.")] = "harmless_humor",
    seed: Annotated[list[int], typer.Option(help="Seeds, the whole run for 0.")] = [0],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="Time limit.")] = 500,
    scale: Annotated[str, typer.Option(help="Preset of the model.")] = "small",
    share: Annotated[float, typer.Option(help="Of prompts and samples; a dry run: 0.1.")] = 1.0,
    seconds_a_model: Annotated[float, typer.Option(help="Time kept for one more model.")] = 40,
) -> None:
    """Make pools, models and tables of one game until the time is up."""
    import torch

    torch.set_float32_matmul_precision("high")
    deadline = time.monotonic() + seconds
    for number in seed:
        settings = settings_for(scale, game, number, share)
        machine = Machine(settings, out, deadline)
        origin = record.origin("make llm-gpu", settings)
        (machine.folder / "origin.json").write_text(json.dumps(origin, indent=1), encoding="utf-8")
        (machine.folder / "settings.json").write_text(
            settings.model_dump_json(indent=1), encoding="utf-8"
        )
        machine.note(left_out=list(whole(machine, seconds_a_model)))


def settings_for(scale: str, game: str, seed: int, share: float) -> Settings:
    """Return the settings of the run, counts of prompts and samples times `share`."""
    if scale == "tiny":
        return preset("tiny", game=game, seed=seed, trainer="regression", pool_samples=40,
                      fit_batch=40, rounds=1, round_samples=20)  # fmt: skip
    counted = ("train_prompts", "held_out_prompts", "support_prompts", "pool_samples", "fit_batch")
    fewer = {name: max(4, round(share * SETTINGS[name])) for name in counted}
    return preset(scale, game=game, seed=seed, **SETTINGS | fewer)


if __name__ == "__main__":
    typer.run(run)
