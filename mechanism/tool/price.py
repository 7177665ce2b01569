r"""The mechanism on a table: the chosen candidate, what every group pays, and how sure that is.

Candidates: SW-Max takes :math:`\arg\max_k \sum_i w_i v_i(k) - \lambda D(k)` and group i pays
:math:`\max_j ASW_{-i}(j) - ASW_{-i}(k)`. Samples: per prompt the exact SW-Max model on the sampled
support; all numbers are means over prompts.

Intervals are percentiles of a paired bootstrap over prompts: a replicate draws prompts with
replacement and recomputes means, normalisation, choice and payments of all candidates on them
(for samples the ends of the normalisation are kept). They cover the choice of prompts and the
noise of the samples in each, not a reward model that errs on all prompts alike.
Source: Definition 4.1, Equation (1) and Section 6, arXiv:2405.16276v4; Efron (1979).
"""

from collections.abc import Iterator

import numpy as np

from mechanism.core.errors import Floats
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max
from mechanism.tool.bootstrap import (
    LEVEL,
    REPLICATES,
    block_intervals,
    check_draws,
    resampled,
)
from mechanism.tool.outcome import TIE, GroupPrice, Price, check_finite, others_scores, settled
from mechanism.tool.reading.normal import listed
from mechanism.tool.tables import CandidateTable, SupportTable, Table, scaled


def price(table: Table, replicates: int = REPLICATES, level: float = LEVEL, seed: int = 0) -> Price:
    """Run the mechanism on a table.

    Parameters
    ----------
    table : CandidateTable or SupportTable
        What `mechanism.load` returns.
    replicates : int
        Of the bootstrap; 0: no intervals.
    level : float
        Coverage of the intervals.
    seed : int

    Raises
    ------
    InvalidInputError
        A reward that min-max cannot scale, numbers too large, or an argument out of its range.

    Examples
    --------
    >>> import mechanism
    >>> table = mechanism.from_arrays([[1, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC")
    >>> found = price(table)
    >>> found.chosen, [round(group.payment, 12) for group in found.groups.values()]
    ('C', [1.6, 2.0])
    """
    check_draws(replicates, level)
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(table, CandidateTable):
            return _price_candidates(table, replicates, level, seed)
        return _price_support(table, replicates, level, seed)


def _price_candidates(table: CandidateTable, replicates: int, level: float, seed: int) -> Price:
    game = table.game()
    scores = game.scores()
    check_finite(scores)
    chosen = int(sw_max(game))
    payments = settled(affine_maximizer_payments(game), scores)
    without = [int(row.argmax()) for row in others_scores(game)]
    valuations = game.valuations(chosen)
    low, high, other = _intervals(table, chosen, replicates, level, seed)
    order = np.argsort(-scores, kind="stable")
    second = int(order[1]) if len(order) > 1 else None
    scale = float(np.abs(scores).max()) or 1.0
    groups = {
        name: GroupPrice(
            float(table.sizes[i]), float(valuations[i]), float(payments[i]),
            None if low is None else float(low[i]), None if high is None else float(high[i]),
            float(table.sizes[i] * valuations[i] - payments[i]),
            bool(payments[i] > TIE * scale), table.names[without[i]],
        )
        for i, name in enumerate(table.groups)
    }  # fmt: skip
    used = replicates if low is not None else 0
    return Price(
        table.names[chosen], float(scores[chosen]), groups,
        tuple(_candidate_warnings(table, scores, chosen, other)), table.notes, other,
        None if second is None else table.names[second],
        None if second is None else float(scores[chosen] - scores[second]),
        len(table.names), table.prompts, None, None, table.format, table.normalization, table.lam,
        used, seed, level,
    )  # fmt: skip


def _candidate_warnings(
    table: CandidateTable, scores: Floats, chosen: int, other: float | None
) -> Iterator[str]:
    if table.costs is None:
        yield (
            "no divergence: candidates are priced by their rewards alone, as in the paper's tables;"
            " a model far from the initial one costs nothing extra here"
        )
    if table.normalization == "none":
        for name, row in zip(table.groups, table.values, strict=True):
            if row.min() < 0:
                yield (
                    f"reward {name!r} is negative (least {row.min():.4g}): without normalisation"
                    " utilities and payments may be negative too"
                )
    scale = float(np.abs(scores).max()) or 1.0
    ties = np.flatnonzero(scores >= scores[chosen] - TIE * scale)
    if len(ties) > 1:
        names = [table.names[k] for k in ties]
        yield f"{len(ties)} candidates tie and the first is taken: {listed(names)}"
    if len(table.names) == 1:
        yield "one candidate: nothing is decided, and nobody pays"
    if other is not None and other > 0.05:
        yield f"another candidate is chosen in {other:.0%} of the bootstrap replicates"


def _intervals(
    table: CandidateTable, chosen: int, replicates: int, level: float, seed: int
) -> tuple[Floats | None, Floats | None, float | None]:
    """Ends of the payments' intervals, and how often another candidate is chosen."""
    if table.blocks is None or replicates == 0:
        return None, None, None
    payments, choices = [], []
    for means, costs in resampled(table, table.blocks, replicates, seed):
        values = scaled(means) if table.normalization == "min-max" else means
        cost = None if table.costs is None or costs is None else (table.lam or 0.0) * costs
        game = CandidateGame(values, table.sizes, cost)
        choices.append(np.asarray(sw_max(game)) == chosen)
        payments.append(affine_maximizer_payments(game))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(payments), [tail, 1 - tail], axis=0)
    return low, high, float(1 - np.concatenate(choices).mean())


def _price_support(table: SupportTable, replicates: int, level: float, seed: int) -> Price:
    n = len(table.groups)
    sums, counts = np.zeros((table.blocks, 2 * n + 1)), np.zeros(table.blocks)
    effective, shares, negative = [], [], np.zeros(n, bool)
    for chunk in table.chunks():
        game = table.game(chunk)
        check_finite(game.scores())
        negative |= (game.rewards < 0).any(axis=(0, 2))
        policy = np.asarray(sw_max(game), dtype=float)
        payments = settled(affine_maximizer_payments(game), game.scores())
        welfare = np.asarray(game.welfare(policy))
        rows = np.concatenate([payments, game.valuations(policy), welfare[:, None]], axis=-1)
        np.add.at(sums, chunk.block, rows)
        np.add.at(counts, chunk.block, 1.0)
        ess = 1 / np.vecdot(policy, policy)
        effective.append(ess)
        shares.append(ess / policy.shape[-1])
    mean = sums.sum(axis=0) / counts.sum()
    payments, valuations = mean[:n], mean[n : 2 * n]
    low, high = block_intervals(sums[:, :n], counts, replicates, level, seed)
    ess, share = np.concatenate(effective), np.concatenate(shares)
    scale = float(np.abs(table.sizes).sum())
    groups = {
        name: GroupPrice(
            float(table.sizes[i]), float(valuations[i]), float(payments[i]),
            None if low is None else float(low[i]), None if high is None else float(high[i]),
            float(table.sizes[i] * valuations[i] - payments[i]),
            bool(payments[i] > TIE * scale), None,
        )
        for i, name in enumerate(table.groups)
    }  # fmt: skip
    warnings = []
    if table.samples == table.prompts:
        warnings.append("one sample a prompt: nothing is decided, and nobody pays")
    if np.median(share) < 0.1 or (np.median(ess) < 2 <= table.samples / table.prompts / 2):
        warnings.append(
            f"the median prompt uses {np.median(ess):.1f} effective samples: the optimum lies"
            " beyond what was sampled; draw more samples or raise --lam"
        )
    for name, bad in zip(table.groups, negative, strict=True):
        if bad and table.normalization == "none":
            warnings.append(
                f"reward {name!r} is negative for some samples: utilities may be negative too"
            )
    return Price(
        None, float(mean[-1]), groups, tuple(warnings), table.notes, None, None, None, None,
        table.prompts, table.samples,
        {"median": float(np.median(ess)), "least": float(ess.min())}, table.format,
        table.normalization, table.lam, replicates if low is not None else 0, seed, level,
    )  # fmt: skip
