"""Write what is recorded of Tables 2 to 6: ``python -m mechanism.experiments.published.record``.

``predictions.csv`` and ``predictions_unseen.csv`` are not among it: they were recorded before
Tables 3 and 5 were opened (``forecast.json`` says when and with what), and stay as they are.
"""

import json
import time
from pathlib import Path

from mechanism import folders
from mechanism.experiments import soups
from mechanism.experiments.published import hypotheses, reproduction
from mechanism.experiments.published.reproduction import RESULTS
from mechanism.provenance import origin


def write(folder: Path = RESULTS) -> None:
    """Write every recorded table of this chapter, with its provenance, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    tables = {
        "candidates.csv": reproduction.candidates_frame(),
        "candidates_all_tables.csv": reproduction.candidates_frame(reproduction.refitted()),
        "preferences.csv": hypotheses.preference_scan(),
        "soups.csv": soups.results_frame(),
    }
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        folders.write_text(folder / name, text)
    provenance = origin("python -m mechanism.experiments.published.record") | {
        "seed": None,
        "files": sorted(tables),
        "seconds": round(time.monotonic() - start, 1),
    }
    folders.write_text(folder / "provenance.json", json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    write()
