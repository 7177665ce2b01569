"""What the recorded trainings of the small scale reached: the verdict of the language-model part.

Every figure comes from the sample tables under `results/llm`, on held-out prompts, in the units of
the training: raw rewards in [0, 1], and the lambda that was trained with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.llm.config import REWARDS
from mechanism.llm.runs.record import RECORDED, Recorded, read
from mechanism.tables import objective
from mechanism.tables.candidates import (
    INITIAL,
    RANDOM,
    SIZE_SCALE,
    SIZES,
    SOUP,
    Candidates,
    from_table,
    trained_models,
)
from mechanism.tables.trained import SW_MAX, objectives, sw_max_model

EQUAL = "rloo_equal"  # ends the records of RLOO at as many completions as regression had
RAW = (np.zeros(2), np.ones(2))  # raw rewards that count as 0 and 1: constants, before any report
EACH, POOLED = 2.0, 3.0  # standard errors above the initial model: in each seed, over the seeds
SEEDS = (0, 1, 2)


def seeds_of(game: str) -> tuple[Recorded, ...]:
    """Return the recorded trainings of a game by regression, by rising seed."""
    folders = RECORDED.glob(f"small_{game}_trained*")
    return tuple(sorted((read(folder) for folder in folders), key=lambda r: r.settings.seed))


def rloo_run(game: str) -> Recorded:
    """Return the recorded training of a game by RLOO."""
    return read(RECORDED / f"small_{game}_rloo")


def rloo_equal_runs() -> tuple[Recorded, ...]:
    """Return the recorded trainings by RLOO at as many completions as regression had."""
    return tuple(read(folder) for folder in sorted(RECORDED.glob(f"small_*_{EQUAL}")))


def tables(run: Recorded) -> pd.DataFrame:
    """Return the samples of a trained run.

    Raises
    ------
    ValueError
        Where nothing was trained.
    """
    if run.samples is None:
        raise ValueError(f"{run.folder}: nothing was trained, so there are no candidates")
    return run.samples


def soups_of(run: Recorded, initial: bool = False) -> Candidates:
    """Return the soups of a run, and the initial model if asked, in raw units."""
    found = from_table(tables(run), run.settings.rewards)
    kept = [n for n in found.names if n.startswith(SOUP) or (initial and n == INITIAL)]
    return found.only(kept).in_units(*RAW)


def answers(run: Recorded, prompt: int, names: Sequence[str], sample: int = 0) -> pd.DataFrame:
    """Return a row per named candidate: its recorded answer to one held-out prompt, and rewards.

    Rewards `<name>` are those of the answer, `<name>, mean` of all answers to the prompt.
    """
    columns = {f"reward_{name}": name for name in run.settings.rewards}
    rows = tables(run).query("prompt == @prompt")
    means = rows.groupby("candidate")[list(columns)].mean().rename(columns=columns)
    shown = rows[rows["sample"] == sample].set_index("candidate")[["text", *columns]]
    shown = shown.rename(columns=columns | {"text": "answer"})
    return shown.join(means.add_suffix(", mean")).loc[list(names)]


def size_weights(sizes: Sequence[float]) -> Floats:
    """Return the weights (n,) of the rewards that the mechanism gives these sizes."""
    return SIZE_SCALE * np.asarray(sizes, dtype=float)


def _gains_of(run: Recorded) -> Iterator[tuple[str, str, objective.Gains]]:
    """Yield kind, name and gains of every trained model of a run, and of the released soups."""
    table, rewards, lam = tables(run), run.settings.rewards, run.settings.lam
    there, one = set(table["candidate"]), np.ones(1)
    for reward, end in trained_models(rewards).items():
        if end in there:
            kind = "control" if reward == RANDOM else "reward"
            yield kind, reward, objective.gains(table, [reward], one, lam, end)
    for sizes in SIZES:
        weights, label = size_weights(sizes), f"{sizes[0]:g}, {sizes[1]:g}"
        found = objective.released_gains(table, rewards, weights, lam)
        yield "released soup", f"soup released at {label}", found
        name = sw_max_model(sizes)
        if name in there:
            yield SW_MAX, name, objective.gains(table, rewards, weights, lam, name)


def outcomes(games: Sequence[str] = tuple(REWARDS)) -> pd.DataFrame:
    """Return what each model won by its own objective: a row a seed, and one pooled over seeds.

    Returns
    -------
    DataFrame
        `game`, `kind` ("reward", "control", "released soup", "SW-Max"), `model`, `seed` ("0", "1",
        or "0 + 1" where pooled prompt by prompt), the fields of `objective.Reached`, and `errors`:
        net in standard errors.
    """
    lines = []
    for game in games:
        runs = seeds_of(game)
        by_model: dict[tuple[str, str], dict[str, objective.Gains]] = {}
        for run in runs:
            for kind, name, found in _gains_of(run):
                by_model.setdefault((kind, name), {})[str(run.settings.seed)] = found
        for (kind, name), each in by_model.items():
            if len(each) > 1:
                each[" + ".join(each)] = objective.pooled(list(each.values()))
            for seed, found in each.items():
                line = {"game": game, "kind": kind, "model": name, "seed": seed}
                lines.append(line | vars(found.summary()))
    table = pd.DataFrame(lines)
    return table.assign(errors=table["net"] / table["net_se"])


@dataclass(frozen=True)
class Verdict:
    """Whether every model of a kind is above the initial model by its own objective.

    Attributes
    ----------
    models : int
        Models of the kind, all games.
    each, pooled : float
        Least net in standard errors: in any single seed, and over all seeds that there are.
    share_low, share_high : float
        Least and greatest share of the possible gain, over all seeds that there are.
    """

    models: int
    each: float
    pooled: float
    share_low: float
    share_high: float

    @property
    def holds(self) -> bool:
        """Whether `each` is at least 2 and `pooled` at least 3."""
        return self.each >= EACH and self.pooled >= POOLED

    @property
    def words(self) -> str:
        """Return "yes" or "no"."""
        return "yes" if self.holds else "no"


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model: over all its seeds, or its only one."""
    return table.groupby(["game", "model"], sort=False).tail(1)


def verdict(table: pd.DataFrame, kind: str) -> Verdict:
    """Judge the rows of one kind of an `outcomes` table."""
    rows = table[table["kind"] == kind]
    single, whole = rows[~rows["seed"].str.contains("+", regex=False)], over_seeds(rows)
    return Verdict(
        len(whole), float(single["errors"].min()), float(whole["errors"].min()),
        float(whole["share"].min()), float(whole["share"].max()),
    )  # fmt: skip


def not_run() -> tuple[str, ...]:
    """Return in words what was planned for the small scale and is not among the records."""
    missing = []
    for game in REWARDS:
        runs = seeds_of(game)
        have = {run.settings.seed for run in runs}
        missing += [f"{game}, seed {seed}" for seed in SEEDS if seed not in have]
        models = set().union(*(tables(run)["candidate"] for run in runs))
        for kind, names in _planned().items():
            lacking = [name for name in names if name not in models]
            told = [kind] if len(lacking) == len(names) else lacking
            missing += [f"{game}, {name}" for name in told]
    return tuple(missing)


def _planned() -> dict[str, list[str]]:
    """Models for reports, by what they are called when all of them are missing."""
    kinds: dict[str, list[str]] = {}
    for name in objectives():
        left_out, lie = name.startswith("group"), name.startswith(("alpha", "beta"))
        kind = "models that leave a group out" if left_out else name
        kinds.setdefault("models trained on misreports" if lie else kind, []).append(name)
    return kinds
