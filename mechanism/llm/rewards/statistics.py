r"""Spread of rewards and their correlation *within* a prompt, with errors over prompts.

Two groups disagree about a request where one answer to it suits the first and another the second.
So correlations are of what is left of each reward after its mean over a prompt's answers:
:math:`r_{ps} - \bar r_p`. Answers to one prompt are no independent sample of anything else, so
standard errors come from a bootstrap that redraws whole prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.rewards.reward_models import TOPIC_FLOOR, TOPIC_WIDTH

PREFIX = "reward_"
CONSTANT = 1e-9  # in reward units: less than this is the rounding of a reward that is constant
GATES = ((0.1, 0.03), (0.15, 0.05), (0.2, 0.05), (0.35, 0.08))


@dataclass(frozen=True)
class Correlation:
    """A correlation within prompts, in [-1, 1]; its bootstrap error and 95 % interval.

    All NaN where one of the two rewards is constant within every prompt.
    """

    first: str
    second: str
    value: float
    standard_error: float
    low: float
    high: float


def rewards_in(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the names of the rewards that a sample table has, in its order.

    >>> rewards_in(pd.DataFrame(columns=["prompt", "reward_humor"]))
    ('humor',)
    """
    return tuple(c.removeprefix(PREFIX) for c in table.columns if c.startswith(PREFIX))


def within(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return each reward less its mean over the answers to the same prompt; a column a name.

    Raises
    ------
    InvalidInputError
        If a reward is not in the table, or no prompt has two answers.
    """
    columns = [PREFIX + name for name in names]
    missing = [column for column in columns if column not in table]
    if missing:
        rule = f"the table has the rewards {', '.join(rewards_in(table))}"
        raise InvalidInputError("names", missing[0].removeprefix(PREFIX), rule, "name one of them")
    if table.groupby("prompt").size().max() < 2:
        rule, fix = "every prompt has one answer", "pass several answers a prompt"
        raise InvalidInputError("table", f"{len(table)} rows", rule, fix)
    values = table[columns]
    return (values - values.groupby(table["prompt"]).transform("mean")).set_axis(names, axis=1)


def spread(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    r"""Return a row per reward: where its scores lie and where they differ.

    ``sd within`` is :math:`\sqrt{\sum (r_{ps} - \bar r_p)^2 / \sum_p (S_p - 1)}`, the spread that
    training and choosing can use; ``sd between`` is that of the prompts' means. Reward units.
    """
    values = table[[PREFIX + name for name in names]].set_axis(names, axis=1)
    left = within(table, names)
    freedom = len(table) - table["prompt"].nunique()
    return pd.DataFrame(
        {
            "mean": values.mean(),
            "sd within": np.sqrt((left**2).sum() / freedom),
            "sd between": values.groupby(table["prompt"]).mean().std(),
            "least": values.min(),
            "median": values.median(),
            "greatest": values.max(),
            "share at zero": (values == 0).mean(),
        }
    ).rename_axis("reward")


def _moments(table: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Sums of products of what is left within each prompt, shape (P, k, k)."""
    left = within(table, names).to_numpy()
    codes, prompts = pd.factorize(table["prompt"])
    sums = np.zeros((len(prompts), len(names), len(names)))
    np.add.at(sums, codes, left[:, :, None] * left[:, None, :])
    return sums


def _correlation(sums: Floats) -> Floats:
    """Correlation matrices (..., k, k) of sums of products; NaN where a reward does not vary."""
    scale = np.sqrt(np.diagonal(sums, axis1=-2, axis2=-1))
    scale = np.where(scale > CONSTANT, scale, np.nan)
    return np.asarray(sums / (scale[..., :, None] * scale[..., None, :]))


def correlations(
    table: pd.DataFrame, names: Sequence[str], bootstrap: int = 2000, seed: int = 0
) -> list[Correlation]:
    """Correlate every pair of rewards within prompts, each pair once.

    Parameters
    ----------
    table : DataFrame
        A sample table: columns ``prompt`` and ``reward_<name>``, one row an answer.
    names : sequence of str
        Rewards to correlate.
    bootstrap : int
        Resamples of the prompts, P out of P with replacement.
    seed : int
        Of the resampling.

    Raises
    ------
    InvalidInputError
        If there are fewer than two resamples or names, or as `within`.

    Examples
    --------
    >>> rows = {"prompt": [0, 0, 1, 1], "reward_a": [0, 1, 3, 2], "reward_b": [1, 0, 5, 6.0]}
    >>> correlations(pd.DataFrame(rows), ["a", "b"])[0].value
    -1.0
    """
    for argument, count in (("bootstrap", bootstrap), ("names", len(names))):
        if count < 2:
            raise InvalidInputError(argument, count, "fewer than two", "ask for two or more")
    sums = _moments(table, names)
    share = np.full(len(sums), 1 / len(sums))
    weights = np.random.default_rng(seed).multinomial(len(sums), share, size=bootstrap)
    value = _correlation(sums.sum(axis=0))
    drawn = _correlation(np.einsum("bp,pij->bij", weights, sums))
    return [
        _summary(names[i], names[j], float(value[i, j]), drawn[:, i, j])
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]


def _summary(first: str, second: str, value: float, drawn: Floats) -> Correlation:
    if np.isnan(value):
        return Correlation(first, second, *[float("nan")] * 4)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Correlation(first, second, value, float(np.nanstd(drawn)), float(low), float(high))


def correlation(
    table: pd.DataFrame, first: str, second: str, bootstrap: int = 2000, seed: int = 0
) -> Correlation:
    """Correlation within prompts of two rewards; see `correlations`."""
    return correlations(table, (first, second), bootstrap, seed)[0]


def design_grid(
    table: pd.DataFrame, gates: Sequence[tuple[float, float]] = GATES, seed: int = 0
) -> pd.DataFrame:
    """Correlate variants of faithful and summary within prompts, to show what a choice decides.

    Parameters
    ----------
    table : DataFrame
        Recorded answers with ``reward_faithful``, ``reward_summary`` and ``cosine``.
    gates : sequence of (floor, width)
        Topic gates that replace the committed one in summary.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Columns ``faithful`` (variant), ``floor``, ``correlation`` and ``error``.
    """
    variants = {"meaning and words": table["reward_faithful"], "cosine alone": table["cosine"]}
    kept = expit((table["cosine"] - TOPIC_FLOOR) / TOPIC_WIDTH)
    rows = []
    for variant, scores in variants.items():
        for floor, width in gates:
            gate = expit((table["cosine"] - floor) / width)
            summary = table["reward_summary"] / kept * gate
            changed = table.assign(reward_faithful=scores, reward_summary=summary)
            one = correlation(changed, "faithful", "summary", seed=seed)
            told = {"faithful": variant, "floor": floor}
            rows.append(told | {"correlation": one.value, "error": one.standard_error})
    return pd.DataFrame(rows)


def histogram(
    table: pd.DataFrame, name: str, bins: int = 20, low: float = 0.0, high: float = 1.0
) -> tuple[Floats, Floats]:
    """Share of answers in equal bins: edges (bins + 1,) and shares (bins,) that sum to 1.

    Raises
    ------
    InvalidInputError
        If a score lies outside [low, high], where no bin would count it.
    """
    scores = table[PREFIX + name].to_numpy(dtype=float)
    outside = scores[(scores < low) | (scores > high) | ~np.isfinite(scores)]
    if outside.size:
        rule = f"a score outside [{low}, {high}]"
        raise InvalidInputError("name", f"{name} ({outside[0]:.4g})", rule, "widen low and high")
    counts, edges = np.histogram(scores, bins=bins, range=(low, high))
    return edges, counts / counts.sum()
