"""Write the recorded runs of Table 1: ``python -m mechanism.experiments.synthetic.record NAME``.

`seeds` plays the best setting once for each of many seeds, under both ways of sampling; `large`
plays it once with many games.
"""

import json
import sys
import time

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

SEEDS = 200
LARGE = 10_000_000


def seeds_frame(samples: int = 100_000, seeds: int = SEEDS) -> pd.DataFrame:
    """One line a seed, cell and way of sampling: the estimated means in the table's units."""
    ways: tuple[Sampling, ...] = ("independent", "balanced")
    return pd.concat(
        _lines(samples, seed, sampling) for sampling in ways for seed in range(1, seeds + 1)
    )


def large_frame(samples: int = LARGE) -> pd.DataFrame:
    """The means of one balanced run with many games."""
    return _lines(samples, 0, "balanced")


def _lines(samples: int, seed: int, sampling: Sampling) -> pd.DataFrame:
    ours = estimate(BEST, samples, seed, sampling)
    lines = pd.DataFrame(ours.T, columns=list(COLUMNS))
    lines.insert(0, "epsilon", EPSILONS)
    lines.insert(0, "seed", seed)
    lines.insert(0, "samples", samples)
    lines.insert(0, "sampling", sampling)
    return lines


def write(name: str) -> None:
    """Write ``results/synthetic/NAME.csv`` and how it came about beside it."""
    start = time.monotonic()
    table = {"seeds": seeds_frame, "large": large_frame}[name]()
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
    write(sys.argv[1])
