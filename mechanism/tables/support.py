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
from mechanism.core.sw_max import optimal_policies, solve
from mechanism.tables.candidates import SIZE_SCALE, check_table, standard_error

INITIAL = "initial"


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

    def gain_bound(self, sizes: Sequence[float], lam: float) -> float:
        """Most that any group can gain by any report at all: mean dual gap of the truthful optimum.

        With affine maximizer payments a group's gain from inducing p is ASW(p) - ASW(truth), at
        most the gap of Fenchel's dual, which needs no search over reports. Reward units.
        """
        return float(solve(self.games(sizes, lam)).dual_gap.mean())


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


def frontier(support: Support, lam: float, shares: Floats | None = None) -> pd.DataFrame:
    """The optimum on the support as the weight moves from group 2 to group 1.

    The scores are share rm_1 + (1 - share) rm_2 (normalised), so that the sizes of the book, which
    sum to 1 after scaling, are shares 0.3, 0.5 and 0.7.

    Parameters
    ----------
    support : Support
        Two rewards.
    lam : float
        Strength of the divergence, > 0.
    shares : ndarray, shape (W,), optional
        By default 0, 0.1, ..., 1.

    Returns
    -------
    DataFrame
        One row a share: mean raw reward with its standard error over prompts, `kl` in nats, `value`
        (weighted normalised reward less lam KL), `welfare` (without the divergence), `ess`.
    """
    if len(support.reward_names) != 2:
        fix = "a front in the plane needs two"
        raise InvalidInputError("rewards", support.reward_names, "must be two", fix)
    weights = np.linspace(0, 1, 11) if shares is None else np.asarray(shares, dtype=float)
    pairs = np.stack([weights, 1 - weights], axis=-1)
    scores = pairs @ support.values  # (P, W, S)
    samples = scores.shape[-1]
    policy, value = optimal_policies(scores, np.full(samples, 1 / samples), KL(lam))
    welfare = np.vecdot(scores, policy)
    columns: dict[str, Floats] = {"share": weights}
    for name, reward in zip(support.reward_names, support.rewards.swapaxes(0, 1), strict=True):
        mean = np.vecdot(reward[:, None, :], policy).T
        columns |= {name: mean.mean(axis=-1), f"{name}_se": standard_error(mean)}
    columns |= {"kl": ((welfare - value) / lam).mean(axis=0), "value": value.mean(axis=0)}
    columns |= {"welfare": welfare.mean(axis=0)}
    columns |= {"ess": np.median(1 / np.vecdot(policy, policy), axis=0)}
    return pd.DataFrame(columns)
