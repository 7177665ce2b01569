r"""The mechanism without training: exact on the completions that the initial model drew.

Per prompt, S samples of the initial model are the outcomes, each of reference 1/S, and the SW-Max
rule with KL(lam) reweights them: :math:`p_s \propto \exp(\sum_i w_i rm_i(x_s)/\lambda)`. As
S grows this is the optimum over all models; at finite S the value
:math:`\lambda\log\frac1S\sum_s\exp(\cdot)` is too small in expectation (Jensen), the more so the
smaller the effective sample size :math:`1/\sum_s p_s^2`. On the support itself the mechanism is
exact, so that DSIC, IR and payments >= 0 hold there. All numbers are averaged over prompts.
Source: Definition 4.1 and Equation (1), arXiv:2405.16276v4; self-normalised importance sampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, InvalidInputError, require
from mechanism.core.rlhf_game import RLHFGame
from mechanism.tables.candidates import INITIAL, SIZE_SCALE, check_table


@dataclass(frozen=True, eq=False)
class Support:
    """Samples of the initial model: n rewards, P prompts, S samples each.

    Attributes
    ----------
    reward_names : tuple of str
        Group i's reward is the i-th.
    rewards : ndarray, shape (P, n, S)
        Raw rewards.
    low, high : ndarray, shape (n,)
        Raw rewards that the normalisation maps to 0 and to 1.
    """

    reward_names: tuple[str, ...]
    rewards: Floats
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        rule, fix = "must exceed low", "a reward that is equal everywhere has no scale: drop it"
        require(self.high > self.low, "high", self.high, rule, fix)

    @property
    def prompts(self) -> int:
        """Number P of prompts."""
        return int(self.rewards.shape[0])

    @property
    def values(self) -> Floats:
        """Normalised rewards (P, n, S)."""
        span = (self.high - self.low)[:, None]
        return np.asarray((self.rewards - self.low[:, None]) / span)

    def games(self, sizes: Sequence[float], lam: float) -> RLHFGame:
        """One game a prompt, as a batch (P,): sizes times `SIZE_SCALE`, reference 1/S, KL(lam)."""
        samples = self.rewards.shape[-1]
        scaled = SIZE_SCALE * np.asarray(sizes, dtype=float)
        return RLHFGame(self.values, scaled, np.full(samples, 1 / samples), KL(lam))


def from_table(
    table: pd.DataFrame,
    rewards: Sequence[str],
    scale: tuple[Floats, Floats] | None = None,
    candidate: str = INITIAL,
) -> Support:
    """Take the samples of the initial model out of a sample table.

    Parameters
    ----------
    table : DataFrame
        As in `candidates.check_table`; other candidates are passed over.
    rewards : sequence of str
        Group i has the i-th.
    scale : pair of arrays (n,), optional
        Raw rewards to map to 0 and 1, e.g. `Candidates.scale`, which puts both routes in the same
        units; by default the least and greatest of all samples.

    Raises
    ------
    InvalidInputError
        Where the candidate is not in the table or prompts have different numbers of samples.
    """
    check_table(table, rewards)
    rows = table[table["candidate"] == candidate].sort_values(["prompt", "sample"])
    if rows.empty:
        have = ", ".join(map(str, table["candidate"].unique()))
        raise InvalidInputError("candidate", candidate, "has no samples", f"choose from {have}")
    counts = rows.groupby("prompt").size()
    if counts.nunique() > 1:
        rule = f"prompts have {counts.min()} to {counts.max()} samples"
        raise InvalidInputError("table", candidate, rule, "draw equally many for each prompt")
    columns = [f"reward_{name}" for name in rewards]
    raw = rows[columns].to_numpy(float).reshape(len(counts), -1, len(columns)).swapaxes(1, 2)
    low, high = scale or (raw.min(axis=(0, 2)), raw.max(axis=(0, 2)))
    return Support(tuple(rewards), raw, np.asarray(low, float), np.asarray(high, float))
