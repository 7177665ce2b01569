"""The controls of a recorded run: what must have happened, and what must not.

Differences between two candidates are paired over prompts: both answered the same prompts, so the
standard error is that of the per-prompt differences. z = difference / standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mechanism import CandidateGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import Floats
from mechanism.tables.candidates import (
    INITIAL,
    RANDOM,
    Candidates,
    from_table,
    standard_error,
    trained_models,
)

LEARNT = 3.0  # standard errors by which a trained model must beat the initial one


@dataclass(frozen=True)
class Balance:
    """What a training won, in units of its reward, with standard errors over prompts.

    Attributes
    ----------
    won, won_se : float
        Mean reward less that of the initial model, paired over prompts.
    kl, kl_se : float
        KL to the initial model of a whole completion, nats.
    net, net_se : float
        won - lam kl: how far J rose; negative where the initial model was better.
    """

    won: float
    won_se: float
    kl: float
    kl_se: float
    net: float
    net_se: float


def balance(found: Candidates, name: str, reward: str, lam: float) -> Balance:
    """Compare candidate `name` with the initial model by the objective of `reward` and `lam`."""
    values, row = found.rewards[found.reward_names.index(reward)], found.names.index(name)
    won, kl = values[row] - values[found.names.index(INITIAL)], found.kl[row]
    figures: list[float] = []
    for part in (won, kl, won - lam * kl):
        figures += [float(part.mean()), float(standard_error(part))]
    return Balance(*figures)


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
            moved = balance(candidates, name, reward, 0.0)
            difference, error = moved.won, moved.won_se
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
