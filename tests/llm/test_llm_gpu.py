"""The run on a GPU, dry: its order, what it leaves out, and the tables that records are made of."""

import json
import time

import numpy as np

from mechanism.llm.runs import gpu, gpu_record
from mechanism.tables.candidates import SIZES


def test_a_dry_run_keeps_what_is_finished_and_names_what_is_left_out(tmp_path):
    settings = gpu.settings_for("tiny", "harmless_humor", 0, 1.0).model_copy(update={"soups": 3})
    machine = gpu.Machine(settings, tmp_path, time.monotonic() + 600)
    left = list(gpu.whole(machine, seconds_a_model=1e9))
    assert left == list(gpu.objectives())
    found = {path.stem for path in machine.folder.glob("*.parquet")}
    assert {"initial", "harmless", "humor", "soup_0.50", "harmless_pool"} <= found
    assert json.loads((machine.folder / "log.json").read_text(encoding="utf-8"))
    samples = gpu_record.tables(machine.folder, settings)
    names = list(samples["candidate"].unique())
    assert names[:4] == ["initial", "soup 0.00", "soup 0.50", "soup 1.00"]
    assert (samples.loc[samples["sample"] >= gpu_record.TEXTS, "text"] == "").all()
    won = gpu_record.outcomes(machine.folder, settings)
    assert set(won["trained for"]) >= {"harmless", "humor"} and np.isfinite(won["net"]).all()


def test_objectives_are_the_games_and_group_ones_misreports():
    """alpha scales group 1's weight, beta mixes its reward with the other's: both at (5, 5)."""
    named = gpu.objectives()
    for a, b in SIZES:
        np.testing.assert_allclose(named[f"sw {a:g}-{b:g}"], (a / 10, b / 10, 0))
    assert named["alpha 2"] == (1.0, 0.5, 0.0) and named["beta 0.5"] == (0.25, 0.75, 0.0)
    assert named["random"] == (0.0, 0.0, 1.0)


def test_a_tenth_of_the_run_has_a_tenth_of_prompts_and_samples():
    whole, part = (gpu.settings_for("small", "harmless_humor", 0, s) for s in (1.0, 0.1))
    assert (part.train_prompts, whole.train_prompts) == (33, 330)
    assert part.pool_samples == 5 and part.trainer == "regression"
