r"""The audit of a support: gradient ascent on what groups report of every sample.

Rewards of every prompt are searched by themselves, sizes for all prompts together. With payments
the search is beside the point: a group's gain is ASW(model) - ASW(truth), at most the dual gap of
the truthful optimum, which bounds every report at once.
Source: Theorem B.2 (gradient) and Fenchel duality, arXiv:2405.16276v4.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from mechanism.attack.best_response import utility_gradient
from mechanism.attack.joint_reports import (
    false_name_payments,
    joint_gains,
    with_sizes_scaled,
)
from mechanism.core.errors import Floats
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import solve, sw_max
from mechanism.tool.auditing.coalition import NAMES, FalseNames, Pair
from mechanism.tool.auditing.custom_rule import audit_rule
from mechanism.tool.auditing.findings import WAYS, Audit, GroupAudit, Lie
from mechanism.tool.auditing.uncertainty import Noise
from mechanism.tool.outcome import check_finite
from mechanism.tool.tables import Held, SupportTable

PROMPTS = 200  # prompts that are searched
STEPS = 60
FACTORS = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0])  # sizes, of the true one


def audit_support(
    table: SupportTable, delta: float, epsilon: float | None,
    payments: Callable[[Any], Any] | None, seed: int,
) -> Audit:  # fmt: skip
    """Audit the first `PROMPTS` prompts, in games of equally many samples."""
    games = [table.game(chunk) for chunk in Held.first(table, PROMPTS)()]
    for game in games:
        check_finite(game.scores())
    counts = np.array([game.batch_shape[0] for game in games], float)
    shares = counts / counts.sum()
    groups = {name: _group(games, shares, i, delta, epsilon) for i, name in enumerate(table.groups)}
    names = {
        name: tuple(
            FalseNames(m, float(p), float(v - p))
            for m, p, v in zip(NAMES, *_split(games, shares, i), strict=True)
        )
        for i, name in enumerate(table.groups)
    }
    rule = None
    if payments is not None:
        one = games[0]
        single = RLHFGame(one.rewards[0], one.sizes, one.reference[0], one.divergence)
        rule = audit_rule(single, payments, table.groups, seed)
    seen = int(counts.sum())
    gap = float(sum(s * solve(g).dual_gap.mean() for s, g in zip(shares, games, strict=True)))
    warnings = ["payments stop one group's lies, not false names or agreements between groups"]
    if epsilon is None:
        warnings.append(
            "no bound of Theorem 4.12: the samples say nothing about how far their rewards are off;"
            " give --epsilon, in normalised reward units"
        )
    if rule is not None:
        warnings.append("the payment rule was searched on the first prompt alone")
    return Audit(
        None, groups, names, _pairs(games, shares, table.groups), rule, delta,
        f"projected gradient, {STEPS} steps, sizes times {FACTORS.min():g} to {FACTORS.max():g};"
        f" with payments no report at all gains more than {gap:.1e} (dual gap)",
        f"{seen} of {table.prompts} prompts", tuple(warnings), table.notes,
    )  # fmt: skip


def _group(
    games: list[RLHFGame], shares: Floats, i: int, delta: float, epsilon: float | None
) -> GroupAudit:
    size = float(games[0].sizes[i])
    lies = []
    for way, factors, moves in zip(
        WAYS, (np.ones(1), FACTORS, FACTORS), (True, False, True), strict=True
    ):
        free, cost = _best(games, shares, i, factors, moves, payments=False)
        paid, _ = _best(games, shares, i, factors, moves, payments=True)
        lies.append(Lie(way, free, None, cost, paid))
    noise = None
    if epsilon is not None:
        noise = Noise(epsilon, None, 2 * size * epsilon + delta, None)
    return GroupAudit(tuple(lies), None, None, (None, None), (None, None), None, noise)


def _best(
    games: list[RLHFGame], shares: Floats, i: int, factors: Floats, moves: bool, payments: bool
) -> tuple[float, float]:
    """Best mean gain over size factors, and the welfare that it takes."""
    found = []
    for factor in factors:
        parts = [climb(game, i, float(factor), moves, payments) for game in games]
        found.append(
            [sum(s * part[k].mean() for s, part in zip(shares, parts, strict=True))
             for k in range(2)]
        )  # fmt: skip
    gain, cost = max(found, key=lambda pair: pair[0])
    return (0.0, 0.0) if gain < 0 else (float(gain), float(cost))


def climb(
    game: RLHFGame, i: int, factor: float, moves: bool, payments: bool
) -> tuple[Floats, Floats]:
    """Gains (P,) and welfare losses (P,) after ascent in the report, prompt by prompt.

    With payments the gain is that of utility, else that of w_i v_i. The truth is one of the
    reports, so that with `factor` 1 no gain is below 0.

    >>> from mechanism import KL
    >>> game = RLHFGame([[[0.7, 0.3], [0.4, 0.6]]], [2, 3], [[0.5, 0.5]], KL(1.0))
    >>> climb(game, 0, 1.0, True, False)[0].round(4)
    array([0.2019])
    """
    low, high = min(0.0, float(game.rewards.min())), max(1.0, float(game.rewards.max()))
    honest = np.asarray(sw_max(game), dtype=float)
    own0, welfare0 = game.valuations(honest)[:, i], np.asarray(game.welfare(honest))
    size, rows = game.sizes[i], game.rewards[:, i]

    def worth(rows: Floats) -> tuple[Floats, Floats, RLHFGame]:
        reported = game.with_report(i, reward=rows, size=factor * size)
        policy = np.asarray(sw_max(reported), dtype=float)
        welfare = np.asarray(game.welfare(policy))
        free = size * (game.valuations(policy)[:, i] - own0)
        # the pivot term does not follow the report: utility changes as welfare does
        return (welfare - welfare0 if payments else free), welfare0 - welfare, reported

    value, cost, reported = worth(rows)
    pace = np.full(len(rows), 0.3)
    for _ in range(STEPS if moves else 0):
        slope = utility_gradient(game, reported, i, payments)
        length = np.abs(slope).max(axis=-1)
        step = (pace / np.where(length > 0, length, 1.0))[:, None] * slope
        proposal = np.clip(rows + step, low, high)
        new, new_cost, _ = worth(proposal)
        up = new > value
        rows = np.where(up[:, None], proposal, rows)
        value, cost = np.where(up, new, value), np.where(up, new_cost, cost)
        reported = game.with_report(i, reward=rows, size=factor * size)
        pace = pace * np.where(up, 1.5, 0.3)
    return value, cost


def _split(games: list[RLHFGame], shares: Floats, i: int) -> tuple[Floats, Floats]:
    """Mean payments of false names (M,), and the worth of the outcome, as often."""
    paid, worth = np.zeros(len(NAMES)), 0.0
    for share, game in zip(shares, games, strict=True):
        paid += share * false_name_payments(game, i, NAMES).mean(axis=0)
        worth += share * float(game.sizes[i] * game.valuations(sw_max(game))[:, i].mean())
    return paid, np.full(len(NAMES), worth)


def _pairs(games: list[RLHFGame], shares: Floats, groups: tuple[str, ...]) -> tuple[Pair, ...]:
    """Every pair that doubles its sizes."""
    truth = sum(
        s * g.utilities(sw_max(g), affine_maximizer_payments(g)).mean(axis=0)
        for s, g in zip(shares, games, strict=True)
    )
    found = []
    for i, j in combinations(range(len(groups)), 2):
        gains = sum(
            s * joint_gains(g, (i, j), with_sizes_scaled(g, (i, j), 2.0)).mean(axis=0)
            for s, g in zip(shares, games, strict=True)
        )
        found.append(
            Pair((groups[i], groups[j]), (float(truth[i]), float(truth[j])),
                 (float(gains[0]), float(gains[1])), None, None)
        )  # fmt: skip
    return tuple(found)
