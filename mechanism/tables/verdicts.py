"""The controls of a recorded run: what must have happened, and what must not.

Differences between two candidates are paired over prompts: both answered the same prompts, so the
standard error is that of the per-prompt differences. z = difference / standard error.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mechanism import CandidateGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import Floats
from mechanism.tables.candidates import Candidates, from_table

LEARNT = 3.0  # standard errors by which a trained model must beat the initial one
RANDOM = "random"


def paired(candidates: Candidates, name: str, reward: str) -> tuple[float, float]:
    """Return mean and standard error over prompts of a candidate's reward less the initial one's.

    Raw reward units.
    """
    row = candidates.rewards[candidates.reward_names.index(reward)]
    apart = row[candidates.names.index(name)] - row[candidates.names.index("initial")]
    return float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(apart)))


def trained_models(rewards: Sequence[str]) -> dict[str, str]:
    """Return the candidate that was trained for each reward: the ends of the front, the control."""
    return {rewards[0]: "soup 1.00", rewards[1]: "soup 0.00", RANDOM: RANDOM}


def effects(samples: pd.DataFrame, rewards: Sequence[str]) -> pd.DataFrame:
    """Return how training for each reward moved every reward, beside the initial model.

    One row per trained model and reward: `difference`, `standard_error`, `z`, and `verdict`:
    a model "learnt" its own reward at z >= 3, else "not shown"; the control's effect on a real
    reward is "within noise" at |z| < 3, else "moved".
    """
    candidates = from_table(samples, [*rewards, RANDOM])
    lines = []
    for target, name in trained_models(rewards).items():
        if name not in candidates.names:
            continue
        for reward in candidates.reward_names:
            difference, error = paired(candidates, name, reward)
            lines.append(
                {
                    "trained for": target,
                    "reward": reward,
                    "difference": difference,
                    "standard_error": error,
                    "z": difference / error,
                    "verdict": _verdict(target, reward, difference / error),
                }
            )
    return pd.DataFrame(lines)


def _verdict(target: str, reward: str, z: float) -> str:
    if target == reward:
        return "learnt" if z >= LEARNT else "not shown"
    if target == RANDOM:
        return "within noise" if abs(z) < LEARNT else "moved"
    return ""


def identical_groups(candidates: Candidates, sizes: Sequence[float]) -> Floats:
    """Return the payments when both groups hold the first reward, without divergences: all 0."""
    values = np.stack([candidates.values[0]] * 2)
    return affine_maximizer_payments(CandidateGame(values, np.asarray(sizes, float)))


def swap_error(candidates: Candidates, sizes: Sequence[float], lam: float) -> float:
    """Return the largest difference that renaming the groups makes to choice or payments: 0."""
    game = candidates.game(sizes, lam)
    swapped = CandidateGame(game.values[::-1], game.sizes[::-1], game.divergences)
    apart = affine_maximizer_payments(game) - affine_maximizer_payments(swapped)[::-1]
    other_choice = float(sw_max(game) != sw_max(swapped))
    return max(float(np.abs(apart).max()), other_choice)
