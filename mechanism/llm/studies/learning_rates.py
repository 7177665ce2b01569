r"""Does a slower training pay for its divergence? ``python -m mechanism...llm.learning_rates``.

A step's gradient is a mean over few completions. Its noise moves the model about and costs
divergence. If noise alone moved it, by steps that do not remember each other, that divergence would
grow with the square of the learning rate; `exponent` says how it grew. One reward of the small
scale is trained at several rates, nothing else changed, and reward, KL and J = E r - lam KL are
measured on held-out prompts. Each training is a stage: an interrupted study goes on from its last
checkpoint.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from mechanism.llm.config import Settings, preset
from mechanism.llm.runs import pipeline
from mechanism.llm.runs import record as records
from mechanism.llm.stages import Store
from mechanism.tables.candidates import INITIAL, from_table
from mechanism.tables.verdicts import balance

RESULTS = records.RECORDED / "learning_rates"
RATES = (1e-3, 5e-4, 2.5e-4)
STEPS = 30
TRAINED = "trained"


def settings_of(rate: float, scale: str = "small", steps: int = STEPS) -> Settings:
    """Return the settings of one training: those of the small scale, but for rate and steps."""
    changes = {"game": "faithful_summary", "learning_rate": rate, "steps": steps}
    return preset(scale, train=True, control=False, **changes)


def outcome(settings: Settings, store: Store) -> tuple[dict[str, float], float]:
    """Return the line of one training, and its seconds."""
    reward = settings.rewards[0]
    initial = pipeline.initial_model(settings, store)
    adapter = pipeline.adapter(settings, store, initial, reward)
    tables = [
        pipeline.sample_table(settings, store, initial, INITIAL),
        pipeline.sample_table(settings, store, initial, TRAINED, [adapter], (1.0,)),
    ]
    samples = pd.concat([pd.read_parquet(t.path / "samples.parquet") for t in tables])
    found = from_table(samples, settings.rewards)
    line = asdict(balance(found, TRAINED, reward, settings.lam))
    return {"rate": settings.learning_rate, **line}, adapter.seconds


def record(
    path: Path = RESULTS,
    root: Path = records.LOCAL / "stages",
    say: Callable[[str], None] = print,
    scale: str = "small",
    steps: int = STEPS,
) -> pd.DataFrame:
    """Train what is missing below `root`; write ``outcomes.csv`` and its provenance."""
    runs = [settings_of(rate, scale, steps) for rate in RATES]
    made = [outcome(settings, Store(root, say)) for settings in runs]
    lines, seconds = zip(*made, strict=True)
    table = pd.DataFrame(lines)
    records.write_study(
        path,
        table,
        records.origin("python -m mechanism.llm.studies.learning_rates", runs[0])
        | {
            "settings": runs[0].model_dump(mode="json", exclude={"learning_rate"}),
            "reward": runs[0].rewards[0],
            "seconds_each": [round(each) for each in seconds],
            "seconds_note": "wall clock of each training; other work on the machine is included",
        },
    )
    return table


def recorded(path: Path = RESULTS) -> pd.DataFrame:
    """Return the recorded lines: learning rate, then the fields of `verdicts.Balance`."""
    return pd.read_csv(path / "outcomes.csv")


def exponent(table: pd.DataFrame) -> tuple[float, float]:
    """Return the power of the learning rate with which KL grew, and its standard error.

    The slope of log KL on log rate by least squares; errors of the KL are over prompts, taken as
    independent between rates.

    >>> twice = pd.DataFrame({"rate": [1.0, 2.0], "kl": [3.0, 12.0], "kl_se": [0.0, 0.0]})
    >>> tuple(round(x, 9) for x in exponent(twice))
    (2.0, 0.0)
    """
    x, y = np.log(table["rate"].to_numpy()), np.log(table["kl"].to_numpy())
    pull = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    error = np.sqrt(((pull * (table["kl_se"] / table["kl"]).to_numpy()) ** 2).sum())
    return float(pull @ y), float(error)


if __name__ == "__main__":
    record()
