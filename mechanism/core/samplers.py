"""Seeded random games: every draw goes through a `numpy.random.Generator` that the caller seeds."""

import numpy as np

from mechanism.core.errors import Floats
from mechanism.core.generator import Divergence
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.rlhf_game import CandidateGame, RLHFGame


def sample_rewards(
    rng: np.random.Generator, shape: tuple[int, ...], normalization: Normalization
) -> Floats:
    """Uniform draws from [0, 1)^m, normalised along the last axis: the paper's random preferences.

    >>> float(sample_rewards(np.random.default_rng(0), (2, 3), "summation").sum().round(12))
    2.0
    """
    return normalize(rng.random(shape) + np.finfo(float).tiny, normalization)


def sample_game(
    rng: np.random.Generator,
    groups: int,
    outcomes: int,
    divergence: Divergence,
    normalization: Normalization = "summation",
    batch: tuple[int, ...] = (),
    skew: float = 1.0,
    largest_size: int = 10,
) -> RLHFGame:
    """Draw games: uniform rewards, sizes uniform on 1..`largest_size`, reference Dirichlet(1/skew).

    `skew` above 1 makes the reference uneven, with outcomes down to about 1e-300.

    >>> from mechanism import KL
    >>> sample_game(np.random.default_rng(0), 3, 5, KL(0.2), batch=(7,)).batch_shape
    (7,)
    """
    logs = skew * np.log(rng.exponential(size=(*batch, outcomes)))
    reference = np.exp(np.maximum(logs - logs.max(axis=-1, keepdims=True), -650.0))
    return RLHFGame(
        sample_rewards(rng, (*batch, groups, outcomes), normalization),
        rng.integers(1, largest_size, endpoint=True, size=(*batch, groups)).astype(float),
        reference / reference.sum(axis=-1, keepdims=True),
        divergence,
        normalization,
    )


def sample_candidate_game(
    rng: np.random.Generator,
    groups: int,
    candidates: int,
    batch: tuple[int, ...] = (),
    divergence_scale: float = 0.0,
    largest_size: int = 10,
) -> CandidateGame:
    """Draw candidate games: min-max normalised uniform values, uniform divergences if scaled > 0.

    >>> sample_candidate_game(np.random.default_rng(0), 2, 4).candidates
    4
    """
    raw = rng.random((*batch, groups, candidates))
    values = normalize(raw, "min-max") if candidates > 1 else np.ones_like(raw)
    costs = divergence_scale * rng.random((*batch, candidates)) if divergence_scale else None
    sizes = rng.integers(1, largest_size, endpoint=True, size=(*batch, groups)).astype(float)
    return CandidateGame(values, sizes, costs)
