"""From the tables that a run on a GPU left behind to records like those of any other run.

``python -m mechanism.llm.studies.gpu_record FOLDER`` writes a record for every game and seed below
FOLDER, and what each training reached. Where a record is there already and the run lacks some of
its models, these stay, with a word of where they came from.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from mechanism.llm.config import Settings
from mechanism.llm.runs import exact, record
from mechanism.llm.runs.outcomes import EQUAL
from mechanism.llm.runs.reports import RETRAINED
from mechanism.llm.studies.gpu import slug
from mechanism.tables.candidates import INITIAL, RANDOM, SIZE_SCALE, SIZES, SOUP, trained_models
from mechanism.tables.objective import reached
from mechanism.tables.trained import objectives

TEXTS = 2  # completions a prompt whose text is kept
OUTCOMES = record.RECORDED / "regression"


def candidate_names(settings: Settings) -> dict[str, str]:
    """Return how records name the models of a run, by the name that the run gave them."""
    ends = trained_models(settings.rewards)
    named = {INITIAL: INITIAL} | {reward: ends[reward] for reward in settings.rewards}
    named |= {f"{reward} pool": f"{reward}, one fit" for reward in settings.rewards}
    named |= {f"{SOUP}{w:.2f}": f"{SOUP}{w:.2f}" for w in np.linspace(0.1, 0.9, 9)}
    return named | {name: name for name in objectives()}


def made(folder: Path, settings: Settings) -> dict[str, Path]:
    """Return the table of every model that a run has finished, by its name in records."""
    named = candidate_names(settings).items()
    paths = {name: folder / f"{slug(own)}.parquet" for own, name in named}
    return {name: path for name, path in paths.items() if path.exists()}


def tables(folder: Path, settings: Settings) -> pd.DataFrame:
    """Return all samples of one game and seed; most texts are left out."""
    paths = made(folder, settings)
    parts = {name: pd.read_parquet(path).assign(candidate=name) for name, path in paths.items()}
    joined = pd.concat([parts[name] for name in _sorted(parts)], ignore_index=True)
    return joined.assign(text=joined["text"].where(joined["sample"] < TEXTS, ""))


def _sorted(names: Any) -> list[str]:
    """The initial model, soups by rising weight, models for reports in their order, the rest."""
    soups = sorted(name for name in names if name.startswith(SOUP))
    listed = [INITIAL, *soups, *objectives()]
    rest = [name for name in names if name not in listed]
    return [name for name in listed if name in set(names)] + rest


def training(folder: Path, settings: Settings) -> pd.DataFrame:
    """Return a row a fit: of which model and round, its loss at both ends, its gradient's norm.

    For RLOO a row a step.
    """
    if settings.trainer == "rloo":
        logs = {name: folder / f"adapter_{name}" / "log.json" for name in settings.rewards}
        steps = [record.steps_table(log, name) for name, log in logs.items() if log.exists()]
        return pd.concat(steps, ignore_index=True)
    lines = []
    for own, name in candidate_names(settings).items():
        path = folder / f"{slug(own)}.json"
        if not path.exists():
            continue
        log = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
        for number, steps in log.groupby("round"):
            lines.append({
                "trained_for": own if own in settings.rewards else name, "round": int(number),
                "loss_first": steps["loss"].iloc[0], "loss_last": steps["loss"].iloc[-1],
                "grad_norm": steps["grad_norm"].median(), "value_r2": steps["value_r2"].iloc[-1],
            })  # fmt: skip
    return pd.DataFrame(lines)


def place(settings: Settings) -> str:
    """Return the name of the record's folder."""
    name = record.kept_as(settings)
    if settings.trainer == "rloo":
        return name.replace("trained", EQUAL)
    return name.replace("trained", RETRAINED) if settings.preset == "tiny" else name


def write(
    folder: Path, settings: Settings, root: Path = record.RECORDED, note: str | None = None
) -> Path:
    """Write the record of one game and seed, onto an earlier one if need be; return its folder.

    `note` is kept beside the command, for what it does not say of a run.
    """
    samples, log = tables(folder, settings), training(folder, settings)
    origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    notes = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    out = root / place(settings)
    samples = samples[~samples["candidate"].str.endswith("one fit")]
    written = origin | {"settings": settings.model_dump(mode="json")}
    written["seconds"] = round(sum(note.get("job_seconds", 0) for note in notes))
    written["seconds_note"] = "wall clock of the process, other work on the machine included"
    written |= {"stages": {}} | ({"command_note": note} if note else {})
    laws = exact_table(folder, settings)
    if (out / "provenance.json").exists():
        before = record.read(out)
        samples, log, kept = _onto(before, samples, log)
        written |= {"earlier": kept} if kept else {}
        if laws is not None and before.exact is not None:
            laws = before.exact.assign(**{name: laws[name] for name in laws.columns})
    out.mkdir(parents=True, exist_ok=True)
    support = samples[samples["candidate"] == INITIAL]
    parts = {"samples": samples, "support": support, "training": log, "exact": laws}
    for part, table in parts.items():
        if table is not None:
            table.to_parquet(out / f"{part}.parquet", compression="zstd", index=False)
    text = json.dumps(written, indent=1) + "\n"
    (out / "provenance.json").write_text(text, encoding="utf-8")
    return out


def _onto(
    before: record.Recorded, samples: pd.DataFrame, log: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
    """Add to new tables what an earlier record alone has; and what it says of its origin."""
    old, logged = before.samples, before.training
    assert old is not None and logged is not None
    old = old[~old["candidate"].isin(set(samples["candidate"]))]
    logged = logged[~logged["trained_for"].isin(set(log["trained_for"]))]
    named = list(old["candidate"].unique())
    told = {k: before.provenance.get(k) for k in ("command", "date", "hardware")}
    joined = pd.concat([old, samples], ignore_index=True)
    order = {name: k for k, name in enumerate(_sorted(list(joined["candidate"].unique())))}
    joined = joined.sort_values("candidate", key=lambda part: part.map(order), kind="stable")
    kept = before.provenance.get("earlier", []) + ([told | {"candidates": named}] if named else [])
    return joined, pd.concat([logged, log], ignore_index=True), kept


def exact_table(folder: Path, settings: Settings) -> pd.DataFrame | None:
    """Return what `exact.exact_table` does, of all models whose laws the run has left behind."""
    laws = {name: path.with_suffix(".npy") for name, path in made(folder, settings).items()}
    laws = {name: path for name, path in laws.items() if path.exists()}
    if not laws:
        return None
    table = exact.exact_table(settings, folder.parent / "initial", {})
    kept = [name for name in laws if not name.endswith("one fit")]
    columns = {exact.PREFIX + name: np.load(laws[name]).ravel() for name in kept}
    return table.assign(**{name: law.astype("float32") for name, law in columns.items()})


def objectives_of(settings: Settings) -> list[tuple[str, str, dict[str, float]]]:
    """Return what was trained for, the model's name in records, and the weights of its rewards."""
    rewards, ends = settings.rewards, trained_models(settings.rewards)
    jobs: list[tuple[str, str, dict[str, float]]] = []
    for reward in rewards:
        jobs += [(reward, name, {reward: 1.0}) for name in (f"{reward}, one fit", ends[reward])]
    for name, weights in objectives().items():
        named = dict(zip((*rewards, RANDOM), weights, strict=True))
        jobs.append((name, name, {reward: w for reward, w in named.items() if w}))
    for a, b in SIZES:
        scaled = dict(zip(rewards, (SIZE_SCALE * a, SIZE_SCALE * b), strict=True))
        jobs.append((f"soup {a / 10:.2f} at {a:g}, {b:g}", f"{SOUP}{a / 10:.2f}", scaled))
    return jobs


def outcomes(folder: Path, settings: Settings, samples: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row per trained model: what it won by its own objective, and of what is possible.

    `samples` are those of the run's record, where the run has not sampled the initial model.
    """
    found = tables(folder, settings) if samples is None else samples
    there, lines = set(found["candidate"]), []
    for trained_for, name, weights in objectives_of(settings):
        if name not in there:
            continue
        got = reached(found, list(weights), np.array([*weights.values()]), settings.lam, name)
        ended = not name.endswith("one fit") and name not in objectives()
        line = {"game": settings.game, "seed": settings.seed, "trained for": trained_for}
        lines.append(line | {"rounds": settings.rounds if ended else 0} | vars(got))
    return pd.DataFrame(lines)


def main(
    folder: Annotated[Path, typer.Argument(help="What the run left behind.")],
    root: Annotated[Path, typer.Option(help="Where records lie.")] = record.RECORDED,
    note: Annotated[str, typer.Option(help="What the command does not say of the run.")] = "",
) -> None:
    """Write records and outcomes of a run."""
    lines = []
    for path in sorted(folder.rglob("settings.json")):
        settings = Settings.model_validate_json(path.read_text(encoding="utf-8"))
        out = write(path.parent, settings, root, note or None)
        print(out)
        if settings.preset != "tiny" and settings.trainer == "regression":
            found = pd.concat([_one_fit(path.parent, settings), record.read(out).samples])
            lines.append(outcomes(path.parent, settings, found))
    if lines:
        _add_outcomes(root / OUTCOMES.name, pd.concat(lines), path.parent, note)


def _one_fit(folder: Path, settings: Settings) -> pd.DataFrame:
    found = tables(folder, settings)
    return found[found["candidate"].str.endswith("one fit")]


def _add_outcomes(where: Path, new: pd.DataFrame, folder: Path, note: str = "") -> None:
    """Replace the rows of the same trainings in the table of outcomes, and keep the others."""
    keys, path = ["game", "seed", "trained for", "rounds"], where / "outcomes.csv"
    old = pd.read_csv(path) if path.exists() else new.iloc[:0]
    joined = pd.concat([old, new]).drop_duplicates(keys, keep="last")
    joined = joined.sort_values(["seed", "game"], kind="stable")
    before = json.loads((where / "provenance.json").read_text("utf-8")) if path.exists() else None
    origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    written = origin | ({"command_note": note} if note else {})
    written |= {"earlier": [before]} if before else {}
    record.write_study(where, joined, written)


if __name__ == "__main__":
    typer.run(main)
