r"""Does the trainer maximise SW-Max? Trainers and their options against the exact optimum.

SW-Max asks for the policy with the greatest :math:`J(\pi) = \sum_i w_i E_\pi rm_i - \lambda
KL(\pi\|\pi_0)`. On `tiny` J and its maximiser are exact, and so is what every rule tends to
(`targets`), so that a rule's wrong objective and the noise of training come apart.
``python -m mechanism.llm.studies.trainers`` trains with every rule, lambda and seed that is not
recorded yet, and records the comparison; each training is a stage, and finished ones are found
again. A recorded training stands only while its kind still comes out as it was recorded.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism import KL, RLHFGame, TotalVariation
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.config import REWARDS, Settings, preset
from mechanism.llm.models import policies, soups, tiny
from mechanism.llm.runs import pipeline
from mechanism.llm.runs import record as records
from mechanism.llm.stages import Stage, Store
from mechanism.llm.training.rules import SEEDS, Training, plan
from mechanism.llm.training.targets import compare, target
from mechanism.sweeps import HERE, Where, ordered
from mechanism.sweeps.options import Cluster, Jobs
from mechanism.terminal import Application

RESULTS = records.RECORDED / "trainers"
STAGES = records.LOCAL / "trainers"
KEY = ["rule", "lam", "seed", "steps", "completions"]
SIZES = (0.3, 0.7)  # (3, 7) members, times the constant 0.1


def settings_of(seed: int) -> Settings:
    """Return the settings of the initial model: of seed `seed`, on the processor."""
    return preset("tiny", seed=seed, device="cpu")


def fit(training: Training, initial: Path, folder: Path) -> Floats:
    """Train the model in `initial`; return its policy over all completions, (P, m)."""
    from transformers import set_seed

    set_seed(training.seed)
    if training.rule.trainer == "regression":
        model = regressed(training, initial, folder)
    else:
        trainer = make_trainer(training, initial, folder)
        trainer.train()
        model = trainer.model.eval()
    tokenizer = policies.load_tokenizer(initial)
    return np.exp(tiny.exact_log_probs(model, tokenizer, tiny.REQUESTS))


def regressed(training: Training, initial: Path, folder: Path) -> Any:
    """Train by regression, from a pool of its own; `folder` is scratch space."""
    from mechanism.llm.training import rounds

    settings = preset(
        "tiny", seed=training.seed, device="cpu", lam=training.lam, trainer="regression",
        **training.settings,
    )  # fmt: skip
    rewards = [tiny.TinyReward(name) for name in _rewards()]
    given = tiny.prompts()[: len(tiny.REQUESTS)], rewards
    folder.mkdir(parents=True, exist_ok=True)
    rounds.write_pool(settings, initial, *given, folder)
    rounds.train(settings, initial, folder, *given, np.array(SIZES), folder)
    model, _ = policies.load(initial, settings)
    return soups.attach(model, [folder / "adapter"])


def make_trainer(training: Training, initial: Path, folder: Path) -> Any:
    """Return the TRL trainer, ready to train; `folder` is scratch space.

    The groups' rewards are TRL's reward functions, and their sizes its reward weights. The
    reference of a whole model is loaded from where the model was, so that lies on disk.
    """
    from mechanism.llm.training import train

    rule = training.rule
    settings = preset(
        "tiny", seed=training.seed, device="cpu", lam=training.lam, trainer=rule.trainer,
        steps=training.steps, completions=training.completions, schedule="linear",
        batch_prompts=len(tiny.REQUESTS), learning_rate=rule.learning_rate,
    )  # fmt: skip
    return train.trainer_for(
        settings, initial, [(request, request) for request in tiny.REQUESTS],
        [tiny.TinyReward(name) for name in _rewards()], folder, adapter=rule.adapter,
        **{"reward_weights": list(SIZES), "save_strategy": "no", "logging_strategy": "no"}
        | dict(rule.options),
    )  # fmt: skip


def _rewards() -> tuple[str, str]:
    return REWARDS["harmless_humor"]


def trained(training: Training, store: Store, initial: Stage) -> Stage:
    """Train, or find the training again: a stage that holds `policy.npy`, (P, m)."""
    rule = training.rule
    made_from = {
        "trainer": rule.trainer, "options": dict(rule.options), "adapter": rule.adapter,
        "learning_rate": rule.learning_rate, "lam": training.lam, "seed": training.seed,
        "steps": training.steps, "completions": training.completions, "sizes": SIZES,
        "tiny": tiny.definition(), "trl": version("trl"),
    }  # fmt: skip

    def build(folder: Path) -> None:
        np.save(folder / "policy.npy", fit(training, initial.path, folder / "scratch"))

    name = f"{rule.trainer}-{training.lam:g}-{training.seed}"
    return store.run(name, made_from, [initial], build)


def exact_game(initial: Path, seed: int) -> RLHFGame:
    """Return the game of the two groups from the model in `initial`, with lam = 1."""
    model, tokenizer = policies.load(initial, settings_of(seed))
    rewards = [tiny.TinyReward(name) for name in _rewards()]
    return tiny.exact_game(model, tokenizer, tiny.REQUESTS, rewards, SIZES, 1.0)


def outcome(training: Training, game: RLHFGame, policy: Floats) -> dict[str, Any]:
    """Return a line of the table: a trained policy and the rule's target, both against pi*.

    `game` is `exact_game` with any lam.
    """
    game = replace(game, divergence=KL(training.lam))
    line = asdict(training) | {"rule": training.rule.name} | asdict(compare(game, policy))
    if training.rule.target is not None:
        aim = target(training.rule.target, game, training.completions)
        line["target_gap"] = compare(game, aim).gap
        line["tv_to_target"] = float(TotalVariation(0.5).value(policy, aim).mean())
    return line


def outcomes(
    store: Store, trainings: Sequence[Training] = plan()
) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield a line of the table and its seconds for every training."""
    initial = {seed: pipeline.initial_model(settings_of(seed), store) for seed in SEEDS}
    games = {seed: exact_game(stage.path, seed) for seed, stage in initial.items()}
    for training in trainings:
        stage = trained(training, store, initial[training.seed])
        policy = np.load(stage.path / "policy.npy")
        yield outcome(training, games[training.seed], policy), stage.seconds


def standing(path: Path, store: Store) -> pd.DataFrame:
    """Return the recorded trainings of `plan`; nothing where the tiny model or TRL is another.

    The first of each trainer is done again beforehand.

    Raises
    ------
    InvalidInputError
        Where one does not come out as it was recorded.
    """
    if not (path / "provenance.json").exists():
        return pd.DataFrame(columns=KEY)
    before = json.loads((path / "provenance.json").read_text(encoding="utf-8"))
    if (before["tiny"], before["packages"]["trl"]) != (tiny.definition(), version("trl")):
        return pd.DataFrame(columns=KEY)
    found = recorded(path).set_index(KEY, drop=False)
    kept = [training for training in plan() if key(training) in found.index]
    first = {training.rule.trainer: training for training in reversed(kept)}
    for line, _ in outcomes(store, list(first.values())):
        was = float(found.loc[tuple(line[name] for name in KEY), "gap"])
        if not np.isclose(line["gap"], was, rtol=1e-4):
            rule = f"{line['rule']} ended at a gap of {line['gap']:.6g}, and of {was:.6g} before"
            fix = "move the record away: all trainings are then made anew"
            raise InvalidInputError("path", path, rule, fix)
    return found.loc[[key(training) for training in kept]].reset_index(drop=True)


def key(training: Training) -> tuple[Any, ...]:
    """Return what tells a training from the others, in the order of `KEY`."""
    return training.rule.name, training.lam, training.seed, training.steps, training.completions


def train(root: Path, training: Training) -> None:
    """Train, or find the training again, in any process that shares the folder of stages."""
    store = Store(root, print)
    trained(training, store, pipeline.initial_model(settings_of(training.seed), store))


def record(
    path: Path = RESULTS,
    root: Path = STAGES,
    say: Callable[[str], None] = print,
    where: Where = HERE,
) -> pd.DataFrame:
    """Train what is missing below `root`, write ``outcomes.csv`` and its provenance into `path`."""
    store = Store(root, say)
    kept = standing(path, store)
    done = set(kept[KEY].itertuples(index=False, name=None))
    missing = [training for training in plan() if key(training) not in done]
    if where != HERE:
        ordered(train, missing, where, root)
    if not missing:
        return kept
    found = list(outcomes(store, missing))
    table = _in_order(pd.concat([kept, pd.DataFrame([line for line, _ in found])]))
    records.write_study(path, table, _provenance(path, [taken for _, taken in found], len(kept)))
    return table


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows as `plan` has them."""
    return table.set_index(KEY, drop=False).loc[[key(t) for t in plan()]].reset_index(drop=True)


def _provenance(path: Path, seconds: Sequence[float], kept: int) -> dict[str, Any]:
    """Return the origin of the new rows, and under `earlier` that of the rows that stand."""
    made = records.origin("python -m mechanism.llm.studies.trainers", settings_of(0)) | {
        "seeds": list(SEEDS),
        "batch": f"{len(tiny.REQUESTS)} requests, times `completions`",
        "tiny": tiny.definition(),
        "trainings": len(seconds),
        "seconds": round(sum(seconds)),
        "seconds_each": round(float(np.median(seconds)), 1) if seconds else None,
        "seconds_note": "wall clock, pauses and other work included; seconds_each is the median",
    }
    if not kept:
        return made
    earlier = json.loads((path / "provenance.json").read_text(encoding="utf-8"))
    return made | {"earlier": [earlier | {"kept": kept, "checked": "the first of each trainer, "
                   "made again: the same gap"}]}  # fmt: skip


def recorded(path: Path = RESULTS) -> pd.DataFrame:
    """Return the recorded comparison: a row a training of `plan`.

    Columns are those of `targets.Comparison`; `target_gap` is the gap of what the rule
    tends to, and `tv_to_target` the total variation distance at which training ended from that.
    """
    return pd.read_csv(path / "outcomes.csv")


def main(jobs: Jobs = 1, cluster: Cluster = None) -> None:
    """Train with every rule, lambda and seed, and record the comparison."""
    record(where=Where(jobs, cluster))


if __name__ == "__main__":
    app = Application()
    app.command()(main)
    app()
