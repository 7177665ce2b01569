"""Slow oracle of what a model won net on each prompt: loops over a recorded sample table."""

import numpy as np

from mechanism.tables.candidates import INITIAL


def nets_of(run, reward, name):
    """Reward above the initial model's less lam KL, shape (P,)."""
    nets = []
    for _, rows in run.samples.groupby("prompt"):
        own, first = (rows[rows.candidate == each] for each in (name, INITIAL))
        won = own[f"reward_{reward}"].mean() - first[f"reward_{reward}"].mean()
        nets.append(won - run.settings.lam * (own.log_prob - own.log_prob_initial).mean())
    return np.array(nets)
