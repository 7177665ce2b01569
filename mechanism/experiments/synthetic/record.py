"""Write the recorded runs of Table 1: ``python -m mechanism.experiments.synthetic.record NAME``.

`seeds` plays the best setting once for each of many seeds, under both ways of sampling; `large`
plays it once with many games. Both are sweeps: ``--jobs N`` or ``--cluster ADDRESS`` does them
elsewhere, with the same numbers, and an interrupted one goes on where it was.
"""

import json
import time
from functools import partial
from typing import Literal

import pandas as pd

from mechanism import folders
from mechanism.experiments.synthetic.reproduction import (
    BEST,
    COLUMNS,
    EPSILONS,
    RESULTS,
    Sampling,
    estimate,
)
from mechanism.provenance import origin
from mechanism.sweeps import HERE, Where, ordered
from mechanism.sweeps.options import Cluster, Jobs
from mechanism.terminal import Application

SEEDS = 200
LARGE = 10_000_000


def seeds_frame(samples: int = 100_000, seeds: int = SEEDS, where: Where = HERE) -> pd.DataFrame:
    """One line a seed, cell and way of sampling: the estimated means in the table's units."""
    ways: tuple[Sampling, ...] = ("independent", "balanced")
    tasks = [(seed, sampling) for sampling in ways for seed in range(1, seeds + 1)]
    return pd.concat(ordered(partial(_of_seed, samples), tasks, where))


def _of_seed(samples: int, task: tuple[int, Sampling]) -> pd.DataFrame:
    seed, sampling = task
    return _lines(samples, seed, sampling, HERE)


def large_frame(samples: int = LARGE, where: Where = HERE) -> pd.DataFrame:
    """The means of one balanced run with many games."""
    return _lines(samples, 0, "balanced", where)


def _lines(samples: int, seed: int, sampling: Sampling, where: Where) -> pd.DataFrame:
    ours = estimate(BEST, samples, seed, sampling, where=where)
    lines = pd.DataFrame(ours.T, columns=list(COLUMNS))
    lines.insert(0, "epsilon", EPSILONS)
    lines.insert(0, "seed", seed)
    lines.insert(0, "samples", samples)
    lines.insert(0, "sampling", sampling)
    return lines


def write(name: Literal["seeds", "large"], jobs: Jobs = 1, cluster: Cluster = None) -> None:
    """Write ``results/synthetic/NAME.csv`` and how it came about beside it."""
    start = time.monotonic()
    where = Where(jobs, cluster, f"table1-{name}")
    table = seeds_frame(where=where) if name == "seeds" else large_frame(where=where)
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = table.to_csv(index=False, float_format="%.8g", lineterminator="\n")
    folders.write_text(RESULTS / f"{name}.csv", text)
    command = f"python -m mechanism.experiments.synthetic.record {name}"
    provenance = origin(command) | {
        "setting": "mechanism.experiments.synthetic.reproduction.BEST",
        "samples": int(table.samples.iloc[0]),
        "seeds": sorted({int(seed) for seed in table.seed}),
        "seconds": round(time.monotonic() - start),
    }
    text = json.dumps(provenance, separators=(", ", ": "))
    folders.write_text(RESULTS / f"{name}.provenance.json", text + "\n")


if __name__ == "__main__":
    app = Application()
    app.command()(write)
    app()
