"""Models for reports on a GPU within a time limit, by a plan; see `make llm-gpu`.

``python -m mechanism.llm.studies.gpu --out FOLDER --seconds 500`` works through `gpu_plan.PLAN`.
What is needed most comes first; what the time does not allow is left out and named. Every finished
table is on disk at once; `gpu_record` makes records of the folder.
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
from mechanism.llm.config import REWARDS, Settings, preset
from mechanism.llm.models import policies, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import evaluate, record
from mechanism.llm.studies import gpu_rloo
from mechanism.llm.studies.gpu_plan import EVERYTHING, PLAN, Job
from mechanism.llm.training import pool, regression, rounds
from mechanism.tables.candidates import INITIAL, RANDOM, soup_name
from mechanism.tables.trained import objectives

SETTINGS: dict[str, Any] = {
    "trainer": "regression", "train": True, "dtype": "float32", "prompt_tokens": 128,
    "train_prompts": 330, "held_out_prompts": 64, "samples": 16, "support_prompts": 64,
    "support_samples": 64, "sample_batch": 1024, "pool_samples": 48, "rounds": 1,
    "round_samples": 24, "fit_batch": 512, "frozen_layers": 15, "schedule": "cosine",
    "warmup": 0.1, "max_grad_norm": 0.0,
}  # fmt: skip
TINY: dict[str, Any] = {
    "trainer": "regression", "pool_samples": 1200, "fit_batch": 160, "fit_epochs": 6, "rounds": 0,
    "warmup": 0.1, "samples": 256, "support_samples": 256,
}  # fmt: skip
COMMANDS = {
    "small": "make llm-gpu",
    "tiny": "python -m mechanism.llm.studies.gpu --scale tiny --out FOLDER --seconds 3600",
}


def slug(name: str) -> str:
    """Return the name of a model's files.

    >>> slug("alpha 2 at 5, 5")
    'alpha_2_at_5,_5'
    """
    return name.replace(" ", "_")


@dataclass
class Machine:
    """One game and seed: its model in memory, its prompts, and where results go."""

    settings: Settings
    out: Path
    deadline: float
    slowest: float = 0.0
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
        ending = f"_{gpu_rloo.FOLDER}" if s.trainer == "rloo" else ""
        self.folder = self.out / f"{s.game}_{s.seed}{ending}"
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log.json"
        self.notes = json.loads(log.read_text("utf-8")) if log.exists() else []

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def note(self, **what: Any) -> None:
        """Print a line of the log and keep it."""
        self.notes.append(what | {"left": round(self.left, 1)})
        print(json.dumps(self.notes[-1]), flush=True)
        (self.folder / "log.json").write_text(json.dumps(self.notes, indent=1), encoding="utf-8")

    def took(self, name: str, start: float, **what: Any) -> None:
        """Note a model that was begun at `start`, and how long the slowest one took."""
        seconds = time.monotonic() - start
        self.slowest = max(self.slowest, seconds)
        self.note(model=name, seconds=round(seconds, 1), **what)

    def sample(self, name: str, model: Any = None, samples: int = 0) -> pd.DataFrame:
        """Draw from a model on held-out prompts; keep the table, and the law where it is known."""
        s, chosen = self.settings, model or self.model
        table = evaluate.sample_model(
            s, chosen, self.tokenizer, self.held, self.rewards, samples or s.samples, name
        )
        table.to_parquet(self.folder / f"{slug(name)}.parquet", compression="zstd")
        if s.preset == "tiny":
            from mechanism.llm.models.tiny import exact_log_probs

            law = exact_log_probs(chosen, self.tokenizer, [prompt.text for prompt in self.held])
            np.save(self.folder / f"{slug(name)}.npy", law)
        return table

    def fit(
        self, name: str, weights: Floats, first: pool.Pool, known: regression.Values, again: bool
    ) -> None:
        """Train one model from the pool, and by rounds of its own if `again`; sample it."""
        start = time.monotonic()
        self.model.load_state_dict(self.fresh, strict=False)
        log = rounds.note(
            regression.train(self.model, first, weights, self.settings, known), first, 0
        )
        if again and self.settings.rounds:
            self.sample(f"{name} pool")
            arguments = (self.settings, self.train, self.rewards, weights)
            for _, lines in rounds.rounds(self.model, self.tokenizer, *arguments):
                log += lines
        self.sample(name)
        text = json.dumps(log)
        (self.folder / f"{slug(name)}.json").write_text(text, encoding="utf-8")
        self.took(name, start, loss=log[-1]["loss"])

    def draw(self) -> tuple[pool.Pool, regression.Values]:
        """Return the pool of the initial model, and the values that every fit to it needs."""
        s = self.settings
        self.model.load_state_dict(self.fresh, strict=False)
        drawn = pool.draw_pool(
            self.model, self.tokenizer, self.train, self.rewards, s.pool_samples, s, s.seed
        )
        self.note(pool=drawn.size)
        known = regression.pool_values(drawn, s.seed)
        self.note(values=round(known[1], 3))
        return drawn, known


def base(machine: Machine, first: pool.Pool, known: regression.Values, points: int) -> None:
    """Sample the initial model; train for both rewards; sample their soups."""
    s, adapters = machine.settings, []
    machine.model.load_state_dict(machine.fresh, strict=False)
    machine.sample(INITIAL, samples=s.support_samples)
    for k, name in enumerate(s.rewards):
        machine.fit(name, np.eye(3)[k], first, known, again=True)
        adapters.append(machine.folder / f"adapter_{name}")
        machine.model.save_pretrained(str(adapters[-1]))
    plain, _ = policies.load(machine.initial, s)
    model = soups.attach(plain, adapters)
    for weights in soups.soup_weights(points)[1:-1]:
        soups.use_soup(model, weights)
        machine.sample(soup_name(weights[0]), model)
    machine.note(soups=points)


def work(machine: Machine, job: Job, seconds_a_model: float) -> Iterator[str]:
    """Make everything of one job in order; yield the names of what is left out.

    Only models of single rewards get rounds of their own; the others are fitted to the pool alone.
    By RLOO a model draws for itself, and the initial one is sampled to be compared with.
    """
    drawn = None if job.rloo else machine.draw()
    if drawn is None:
        machine.sample(INITIAL)
    elif job.base:
        base(machine, *drawn, job.soups)
    for name in job.models:
        if machine.left < max(seconds_a_model, 1.2 * machine.slowest):
            yield name
        elif drawn is None:
            gpu_rloo.fit(machine, name)
        else:
            machine.fit(name, np.array(objectives()[name]), *drawn, again=False)


def do(
    jobs: tuple[Job, ...], out: Path, deadline: float, seconds_a_model: float,
    scale: str = "small", share: float = 1.0,
) -> None:  # fmt: skip
    """Do jobs one after the other, each with a model and a pool of its own."""
    for job in jobs:
        settings = settings_for(scale, job.game, job.seed, share)
        settings = gpu_rloo.rloo_settings(settings) if job.rloo else settings
        machine = Machine(settings, out / job.game, deadline)
        origin = record.origin(COMMANDS[scale], settings)
        begun, start = time.monotonic(), machine.folder / "origin.json"
        start.write_text(json.dumps(origin, indent=1), encoding="utf-8")
        (machine.folder / "settings.json").write_text(
            settings.model_dump_json(indent=1), encoding="utf-8"
        )
        if machine.left < seconds_a_model:
            machine.note(left_out=["base"] * job.base + list(job.models))
            continue
        left = list(work(machine, job, seconds_a_model))
        machine.note(left_out=left, job_seconds=round(time.monotonic() - begun, 1))
        _forget(machine)


def _forget(machine: Machine) -> None:
    """Free the memory of a job before the next one, or both would be held at once."""
    import gc

    import torch

    machine.model = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run(
    out: Annotated[Path, typer.Option(help="Folder for tables, adapters and logs.")],
    seconds: Annotated[float, typer.Option(help="Time limit.")] = 500,
    scale: Annotated[str, typer.Option(help="small, or tiny: one pool for everything.")] = "small",
    share: Annotated[float, typer.Option(help="Of prompts and samples; a dry run: 0.1.")] = 1.0,
    seed: Annotated[list[int], typer.Option(help="Seeds of the tiny scale.")] = [0],  # noqa: B006
    seconds_a_model: Annotated[float, typer.Option(help="Time kept for one more model.")] = 25,
) -> None:
    """Make pools, models and tables of a plan until the time is up."""
    import torch

    torch.set_float32_matmul_precision("high")
    jobs = PLAN
    if scale == "tiny":
        jobs = tuple(Job(game, k, EVERYTHING, True) for game in REWARDS for k in seed)
    do(jobs, out, time.monotonic() + seconds, seconds_a_model, scale, share)


def settings_for(scale: str, game: str, seed: int, share: float) -> Settings:
    """Return the settings of the run, counts of prompts and samples times `share`."""
    chosen = TINY if scale == "tiny" else SETTINGS
    counted = ("train_prompts", "held_out_prompts", "support_prompts", "pool_samples", "fit_batch",
               "round_samples")  # fmt: skip
    fewer = {name: max(4, round(share * chosen[name])) for name in counted if name in chosen}
    return preset(scale, game=game, seed=seed, **chosen | fewer)


if __name__ == "__main__":
    typer.run(run)
