"""From settings to sample tables: initial model, fine-tuning, soups, evaluation.

Every step is a stage (see `stages`): finished ones are found again, an interrupted one costs at
most the time since its last checkpoint. The mechanism itself runs on the sample tables
(`candidates`, `support`, `curves`) and needs no language model.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mechanism.llm.config import Settings
from mechanism.llm.models import policies, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import evaluate
from mechanism.llm.stages import Stage, Store
from mechanism.sweeps import Where, ordered
from mechanism.tables.candidates import INITIAL, RANDOM
from mechanism.tables.trained import objectives, unmixed

PROMPTS = ("game", "system", "prompt_tokens")
DISTRIBUTED = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SAMPLING = (*PROMPTS, "max_new_tokens", "temperature", "seed", "dtype", "sample_batch")


@dataclass(frozen=True)
class Run:
    """A finished run: its settings, its stages in order, and all drawn samples.

    `samples` has the candidates and the initial model (the trained route), `support` many
    completions of the initial model alone (the training-free route), `exact` every completion
    there is (the tiny scale; see `exact`).
    """

    settings: Settings
    stages: tuple[Stage, ...]
    samples: pd.DataFrame | None
    support: pd.DataFrame
    exact: pd.DataFrame | None = None

    @property
    def seconds(self) -> float:
        """Working time of all stages, also of those that were made earlier."""
        return sum(stage.seconds for stage in self.stages)


def run(settings: Settings, root: Path, say: Callable[[str], None] = print) -> Run:
    """Make what is missing of a run below `root`, and return all of it."""
    store, settings = Store(root, say), policies.settled(settings)
    initial = initial_model(settings, store)
    if not settings.train:
        support = sample_table(settings, store, initial, "support")
        return Run(settings, (initial, support), None, _read(support))
    _enough_prompts(settings, initial)
    adapters = [adapter(settings, store, initial, name) for name in settings.rewards]
    tables = [sample_table(settings, store, initial, INITIAL)]
    for name, weights in soups.recipes(settings.soups, settings.soup_scales).items():
        tables.append(sample_table(settings, store, initial, name, adapters, weights))
    support = sample_table(settings, store, initial, "support")
    drawn = [pool(settings, store, initial)] if settings.trainer == "regression" else []
    stages = [initial, *drawn, *adapters, *tables, support]
    alone = {name: adapter(settings, store, initial, name) for name in _unmixed(settings)}
    for name, trained in alone.items():
        tables.append(sample_table(settings, store, initial, name, [trained], (1.0,)))
        stages += [trained, tables[-1]]
    exact = None
    if settings.preset == "tiny":
        stages.append(_exact(settings, store, initial, adapters, alone))
        exact = pd.read_parquet(stages[-1].path / "exact.parquet")
    samples = pd.concat([_read(table) for table in tables], ignore_index=True)
    return Run(settings, tuple(stages), samples, _read(support), exact)


def leave_cluster() -> None:
    """Forget what a cluster sets for its jobs: one process would wait for others."""
    for name in DISTRIBUTED:
        os.environ.pop(name, None)


def train_apart(asked: Sequence[Settings], where: Where, root: Path) -> None:
    """Train every model of several runs as a task of its own; those that make the pools first."""
    trained = [settings for settings in asked if settings.train]
    first = [(settings, settings.rewards[0]) for settings in trained]
    others = [(s, name) for s in trained for name in (s.rewards[1], *_unmixed(s))]
    for tasks_now in (first, others):
        ordered(_train_one, tasks_now, where, root)


def _unmixed(settings: Settings) -> tuple[str, ...]:
    return unmixed(settings.control, settings.reports)


def _train_one(root: Path, task: tuple[Settings, str]) -> None:
    """Make one model, on a worker, and what it is made from if that is missing."""
    leave_cluster()
    settings, store = policies.settled(task[0]), Store(root, lambda text: None)
    adapter(settings, store, initial_model(settings, store), task[1])


def _enough_prompts(settings: Settings, initial: Stage) -> None:
    """Refuse, before anything is trained, where too few prompts are short enough."""
    tokenizer = policies.load_tokenizer(initial.path)
    held_out = max(settings.held_out_prompts, settings.support_prompts)
    for split, count in (("train", settings.train_prompts), ("held-out", held_out)):
        tasks.prompts(settings, split, count, tokenizer)


def initial_model(settings: Settings, store: Store) -> Stage:
    """The model that every divergence is measured from, after supervised fine-tuning if asked."""
    base = store.run(
        "initial",
        settings.only("preset", "initial", "substitutes", "dtype", "seed"),
        [],
        lambda folder: policies.write_initial(settings, folder),
    )
    if settings.sft_steps == 0:
        return base
    from mechanism.llm.training import sft

    names = ("game", "sft_steps", "sft_learning_rate", "lora_rank", "lora_alpha", "seed")
    return store.run(
        "sft", settings.only(*names), [base], lambda folder: sft.sft(settings, base.path, folder)
    )


def adapter(settings: Settings, store: Store, initial: Stage, reward: str) -> Stage:
    """The adapter that was trained for one reward."""
    if settings.trainer == "regression":
        return _regressed(settings, store, initial, reward)
    from mechanism.llm.training import train

    def build(folder: Path) -> None:
        tokenizer = policies.load_tokenizer(initial.path)
        chosen = tasks.prompts(settings, "train", settings.train_prompts, tokenizer)
        asked = [
            (policies.format_prompt(tokenizer, prompt.text, settings.system), prompt.context)
            for prompt in chosen
        ]
        train.train(settings, initial.path, asked, tasks.rewards(settings, [reward])[0], folder)

    made_from = train.made_from(settings) | settings.only(*PROMPTS, "train_prompts")
    made_from |= {"reward": reward, **tasks.definitions(settings)}
    return store.run(f"train-{reward}", made_from, [initial], build, resumable=True)


def pool(settings: Settings, store: Store, initial: Stage) -> Stage:
    """Completions of the initial model to training prompts, for every model of the game."""
    from mechanism.llm.training import rounds

    def build(folder: Path) -> None:
        tokenizer = policies.load_tokenizer(initial.path)
        chosen = tasks.prompts(settings, "train", settings.train_prompts, tokenizer)
        scored = tasks.rewards(settings, [*settings.rewards, RANDOM])
        rounds.write_pool(settings, initial.path, chosen, scored, folder)

    names = (*SAMPLING, "train_prompts", "pool_samples", "frozen_layers")
    return store.run("pool", settings.only(*names) | tasks.definitions(settings), [initial], build)


def _regressed(settings: Settings, store: Store, initial: Stage, reward: str) -> Stage:
    """The adapter that was fitted to the pool, and to completions of its own, for one reward."""
    from mechanism.llm.training import rounds

    drawn = pool(settings, store, initial)
    names = [*settings.rewards, RANDOM]

    def build(folder: Path) -> None:
        tokenizer = policies.load_tokenizer(initial.path)
        chosen = tasks.prompts(settings, "train", settings.train_prompts, tokenizer)
        weights = np.array(objectives().get(reward) or [float(name == reward) for name in names])
        scored = tasks.rewards(settings, names)
        rounds.train(settings, initial.path, drawn.path, chosen, scored, weights, folder)

    made_from = rounds.made_from(settings) | settings.only(*PROMPTS, "train_prompts")
    made_from |= {"reward": reward, **tasks.definitions(settings)}
    if reward not in names:
        made_from["weights"] = list(objectives()[reward])
    name = f"train-{slug(reward)}"
    return store.run(name, made_from, [initial, drawn], build, resumable=True)


def sample_table(
    settings: Settings,
    store: Store,
    initial: Stage,
    candidate: str,
    adapters: Sequence[Stage] = (),
    weights: Sequence[float] = (),
) -> Stage:
    """The sample table of one candidate on held-out prompts, as Parquet."""
    free = candidate == "support"
    count = settings.support_prompts if free else settings.held_out_prompts
    samples = settings.support_samples if free else settings.samples

    def build(folder: Path) -> None:
        tokenizer = policies.load_tokenizer(initial.path)
        table = evaluate.evaluate(
            settings,
            initial.path,
            tasks.prompts(settings, "held-out", count, tokenizer),
            tasks.rewards(settings, [*settings.rewards, RANDOM]),
            samples,
            [stage.path / "adapter" for stage in adapters],
            weights,
            INITIAL if free else candidate,
        )
        table.to_parquet(folder / "samples.parquet", compression="zstd")

    made_from = settings.only(*SAMPLING) | {
        "candidate": candidate,
        "weights": list(map(float, weights)),
        "prompts": count,
        "samples": samples,
        **tasks.definitions(settings),
    }
    name = f"evaluate-{slug(candidate)}"
    return store.run(name, made_from, [initial, *adapters], build)


def _exact(
    settings: Settings,
    store: Store,
    initial: Stage,
    adapters: Sequence[Stage],
    alone: Mapping[str, Stage],
) -> Stage:
    """The distribution of every candidate over all completions, as Parquet."""
    from mechanism.llm.runs import exact

    def build(folder: Path) -> None:
        paths = [stage.path / "adapter" for stage in adapters]
        of: dict[str, exact.Soup] = {INITIAL: ((), ())}
        recipes = soups.recipes(settings.soups, settings.soup_scales)
        of |= {name: (paths, weights) for name, weights in recipes.items()}
        of |= {name: ([stage.path / "adapter"], (1.0,)) for name, stage in alone.items()}
        exact.exact_table(settings, initial.path, of).to_parquet(folder / "exact.parquet")

    names = ("game", "held_out_prompts", "soups", "control")
    scales = settings.only("soup_scales") if settings.soup_scales else {}
    made_from = settings.only(*names) | scales
    return store.run("exact", made_from, [initial, *adapters, *alone.values()], build)


def slug(name: str) -> str:
    """Return how stages call a model.

    >>> slug("SW-Max 3, 7")
    'SW-Max-3-7'
    """
    return name.replace(",", "").replace(" ", "-")


def _read(stage: Stage) -> pd.DataFrame:
    return pd.read_parquet(stage.path / "samples.parquet")
