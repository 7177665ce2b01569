"""How far a recorded run is from the theory: gains from few prompts, welfare lost to soups."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mechanism.llm.runs import outcomes
from mechanism.llm.runs.prices import paired_prompts
from mechanism.llm.runs.record import Recorded
from mechanism.tables import frontier, incentives


def gains_from_few_prompts(run: Recorded, sizes: Sequence[float], seed: int) -> pd.DataFrame:
    """Return a row a group: epsilon from finite prompts, its bound, and the gains found.

    Returns
    -------
    DataFrame
        `epsilon`, `bound` (2 w epsilon), `w range` (all that there is to gain), `gain, knowing`
        (the group knows the noise it is judged by), `honest gain` (judged on other prompts).
    """
    found, weights = outcomes.soups_of(run), outcomes.size_weights(sizes)
    got = incentives.resampled_gains(found.rewards, found.kl, weights, run.settings.lam, seed=seed)
    lines = []
    for i, name in enumerate(run.settings.rewards):
        spread = float(weights[i] * np.ptp(found.values[i]))
        lines.append(
            {
                "game": run.settings.game, "group": name, "epsilon": got.epsilon[:, i].mean(),
                "bound": got.bound[:, i].mean(), "w range": spread,
                "gain, knowing": got.known[:, i].mean(), "honest gain": got.honest[:, i].mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(lines)


def welfare_lost(run: Recorded, sizes: Sequence[float], seed: int) -> dict[str, object]:
    """Return what choosing among soups loses against the optimum, between two bounds."""
    loss = frontier.sampled_loss(
        *paired_prompts(run), outcomes.size_weights(sizes), run.settings.lam, seed=seed
    )
    return {
        "game": run.settings.game, "initial": loss.initial, "soups": loss.soups,
        "optimum, low": loss.optimum[0], "optimum, high": loss.optimum[2],
        "loss, low": loss.loss[0], "low, error": loss.error[0],
        "loss, high": loss.loss[2], "high, error": loss.error[2],
        "soups − initial": loss.won, "error": loss.won_error, "kept": loss.kept,
    }  # fmt: skip
