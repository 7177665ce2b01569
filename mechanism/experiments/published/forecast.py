"""The forecast of Tables 3 and 5, scored: recorded from Tables 2, 4 and 6 before they were opened.

`score` reads the recorded predictions as they stand and lays the published cells beside them.
`check_unchanged` compares their digests with those that ``forecast.json`` holds.
"""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from mechanism.experiments.published.linear_system import HALF
from mechanism.experiments.published.reproduction import (
    CELLS,
    RESULTS,
    opened_frame,
    recorded,
    reproduce,
)


def forecast_record() -> dict[str, Any]:
    """When the predictions were recorded, with what, and the digest of each file."""
    record: dict[str, Any] = json.loads((RESULTS / "forecast.json").read_text("utf-8"))
    return record


def check_unchanged() -> None:
    """Raise `ValueError` unless the recorded predictions are the files that were recorded then."""
    for name, digest in forecast_record()["files"].items():
        if hashlib.sha256((RESULTS / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"results/published/{name} is not what was recorded as the forecast")


def score(predicted: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every published cell of Tables 3 and 5 beside the recorded forecast, one a row.

    Parameters
    ----------
    predicted : DataFrame, optional
        Predictions in the layout of ``predictions.csv``; by default the recorded ones.

    Returns
    -------
    DataFrame
        Columns table, parameter, value, cell, forecast, low, high, paper, error, exact (agrees
        after rounding to two decimals), inside (in the interval, up to the paper's rounding).
    """
    predicted = recorded("predictions.csv") if predicted is None else predicted
    both = opened_frame().merge(predicted, on=["table", "value"], suffixes=("", "_forecast"))
    parts = []
    for name in CELLS:
        part = both[["table", "parameter", "value"]].assign(cell=name)
        part["forecast"] = both[f"{name}_forecast"]
        part["low"], part["high"] = both[f"{name}_low"], both[f"{name}_high"]
        part["paper"] = both[name]
        parts.append(part)
    cells = pd.concat(parts, ignore_index=True)
    cells["error"] = (cells.forecast - cells.paper).abs()
    cells["exact"] = np.abs(cells.forecast.round(2) - cells.paper) < 1e-9
    cells["inside"] = cells.paper.between(cells.low - HALF, cells.high + HALF)
    return cells.sort_values(["table", "value"], kind="stable", ignore_index=True)


def headline() -> dict[str, int]:
    """What a page says of Tables 2 to 6 in a line: counts of cells.

    Returns
    -------
    dict
        "cells" of the forecast, of them "exact" and "inside"; the "published" cells of all five
        tables and how many the candidates recovered from all of them have "met".
    """
    scored, refit = score(), reproduce()
    return {
        "cells": len(scored),
        "exact": int(scored.exact.sum()),
        "inside": int(scored.inside.sum()),
        "published": len(refit),
        "met": sum(cell.ok for cell in refit),
    }
