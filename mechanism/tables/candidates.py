r"""From a sample table to a candidate game: every model's rewards and KL, each with its error.

A candidate's :math:`v_i` is the mean over prompts of its mean reward, min-max normalised over the
candidates as in the paper, or in units that were fixed before any report; its divergence is
:math:`\lambda` times the mean over prompts of the mean of :math:`\log\pi(x) - \log\pi_0(x)` over
its own samples. That estimate of the KL is unbiased and may be slightly below 0 for a model close
to the initial one. It enters the game as it is: cut off at 0 it would be biased, and no report
changes it, so that DSIC, IR and payments >= 0 hold with it.
`kl_k3` is a second, never negative estimate to compare with.
Source: Section 5, arXiv:2405.16276v4 (candidates, normalisation, sizes).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError, as_floats, require
from mechanism.core.normalization import normalize
from mechanism.core.rlhf_game import CandidateGame

SIZES = ((3.0, 7.0), (5.0, 5.0), (7.0, 3.0))
INITIAL = "initial"  # the model that divergences are measured from
RANDOM = "random"  # the control: a random reward, and the model trained for it
SIZE_SCALE = 0.1  # a constant: dividing by the sum of reported sizes would break the payments
SOUP = "soup "
SCALED = f" of {SOUP}"
COLUMNS = (
    "candidate", "prompt", "sample", "text", "tokens", "ended", "log_prob", "log_prob_initial",
)  # fmt: skip


def soup_name(first: float) -> str:
    """Return how tables call the soup whose first model has the weight `first`.

    >>> soup_name(0.3)
    'soup 0.30'
    """
    return f"{SOUP}{first:.2f}"


def scaled_soup_name(scale: float, first: float) -> str:
    """Return how tables call a soup whose change of the initial model is scaled.

    >>> scaled_soup_name(0.5, 0.3)
    '0.5 of soup 0.30'
    """
    return f"{scale:g}{SCALED}{first:.2f}"


def is_released(name: str) -> bool:
    """Whether a candidate is a soup, whole or scaled: the rule releases one of these.

    >>> [is_released(name) for name in ("soup 0.30", "0.5 of soup 0.30", "initial")]
    [True, True, False]
    """
    return name.startswith(SOUP) or SCALED in name


def trained_models(rewards: Sequence[str]) -> dict[str, str]:
    """Return the candidate that was trained for each reward: the ends of the front, the control."""
    return {rewards[0]: soup_name(1), rewards[1]: soup_name(0), RANDOM: RANDOM}


@dataclass(frozen=True, eq=False)
class Candidates:
    """Models that were sampled on the same prompts: n rewards, k candidates, P prompts.

    Attributes
    ----------
    names : tuple of str
        The candidates, in the order of the table.
    reward_names : tuple of str
        Group i's reward is the i-th.
    rewards : ndarray, shape (n, k, P)
        Mean reward over a candidate's samples on each prompt, raw reward units.
    kl, kl_k3 : ndarray, shape (k, P)
        KL to the initial model in nats on each prompt: mean log ratio, and its cross-check,
        the mean of r - 1 - log r with r = pi_0 / pi (of less variance near r = 1, never below 0).
    units : pair of ndarrays (n,), optional
        Raw rewards that count as 0 and as 1, fixed before the reports; None: the least and the
        greatest mean of the candidates, which move with the candidates.
    """

    names: tuple[str, ...]
    reward_names: tuple[str, ...]
    rewards: Floats
    kl: Floats
    kl_k3: Floats
    units: tuple[Floats, Floats] | None = None

    @property
    def prompts(self) -> int:
        """Number P of prompts."""
        return int(self.kl.shape[-1])

    @property
    def values(self) -> Floats:
        """Mean rewards (n, k), in `units` or min-max normalised over the candidates."""
        means = self.rewards.mean(axis=-1)
        return self.normalized(means) if self.units else normalize(means, "min-max")

    def normalized(self, means: Floats) -> Floats:
        """Mean rewards (..., n, k) as the mechanism counts them; 0 where all are alike."""
        low, high = self.units or (means.min(axis=-1), means.max(axis=-1))
        shifted, span = means - low[..., None], (high - low)[..., None]
        return np.divide(shifted, span, out=np.zeros_like(shifted), where=span > 0)

    @property
    def scale(self) -> tuple[Floats, Floats]:
        """Raw rewards (n,) that `values` maps to 0 and to 1."""
        means = self.rewards.mean(axis=-1)
        return self.units or (means.min(axis=-1), means.max(axis=-1))

    def in_units(self, low: ArrayLike, high: ArrayLike) -> "Candidates":
        """Return the same candidates, normalised by constants (n,) that no report can move.

        Raises
        ------
        InvalidInputError
            Where `high` does not exceed `low`.
        """
        ends = as_floats("low", low), as_floats("high", high)
        require(ends[1] > ends[0], "high", ends[1], "must exceed low", "swap them")
        return replace(self, units=ends)

    def only(self, names: Sequence[str]) -> "Candidates":
        """Return the named candidates alone; the normalisation is then over these."""
        unknown = [name for name in names if name not in self.names]
        if unknown or not names:
            fix = f"choose from {', '.join(self.names)}"
            raise InvalidInputError("names", unknown or list(names), "must be candidates", fix)
        rows = [self.names.index(name) for name in names]
        return replace(
            self, names=tuple(names), rewards=self.rewards[:, rows], kl=self.kl[rows],
            kl_k3=self.kl_k3[rows],
        )  # fmt: skip

    def soups(self) -> "Candidates":
        """Return the paper's candidate set: the soups, endpoints included, nothing else."""
        return self.only([name for name in self.names if name.startswith(SOUP)])

    def game(self, sizes: Sequence[float], lam: float) -> CandidateGame:
        """The game that the groups play: sizes times `SIZE_SCALE`, divergences lam KL.

        Parameters
        ----------
        sizes : sequence of float, shape (n,)
            Members w_i, e.g. (3, 7).
        lam : float
            Strength of the divergence, >= 0, in units of the normalised rewards per nat.
        """
        require(np.isfinite(lam) & (np.asarray(lam) >= 0), "lam", np.asarray(lam, float),
                "must be finite and >= 0", "pass the strength of the divergence")  # fmt: skip
        scaled = SIZE_SCALE * np.asarray(sizes, dtype=float)
        return CandidateGame(self.values, scaled, lam * self.kl.mean(axis=-1))

    def frame(self) -> pd.DataFrame:
        """Mean and standard error over prompts of rewards and KL, one row a candidate.

        `ratio` is the mean of pi_0 / pi, whose expectation is 1 where the log-probabilities are
        those of the models that drew the samples (heavy tails may keep it below 1 for a large KL).
        """
        columns: dict[str, object] = {"candidate": self.names}
        parts = dict(zip(self.reward_names, self.rewards, strict=True))
        parts |= {"kl": self.kl, "kl_k3": self.kl_k3, "ratio": 1.0 + self.kl_k3 - self.kl}
        for name, part in parts.items():
            columns |= {name: part.mean(axis=-1), f"{name}_se": standard_error(part)}
        return pd.DataFrame(columns)


def standard_error(per_prompt: Floats) -> Floats:
    """Standard error over the last axis, the prompts; NaN for a single prompt.

    >>> standard_error(np.array([1.0, 2.0, 3.0])).round(4)
    np.float64(0.5774)
    """
    count = per_prompt.shape[-1]
    if count == 1:
        return np.full(per_prompt.shape[:-1], np.nan)
    return np.asarray(per_prompt.std(axis=-1, ddof=1) / np.sqrt(count))[()]


def from_table(table: pd.DataFrame, rewards: Sequence[str]) -> Candidates:
    """Average a sample table per candidate and prompt; group i has the i-th named reward.

    Raises
    ------
    InvalidInputError
        What `check_table` finds.
    """
    check_table(table, rewards)
    ratio = table["log_prob"] - table["log_prob_initial"]
    columns = [f"reward_{name}" for name in rewards]
    wanted = table[["candidate", "prompt", *columns]].assign(
        kl=ratio, kl_k3=np.expm1(-ratio) + ratio
    )
    means = wanted.groupby(["candidate", "prompt"], sort=False).mean()
    names = list(table["candidate"].unique())
    parts = [means[column].unstack("prompt").loc[names] for column in (*columns, "kl", "kl_k3")]
    stacked = np.stack([part.sort_index(axis=1).to_numpy(float) for part in parts])
    return Candidates(tuple(names), tuple(rewards), stacked[:-2], stacked[-2], stacked[-1])


def check_table(table: pd.DataFrame, rewards: Sequence[str]) -> None:
    """Raise unless a table has the columns, finite numbers, and the same prompts everywhere.

    Raises
    ------
    InvalidInputError
        Naming column, row, candidate or prompt.
    """
    numbers = ["log_prob", "log_prob_initial", *(f"reward_{name}" for name in rewards)]
    needed = ["candidate", "prompt", "sample", *numbers]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        fix = f"the table has {', '.join(map(str, table.columns)) or 'no columns'}"
        raise InvalidInputError("table", ", ".join(missing), "columns are missing", fix)
    if table.empty:
        raise InvalidInputError("table", "0 rows", "must hold completions", "draw samples first")
    for name in numbers:
        column = table[name].to_numpy(float)
        require(np.isfinite(column), name, column, "must be finite", "score this completion again")
    for name in numbers[:2]:
        column = table[name].to_numpy(float)
        rule = "the log-probability of a completion is at most 0"
        require(column <= 1e-6, name, column, rule, "pass nats, summed over tokens")
    _check_design(table)


def _check_design(table: pd.DataFrame) -> None:
    """Raise where a row comes twice, or a candidate was sampled on other prompts."""
    keys = ["candidate", "prompt", "sample"]
    twice = table.duplicated(keys)
    if twice.any():
        row = tuple(table.loc[twice, keys].iloc[0])
        raise InvalidInputError("table", row, "comes twice", "drop one of the two runs")
    prompts = {name: set(rows) for name, rows in table.groupby("candidate")["prompt"]}
    everywhere = set(table["prompt"])
    for name, own in prompts.items():
        if own != everywhere:
            lacking = sorted(everywhere - own)[:5]
            rule = f"has no samples on prompts {lacking}"
            fix = "sample all candidates on the same prompts: their means are compared"
            raise InvalidInputError("candidate", name, rule, fix)
