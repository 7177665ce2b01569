"""From the tables that a run on a GPU left behind to records like those of any other run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism.llm.config import Settings
from mechanism.llm.runs import record
from mechanism.tables.candidates import INITIAL, SIZE_SCALE, SIZES
from mechanism.tables.objective import reached

TEXTS = 2  # completions a prompt whose text is kept
OUTCOMES = record.RECORDED / "regression"


def candidate_names(settings: Settings) -> dict[str, str]:
    """Return how records name the models of a run, by the name that the run gave them."""
    first, second = settings.rewards
    named = {"initial": INITIAL, first: "soup 1.00", second: "soup 0.00", "random": "random"}
    named |= {f"sw {a:g}-{b:g}": f"SW-Max {a:g}, {b:g}" for a, b in SIZES}
    named |= {f"{reward} pool": f"{reward}, one fit" for reward in settings.rewards}
    return named | {f"soup {w:.2f}": f"soup {w:.2f}" for w in np.linspace(0.1, 0.9, 9)}


def tables(folder: Path, settings: Settings) -> pd.DataFrame:
    """Return all samples of one game and seed; most texts are left out."""
    parts = {}
    for path in folder.glob("*.parquet"):
        name = candidate_names(settings).get(path.stem.replace("_", " "))
        if name:
            parts[name] = pd.read_parquet(path).assign(candidate=name)
    order = [name for name in candidate_names(settings).values() if name in parts]
    soups = sorted(name for name in order if name.startswith("soup"))
    rest = [name for name in order if name not in soups and name != INITIAL]
    joined = pd.concat([parts[name] for name in (INITIAL, *soups, *rest)], ignore_index=True)
    return joined.assign(text=joined["text"].where(joined["sample"] < TEXTS, ""))


def write(folder: Path, settings: Settings, origin: dict[str, Any], log: pd.DataFrame) -> Path:
    """Write the record of one game and seed, and return where it lies."""
    samples = tables(folder, settings)
    name = record.name_of(settings) + (f"_seed{settings.seed}" if settings.seed else "")
    out = record.RECORDED / name
    out.mkdir(parents=True, exist_ok=True)
    kept = samples[~samples["candidate"].str.endswith("one fit")]
    kept.to_parquet(out / "samples.parquet", compression="zstd", index=False)
    support = samples[samples["candidate"] == INITIAL]
    support.to_parquet(out / "support.parquet", compression="zstd", index=False)
    log.to_parquet(out / "training.parquet", compression="zstd", index=False)
    written = origin | {"settings": settings.model_dump(mode="json")}
    (out / "provenance.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return out


def outcomes(folder: Path, settings: Settings) -> pd.DataFrame:
    """Return a row per trained model: what it won by its own objective, and of what is possible."""
    samples = tables(folder, settings)
    there, rewards, lines = set(samples["candidate"]), settings.rewards, []
    jobs: list[tuple[str, str, dict[str, float]]] = []
    for reward, end in zip(rewards, ("soup 1.00", "soup 0.00"), strict=True):
        jobs += [(reward, f"{reward}, one fit", {reward: 1.0}), (reward, end, {reward: 1.0})]
    jobs += [("random", "random", {"random": 1.0})]
    for a, b in SIZES:
        weights = dict(zip(rewards, (SIZE_SCALE * a, SIZE_SCALE * b), strict=True))
        jobs += [(f"SW-Max {a:g}, {b:g}", f"SW-Max {a:g}, {b:g}", weights)]
        jobs += [(f"soup {a / 10:.2f} at {a:g}, {b:g}", f"soup {a / 10:.2f}", weights)]
    for trained_for, name, weights in jobs:
        if name not in there:
            continue
        found = reached(samples, list(weights), np.array([*weights.values()]), settings.lam, name)
        once = name.endswith("one fit") or name == "random" or "SW" in name
        rounds = 0 if once else settings.rounds
        line = {"game": settings.game, "seed": settings.seed, "trained for": trained_for}
        lines.append(line | {"rounds": rounds} | vars(found))
    return pd.DataFrame(lines)
