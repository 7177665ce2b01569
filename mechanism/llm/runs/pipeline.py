"""From settings to sample tables: initial model, fine-tuning, soups, evaluation.

Every step is a stage (see `stages`): finished ones are found again, an interrupted one costs at
most the time since its last checkpoint. The mechanism itself runs on the sample tables
(`candidates`, `support`, `curves`) and needs no language model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mechanism.llm.config import Settings
from mechanism.llm.models import policies, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import evaluate
from mechanism.llm.stages import Stage, Store
from mechanism.tables.candidates import INITIAL, RANDOM, soup_name

PROMPTS = ("game", "system", "prompt_tokens")
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
    for weights in soups.soup_weights(settings.soups):
        name = soup_name(weights[0])
        tables.append(sample_table(settings, store, initial, name, adapters, tuple(weights)))
    support = sample_table(settings, store, initial, "support")
    stages = [initial, *adapters, *tables, support]
    if settings.control:
        control = adapter(settings, store, initial, RANDOM)
        tables.append(sample_table(settings, store, initial, RANDOM, [control], (1.0,)))
        stages += [control, tables[-1]]
    exact = None
    if settings.preset == "tiny":
        controls = [control] if settings.control else []
        stages.append(_exact(settings, store, initial, adapters, controls))
        exact = pd.read_parquet(stages[-1].path / "exact.parquet")
    samples = pd.concat([_read(table) for table in tables], ignore_index=True)
    return Run(settings, tuple(stages), samples, _read(support), exact)


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
        weights = np.array([float(name == reward) for name in names])
        scored = tasks.rewards(settings, names)
        rounds.train(settings, initial.path, drawn.path, chosen, scored, weights, folder)

    made_from = rounds.made_from(settings) | settings.only(*PROMPTS, "train_prompts")
    made_from |= {"reward": reward, **tasks.definitions(settings)}
    return store.run(f"train-{reward}", made_from, [initial, drawn], build, resumable=True)


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
    name = f"evaluate-{candidate.replace(' ', '-')}"
    return store.run(name, made_from, [initial, *adapters], build)


def _exact(
    settings: Settings,
    store: Store,
    initial: Stage,
    adapters: Sequence[Stage],
    controls: Sequence[Stage],
) -> Stage:
    """The distribution of every candidate over all completions, as Parquet."""
    from mechanism.llm.runs import exact

    def build(folder: Path) -> None:
        paths = [stage.path / "adapter" for stage in adapters]
        of: dict[str, exact.Soup] = {INITIAL: ((), ())}
        of |= {soup_name(w[0]): (paths, tuple(w)) for w in soups.soup_weights(settings.soups)}
        if controls:
            of[RANDOM] = ([controls[0].path / "adapter"], (1.0,))
        exact.exact_table(settings, initial.path, of).to_parquet(folder / "exact.parquet")

    names = ("game", "held_out_prompts", "soups", "control")
    return store.run("exact", settings.only(*names), [initial, *adapters, *controls], build)


def _read(stage: Stage) -> pd.DataFrame:
    return pd.read_parquet(stage.path / "samples.parquet")
