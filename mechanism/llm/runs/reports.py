"""Recorded models that were trained for reports: what lying brings, and the curve of one training.

Everything here is None where a run has not the models, so that pages show what there is.
"""

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats
from mechanism.llm.config import REWARDS
from mechanism.llm.runs import exact, outcomes
from mechanism.llm.runs.record import RECORDED, Recorded, read
from mechanism.tables import misreports
from mechanism.tables.trained import TRUE

RETRAINED = "retrained"  # the tiny scale's record that has these models ends so


def tiny(game: str) -> Recorded:
    """Return the recorded run of the tiny scale in which every model for a report was trained."""
    return read(RECORDED / f"tiny_{game}_{RETRAINED}")


def lying(run: Recorded) -> misreports.Lying | None:
    """Return what group 1's trained misreports bring it, and the verdict.

    Errors are over samples on the tiny scale, whose prompts are all there are.
    """
    samples = outcomes.tables(run)
    if not misreports.available(samples):
        return None
    given, known = (run.settings.rewards, run.settings.lam), run.exact is not None
    return misreports.Lying(misreports.trained_reports(samples, *given, fixed_prompts=known))


def exact_curves(run: Recorded) -> pd.DataFrame | None:
    """Return the same curves for optimal models, on the tiny scale."""
    if run.exact is None:
        return None
    game = exact.exact_games(run.exact, run.settings.rewards, TRUE, run.settings.lam)
    return misreports.exact_reports(game)


def share_curve(run: Recorded) -> tuple[Floats, Floats, Floats] | None:
    """Return shares of group 1's size, its own value at each, and errors: models that were trained.

    For `theorems.one_training.curve_payment`; the share 0 is the model of the other group alone.
    """
    found = lying(run)
    if found is None:
        return None
    rows = found.table.query("kind == 'alpha' and value <= 1").sort_values("value")
    return tuple(rows[name].to_numpy(float) for name in ("value", "valuation", "valuation_se"))


def runs_with_lies() -> tuple[Recorded, ...]:
    """Return the recorded small runs whose misreports were trained, by game and seed."""
    runs = [run for game in REWARDS for run in outcomes.seeds_of(game)]
    return tuple(run for run in runs if misreports.available(outcomes.tables(run)))


def verdicts(runs: tuple[Recorded, ...]) -> pd.DataFrame:
    """Return a row a run: the lie that pays most without payments, and what it brings with them."""
    lines = []
    for run in runs:
        found = lying(run)
        if found is None:
            continue
        best, paid = found.best, found.lies["paid"]
        lines.append({
            "run": f"{run.settings.preset}, {run.settings.game}, seed {run.settings.seed}",
            "holds": "yes" if found.holds else "no", "best lie": best["model"],
            "without payments": best["valuation_gain"], "in errors": best["without"],
            "with payments": best["utility_gain"], "in errors, paid": best["paid"],
            "best of all, paid": float(np.max(paid)), "worse than truth": found.worse,
            "lies": len(paid),
        })  # fmt: skip
    return pd.DataFrame(lines)
