"""The paired bootstrap over prompts, or over blocks of prompts.

Source: percentile bootstrap, Efron (1979).
"""

from collections.abc import Iterator

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.tool.tables import Blocks, CandidateTable

REPLICATES, LEVEL = 1000, 0.95
BATCH = 4_000_000  # numbers of a bootstrap batch: 32 MB an array


def check_draws(replicates: int, level: float) -> None:
    """Raise unless the bootstrap's settings make sense."""
    if not 0 < level < 1:
        raise InvalidInputError("--level", level, "must be in (0, 1)", "e.g. 0.95")
    if replicates < 0:
        raise InvalidInputError("--replicates", replicates, "must be >= 0", "e.g. 1000")


def resampled(
    table: CandidateTable, blocks: Blocks, replicates: int, seed: int
) -> Iterator[tuple[Floats, Floats | None]]:
    """Mean rewards (R, n, k) and divergences (R, k) of bootstrap replicates, batch by batch."""
    rng = np.random.default_rng(seed)
    n, k, number = blocks.sums.shape
    batch = max(1, min(replicates, BATCH // max(number, n * k)))
    for start in range(0, replicates, batch):
        size, drawn_for = min(batch, replicates - start), {}
        for present in blocks.counts > 0:  # rewards on the same prompts share their draw
            key, own_number = present.tobytes(), int(present.sum())
            if key not in drawn_for:
                share = present / own_number
                drawn_for[key] = rng.multinomial(own_number, share, size).astype(float)
        own = [drawn_for[present.tobytes()] for present in blocks.counts > 0]
        means = np.stack(
            [(own[i] @ blocks.sums[i].T) / counted(own[i] @ blocks.counts[i]) for i in range(n)],
            axis=1,
        )
        costs = blocks.divergences
        drawn = None if costs is None else (own[0] @ costs.T) / counted(own[0] @ blocks.counts[0])
        yield means, drawn


def counted(counts: Floats) -> Floats:
    """Numbers of prompts (R,) as divisors (R, 1): a draw that missed all divides 0 by 1."""
    return np.maximum(counts, 1.0)[:, None]


def block_intervals(
    sums: Floats, counts: Floats, replicates: int, level: float, seed: int
) -> tuple[Floats | None, Floats | None]:
    """Ends of the intervals of means (n,), from sums (B, n) and counts (B,) of blocks."""
    number = len(counts)
    if number < 2 or replicates == 0:
        return None, None
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(number, np.full(number, 1 / number), replicates).astype(float)
    means = (draws @ sums) / counted(draws @ counts)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high
