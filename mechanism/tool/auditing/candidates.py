r"""What groups could gain by lying about a table, and two attacks that payments do not stop.

In a candidate game a report of group i matters only through the candidate that it brings about,
and group i then pays :math:`\max_j ASW_{-i}(j) - ASW_{-i}(k)`. So the best misreport is found
exactly, by asking of every candidate whether some report in the domain brings it about:

- rewards in [0, 1]^k, size as it is: the best attempt at k reports 1 there and 0 elsewhere;
- any size > 0, rewards as they are: the candidates on the upper envelope of the lines
  :math:`w' v_i(k) + ASW_{-i}(k)`;
- both: every candidate.

Source: Section 3 and Equation (1), arXiv:2405.16276v4; the searches are our own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max
from mechanism.tool.auditing import coalition
from mechanism.tool.auditing.custom_rule import audit_rule
from mechanism.tool.auditing.findings import WAYS, Audit, GroupAudit, Lie
from mechanism.tool.auditing.rescaling import scale_attack
from mechanism.tool.auditing.support import audit_support
from mechanism.tool.auditing.uncertainty import Noise, noise_of
from mechanism.tool.bootstrap import LEVEL, REPLICATES, check_draws
from mechanism.tool.outcome import check_finite, others_scores
from mechanism.tool.tables import CandidateTable, Table


def audit(
    table: Table, delta: float = 0.0, epsilon: float | None = None,
    payments: Callable[[Any], Any] | None = None,
    replicates: int = REPLICATES, level: float = LEVEL, seed: int = 0,
) -> Audit:  # fmt: skip
    """Search a table for what groups could gain.

    Parameters
    ----------
    table : CandidateTable or SupportTable
    delta : float
        How far from the optimum training may end, reward units: 2 w eps + delta.
    epsilon : float, optional
        Error of the rewards; by default from the bootstrap over prompts, where there are prompts.
    payments : callable, optional
        A payment rule of one's own: game -> (n,).
    replicates, level, seed
        Of the bootstrap and of searches.

    Examples
    --------
    >>> import mechanism
    >>> table = mechanism.from_arrays([[1, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC")
    >>> found = audit(table).groups["a"]
    >>> [(lie.way, round(lie.free_gain, 12), lie.outcome) for lie in found.lies]
    [('reward', 2.0, 'A'), ('size', 2.0, 'A'), ('reward and size', 2.0, 'A')]
    """
    for name, value in (("--delta", delta), ("--epsilon", epsilon)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            rule = "must be finite and >= 0"
            raise InvalidInputError(name, value, rule, "it is in reward units, e.g. 0.05")
    check_draws(replicates, level)
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(table, CandidateTable):
            return _audit_candidates(table, delta, epsilon, payments, replicates, level, seed)
        return audit_support(table, delta, epsilon, payments, seed)


def _audit_candidates(
    table: CandidateTable, delta: float, epsilon: float | None,
    payments: Callable[[Any], Any] | None, replicates: int, level: float, seed: int,
) -> Audit:  # fmt: skip
    game = table.game()
    check_finite(game.scores())
    others = others_scores(game)
    noise = noise_of(table, delta, epsilon, replicates, level, seed)
    groups = {
        name: _group(table, game, i, others[i], noise[i]) for i, name in enumerate(table.groups)
    }
    custom = None if payments is None else audit_rule(game, payments, table.groups, seed)
    return Audit(
        table.names[int(sw_max(game))], groups,
        {name: coalition.false_names(game, i) for i, name in enumerate(table.groups)},
        coalition.pairs(game, table.groups, table.names), custom, delta,
        "exact: every candidate that a report can bring about",
        f"all of {len(table.names)} candidates", tuple(_warnings(table)), table.notes,
    )  # fmt: skip


def _warnings(table: CandidateTable) -> list[str]:
    found = ["payments stop one group's lies, not false names or agreements between groups (below)"]
    if table.normalization == "none" and table.means.min() < 0:
        found.append("negative rewards: a group's utility may be below 0 (IR needs rewards >= 0)")
    return found


def _group(
    table: CandidateTable, game: CandidateGame, i: int, others: Floats, noise: Noise | None
) -> GroupAudit:
    own, truth, names = game.values[i], int(sw_max(game)), table.names
    size = float(game.sizes[i])
    low, high = min(0.0, float(own.min())), max(1.0, float(own.max()))
    ways = (
        reachable_by_reward(others, size, high - low, truth),
        reachable_by_size(own, others, size, truth),
        np.ones(len(own), bool),
    )
    lies = tuple(
        _lie(way, size * own, others, reach, truth, names)
        for way, reach in zip(WAYS, ways, strict=True)
    )
    change, outcome = least_reward_change(own, others, size, truth, low, high)
    factors = least_size_factors(own, others, size, truth)
    return GroupAudit(
        lies, change, None if outcome is None else names[outcome],
        (factors[0][0], factors[1][0]),
        tuple(None if k is None else names[k] for _, k in factors),  # type: ignore[arg-type]
        scale_attack(table, game, i, others) if table.normalization == "min-max" else None, noise,
    )  # fmt: skip


def _lie(
    way: str, worth: Floats, others: Floats, reach: NDArray[np.bool_], truth: int,
    names: tuple[str, ...],
) -> Lie:  # fmt: skip
    """The best candidate to bring about; of equally good ones the one that costs least."""
    within = np.where(reach, worth, -np.inf)
    best = np.flatnonzero(within == within.max())
    target = truth if worth[truth] == within.max() else int(best[np.argmax(others[best])])
    total = worth + others  # utility of k is this less max(others); welfare of k is this
    return Lie(
        way, float(worth[target] - worth[truth]), names[target],
        float(total[truth] - total[target]),
        float(np.where(reach, total, -np.inf).max() - total[truth]),
    )  # fmt: skip


def reachable_by_reward(others: Floats, size: float, span: float, truth: int) -> NDArray[np.bool_]:
    """Candidates (k,) that some reward in the domain, times the true size, can bring about.

    The best attempt gives candidate k the whole span more than all others; it wins ties against
    later candidates and loses them against earlier ones.

    >>> reachable_by_reward(np.array([0.0, 4.0, 2.4]), 3.0, 1.0, 2)
    array([False,  True,  True])
    """
    raised = others + size * span
    before = np.concatenate([[-np.inf], np.maximum.accumulate(others)[:-1]])
    after = np.concatenate([np.maximum.accumulate(others[::-1])[::-1][1:], [-np.inf]])
    reach = (raised > before) & (raised >= after)
    reach[truth] = True
    return np.asarray(reach)


def reachable_by_size(own: Floats, others: Floats, size: float, truth: int) -> NDArray[np.bool_]:
    """Candidates (k,) that some size > 0, with the true reward, can bring about.

    Walks along the upper envelope of w' v(k) + others(k) from w' = 0 to infinity.

    >>> reachable_by_size(np.array([1.0, 0.0, 0.6]), np.array([0.0, 4.0, 2.4]), 5.0, 2)
    array([ True,  True,  True])
    """
    reach = np.zeros(len(own), bool)
    reach[truth] = True
    at = _first_of_best(others, own)
    for _ in range(len(own)):
        reach[at] = True
        nearest, factor = _next_on_envelope(own, others, at)
        if nearest < 0:
            return reach
        # at this very size several are equally good, and the first of them is chosen
        tied = (own >= own[at]) & (factor * own + others >= factor * own[at] + others[at])
        reach[int(np.argmax(tied))] = True
        at = nearest
    return reach


def _first_of_best(first: Floats, then: Floats) -> int:
    """Index that is best by `first`, then by `then`, then the first."""
    best = np.flatnonzero(first == first.max())
    return int(best[np.argmax(then[best])])


def _next_on_envelope(own: Floats, others: Floats, at: int) -> tuple[int, float]:
    """The next line on the envelope above `at`, and the size where it takes over; -1 at the end."""
    rise = own - own[at]
    steeper = rise > 0
    if not steeper.any():
        return -1, np.inf
    crossing = np.full(len(own), np.inf)
    np.divide(others[at] - others, rise, out=crossing, where=steeper)
    where = np.flatnonzero(crossing == crossing.min())
    return int(where[np.argmax(own[where])]), float(crossing.min())


def least_reward_change(
    own: Floats, others: Floats, size: float, truth: int, low: float, high: float
) -> tuple[float | None, int | None]:
    """Least d such that a report within d of the truth, in [low, high], changes the outcome.

    To bring about k with as little as possible, raise k by d and lower all others by d, as far as
    the domain allows. One bisection finds the least d over all k; ties count as changed.

    >>> d, k = least_reward_change(np.array([1.0, 0.0, 0.6]), np.array([0.0, 4.0, 2.4]), 5, 2, 0, 1)
    >>> round(d, 9), k
    (0.08, 0)
    """

    def best(d: float) -> tuple[bool, int]:
        raised = others + size * np.minimum(own + d, high)
        raised[truth] = -np.inf
        lowered = others + size * np.maximum(own - d, low)
        k = int(np.argmax(raised))
        rivals = np.delete(lowered, k)
        return bool(raised[k] >= rivals.max(initial=-np.inf)), k

    if len(own) == 1 or not best(high - low)[0]:
        return None, None
    bottom, top = 0.0, high - low
    for _ in range(80):
        middle = (bottom + top) / 2
        bottom, top = (bottom, middle) if best(middle)[0] else (middle, top)
    return top, best(top)[1]


def least_size_factors(
    own: Floats, others: Floats, size: float, truth: int
) -> tuple[tuple[float | None, int | None], tuple[float | None, int | None]]:
    """Size factors nearest to 1, below and above, at which the outcome changes, and to what.

    >>> down, up = least_size_factors(np.array([1.0, 0.0, 0.6]), np.array([0.0, 4.0, 2.4]), 5.0, 2)
    >>> round(down[0], 9), down[1], round(up[0], 9), up[1]
    (0.533333333, 1, 1.2, 0)
    """
    up, above = _next_on_envelope(own, others, truth)
    down, below = _next_on_envelope(-own, others, truth)
    grows = (above / size, up) if up >= 0 else (None, None)
    # seen from below the sizes are negative: the same lines, walked towards 0
    shrinks = (-below / size, down) if down >= 0 and -below > 0 else (None, None)
    return shrinks, grows
