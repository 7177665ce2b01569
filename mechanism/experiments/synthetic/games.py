"""The random games of Table 1: what must be fixed to draw them, and two ways of sampling.

Source: Table 1 and Section 5, arXiv:2405.16276v4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mechanism.core.divergences import KL, ChiSquared
from mechanism.core.errors import Floats
from mechanism.core.generator import Divergence
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import RLHFGame

Reference = Literal["uniform", "random", "dirichlet", "softmax_uniform", "softmax_normal"]
Sampling = Literal["balanced", "independent"]
BLOCK = 1000  # games played together, so that their arrays stay in cache


@dataclass(frozen=True)
class Setting:
    """What must be fixed before Table 1 can be computed; the defaults are the best setting found.

    Attributes
    ----------
    groups, outcomes : int
        n and m; the paper states 5 and 10.
    lam : float
        Strength of the divergence, reward units; not stated.
    divergence : {"KL", "ChiSquared"}
    reference : str
        Initial model, not stated: uniform over outcomes, or drawn per game (uniform entries scaled
        to sum 1, Dirichlet(1), softmax of uniform or of standard normal entries).
    clipping : {"clip", "truth", "negative"}
        Not stated: where epsilon exceeds the least reward, lower it to that reward, report the
        truth, or use it as it is and report a negative reward.
    sizes : tuple of float, optional
        One vector of sizes for all games; None draws them anew for each, uniform on
        {1, ..., largest_size}, as the text reads.
    normalization : {"summation", "maximum"}
        The text says that preferences sum to 1.
    reported : {"w1 v1", "v1"}
        What the valuation column shows: of the whole group, or of one agent.
    """

    groups: int = 3
    outcomes: int = 10
    lam: float = 0.2
    divergence: Literal["KL", "ChiSquared"] = "KL"
    reference: Reference = "uniform"
    clipping: Literal["clip", "truth", "negative"] = "clip"
    sizes: tuple[float, ...] | None = None
    largest_size: int = 10
    normalization: Normalization = "summation"
    reported: Literal["w1 v1", "v1"] = "w1 v1"


BEST = Setting()
STATED = replace(BEST, groups=5, lam=1.0)


def draw_games(
    setting: Setting, samples: int, seed: int | Sequence[int], sampling: Sampling = "balanced"
) -> Iterator[RLHFGame]:
    r"""Draw `samples` games in blocks.

    "independent" draws everything anew for each game. "balanced" has the same distribution for
    each single game, but spreads two inputs evenly: each of the K vectors of sizes comes up
    samples // K times (the rest are K-vectors drawn without repetition), and the least raw
    reward of every group, whose distribution function is :math:`1-(1-t)^m`, runs through a randomly
    shifted Kronecker sequence; given the least reward the others are uniform above it.

    >>> [game.batch_shape for game in draw_games(BEST, 1500, 0)]
    [(1000,), (500,)]
    """
    rng = np.random.default_rng(seed)
    n, m = setting.groups, setting.outcomes
    balanced = sampling == "balanced"
    sizes = _balanced_sizes(rng, setting, samples) if balanced else None
    irrationals, shift = 2.0 ** (np.arange(1, n + 1) / (n + 1)), rng.random(n)
    for start in range(0, samples, BLOCK):
        games = np.arange(start, min(start + BLOCK, samples))
        raw = rng.random((len(games), n, m)) + np.finfo(float).tiny
        if balanced:
            raw = _with_least(raw, (games[:, None] * irrationals + shift) % 1.0)
        if setting.sizes is not None:
            weights = np.array(setting.sizes, dtype=float)
        elif sizes is not None:
            digits = sizes[games, None] // setting.largest_size ** np.arange(n)[::-1]
            weights = 1.0 + digits % setting.largest_size
        else:
            weights = rng.integers(1, setting.largest_size + 1, (len(games), n)).astype(float)
        rewards = normalize(raw, setting.normalization)
        reference = _draw_reference(rng, setting, len(games))
        yield RLHFGame(rewards, weights, reference, _divergence(setting), setting.normalization)


def _balanced_sizes(rng: np.random.Generator, setting: Setting, samples: int) -> np.ndarray:
    """Numbers of the vectors of sizes, sorted, so that equal vectors are neighbours."""
    vectors = setting.largest_size**setting.groups
    each, rest = divmod(samples, vectors)
    every = np.repeat(np.arange(vectors if each else 0), each)
    return np.sort(np.concatenate([every, rng.choice(vectors, rest, replace=False)]))


def _with_least(raw: Floats, levels: Floats) -> Floats:
    """Move the least entry to quantile `levels`; the others keep their place above it."""
    least = raw.min(axis=-1, keepdims=True)
    moved = -np.expm1(np.log1p(-levels[..., None]) / raw.shape[-1])
    return np.asarray(moved + (1.0 - moved) * (raw - least) / (1.0 - least))


def _divergence(setting: Setting) -> Divergence:
    return {"KL": KL, "ChiSquared": ChiSquared}[setting.divergence](setting.lam)


def _draw_reference(rng: np.random.Generator, setting: Setting, games: int) -> Floats:
    m = setting.outcomes
    match setting.reference:
        case "uniform":
            return np.full(m, 1.0 / m)
        case "random":
            weights = rng.random((games, m))
        case "dirichlet":
            weights = rng.exponential(size=(games, m))
        case "softmax_uniform":
            weights = np.exp(rng.random((games, m)))
        case "softmax_normal":
            weights = np.exp(rng.standard_normal((games, m)))
    return weights / weights.sum(axis=-1, keepdims=True)
