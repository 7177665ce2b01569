"""The two normal forms in memory: what the mechanism needs of the rows, and no more.

A `CandidateTable` has the mean reward of every candidate, and the same by block of prompts, from
which a paired bootstrap is drawn. A `SupportTable` hands out its samples in chunks of whole
prompts. Up to `BLOCKS` prompts a block is one prompt; beyond, prompts are put into blocks by their
hash, so that neither memory nor the bootstrap grows with the number of prompts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, InvalidInputError, as_floats, positive_number, require
from mechanism.core.rlhf_game import CandidateGame, RLHFGame

BLOCKS = 4096
Scaling = Literal["min-max", "none"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Sums over blocks of prompts, from which means are resampled.

    Attributes
    ----------
    sums : ndarray, shape (n, k, B)
        Sum over the prompts of a block of a candidate's mean reward.
    counts : ndarray, shape (n, B)
        Prompts of a block that have the reward.
    divergences : ndarray, shape (k, B), or None
        Sums of the divergence, over the prompts that the first reward has.
    """

    sums: Floats
    counts: Floats
    divergences: Floats | None


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """k candidates with n rewards: names and means, raw.

    Attributes
    ----------
    format : str
        The reader that made it.
    names, groups : tuple of str
        Candidates in the order of the file; rewards in the order of `--sizes`.
    sizes : ndarray, shape (n,)
    means : ndarray, shape (n, k)
        Raw mean rewards.
    divergences : ndarray, shape (k,), or None
        Nats.
    blocks : Blocks or None
        None without prompts, or where there are too many candidates to resample.
    prompts : int
        0 where the table has none.
    normalization : {"min-max", "none"}
    lam : float or None
    notes : tuple of str
        What was left out, dropped or assumed.
    """

    format: str
    names: tuple[str, ...]
    groups: tuple[str, ...]
    sizes: Floats
    means: Floats
    divergences: Floats | None
    blocks: Blocks | None
    prompts: int
    normalization: Scaling
    lam: float | None
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> Floats:
        """Rewards (n, k) as the game has them.

        Raises
        ------
        InvalidInputError
            A reward that is equal for all candidates, under min-max.
        """
        if self.normalization == "none":
            return self.means
        low, high = self.means.min(axis=-1), self.means.max(axis=-1)
        for name, least, most in zip(self.groups, low, high, strict=True):
            if not most > least:
                rule = f"equal for all {len(self.names)} candidates, so min-max is undefined"
                fix = "leave it out of --sizes (it decides nothing), or use --normalization none"
                raise InvalidInputError(f"reward {name!r}", f"{most:.12g}", rule, fix)
        return scaled(self.means)

    @property
    def costs(self) -> Floats | None:
        """lam times the divergence (k,), or None."""
        if self.lam is None or self.divergences is None:
            return None
        return np.asarray(self.lam * self.divergences)

    def game(self) -> CandidateGame:
        """The game over the candidates, with normalised rewards and lam times the divergence."""
        return CandidateGame(self.values, self.sizes, self.costs)


def scaled(means: Floats) -> Floats:
    """Min-max over the last axis; a constant row becomes 0 (a group that is indifferent).

    >>> scaled(np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]]))
    array([[0. , 1. , 0.5],
           [0. , 0. , 0. ]])
    """
    # halves first: the span of two huge numbers must not overflow
    shifted = means / 2 - means.min(axis=-1, keepdims=True) / 2
    span = shifted.max(axis=-1, keepdims=True)
    return np.divide(shifted, span, out=np.zeros_like(shifted), where=span > 0)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Prompts that have equally many samples.

    Attributes
    ----------
    rewards : ndarray, shape (P, n, S)
        Raw.
    log_weights : ndarray, shape (P, S), or None
        log of initial model over the model that drew the sample, up to a constant a prompt.
    block : ndarray of int, shape (P,)
        The block of each prompt.
    """

    rewards: Floats
    log_weights: Floats | None
    block: NDArray[np.intp]

    def first(self, prompts: int) -> "Chunk":
        """The first so many prompts of the chunk."""
        weights = None if self.log_weights is None else self.log_weights[:prompts]
        return Chunk(self.rewards[:prompts], weights, self.block[:prompts])

    def reference(self) -> Floats:
        """The initial model on the samples, shape (P, S)."""
        prompts, _, samples = self.rewards.shape
        if self.log_weights is None:
            return np.full((prompts, samples), 1 / samples)
        shifted = self.log_weights - self.log_weights.max(axis=-1, keepdims=True)
        weights = np.maximum(np.exp(shifted), 1e-300)
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class SupportTable:
    """Samples of the initial model with n rewards.

    Attributes
    ----------
    format : str
    groups : tuple of str
    sizes : ndarray, shape (n,)
    low, high : ndarray, shape (n,)
        Raw rewards that become 0 and 1.
    prompts, samples : int
        Prompts, and samples of all prompts together.
    blocks : int
        Blocks of prompts that the bootstrap draws.
    lam : float
    chunks : callable
        () -> iterator of `Chunk`, every prompt once.
    normalization : {"min-max", "none"}
    notes : tuple of str
    """

    format: str
    groups: tuple[str, ...]
    sizes: Floats
    low: Floats
    high: Floats
    prompts: int
    samples: int
    blocks: int
    lam: float
    chunks: Callable[[], Iterator[Chunk]]
    normalization: Scaling
    notes: tuple[str, ...] = ()

    def game(self, chunk: Chunk) -> RLHFGame:
        """The games of a chunk's prompts, as one batch (P,)."""
        span = (self.high - self.low)[:, None]
        rewards = (chunk.rewards - self.low[:, None]) / span
        return RLHFGame(rewards, self.sizes, chunk.reference(), KL(self.lam))


@dataclass(frozen=True, eq=False)
class Held:
    """Chunks that are held in memory and handed out again and again, in any process."""

    chunks: tuple[Chunk, ...]

    def __call__(self) -> Iterator[Chunk]:
        """Hand them out."""
        return iter(self.chunks)

    @classmethod
    def first(cls, table: SupportTable, prompts: int) -> "Held":
        """The chunks that hold the first so many prompts of a table, the last one cut."""
        kept, left = [], prompts
        for chunk in table.chunks():
            kept.append(chunk.first(left))
            left -= len(kept[-1].block)
            if left <= 0:
                break
        return cls(tuple(kept))


Table = CandidateTable | SupportTable


def checked_sizes(sizes: Mapping[str, float]) -> tuple[tuple[str, ...], Floats]:
    """Names and sizes of the groups, each > 0.

    Raises
    ------
    InvalidInputError
        No group, or a size that is not a positive finite number.
    """
    if not sizes:
        fix = "name each group and its size: --sizes harmless=3,humor=7"
        raise InvalidInputError("--sizes", "none", "at least one group is needed", fix)
    fix = "give its number of members; leave out a group that has none"
    array = np.array([positive_number(f"size of {name!r}", w, fix) for name, w in sizes.items()])
    return tuple(sizes), array


def checked_lam(lam: float | None, zero: bool) -> float | None:
    """Return lam as a finite number > 0, or >= 0 where `zero` is allowed; None stays None."""
    if lam is None:
        return None
    value = as_floats("--lam", lam)
    rule = "must be finite and >= 0" if zero else "must be finite and > 0"
    fix = "it is in units of the normalised rewards per nat, e.g. 0.1"
    holds = np.isfinite(value) & ((value >= 0) if zero else (value > 0))
    require(np.asarray(holds), "--lam", value, rule, fix)
    return float(value)
