"""Type tables: many types of one group beside the same reports of the others, each run once.

Any type may be the truth and any the report, so that K runs of the mechanism test K^2 deviations:
gain(j, k) = [w_j v_j(p_k) - pay_k] - [w_j v_j(p_j) - pay_j]. A table holds far and near reports (a
payment that is wrong by a factor gives the utility a slope at the truth) and both sides of a point
where the model changes, found by bisection (where a model does not move smoothly, a wrong payment
shows there and nowhere else).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.normalization import normalize
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_candidate_game, sample_game
from mechanism.core.sw_max import sw_max
from mechanism.theorems.best_response import Game, Sampler, own_row, project_report, report_sizes
from mechanism.theorems.claim_result import scale

ERROR = 1e-12  # certified relative error of sw_max, in units of max |S| + lam
BISECTIONS = 12
Games = Literal["rlhf", "candidate"] | Sampler


def draw_rlhf_game(rng: np.random.Generator) -> RLHFGame:
    """Default sampler: every named divergence, lam from 1e-3 to 1e3, n 2..10, m 2..1000, ties."""
    lam, alpha = float(10 ** rng.uniform(-3, 3)), float(rng.choice([-0.5, 0.3, 1.5, 3.0]))
    plain = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)
    kind = int(rng.integers(len(plain) + 1))
    divergence: Divergence = plain[kind](lam) if kind < len(plain) else Alpha(alpha, lam)
    outcomes = min(1000, 2 + int(3 * rng.pareto(1.2)))
    how: Literal["summation", "maximum"] = "summation" if rng.random() < 0.5 else "maximum"
    skew = float(rng.choice([1.0, 1.0, 4.0, 40.0]))
    groups = int(rng.integers(2, 11))
    game = sample_game(rng, groups, outcomes, divergence, how, skew=skew)
    if rng.random() < 0.8:
        return game
    levels = np.floor(3 * game.rewards / game.rewards.max(axis=-1, keepdims=True))
    return replace(game, rewards=normalize(levels, how))


def draw_candidate_game(rng: np.random.Generator) -> CandidateGame:
    """Default sampler of candidate games: n 2..10, k 2..40, half of them with divergences."""
    groups, candidates = int(rng.integers(2, 11)), min(40, 2 + int(4 * rng.pareto(1.5)))
    costly = float(rng.choice([0.0, 1.0]))
    return sample_candidate_game(rng, groups, candidates, divergence_scale=costly)


def sampler(games: Games) -> Sampler:
    """Turn "rlhf", "candidate" or a callable rng -> game into a sampler."""
    if callable(games):
        return games
    if games not in ("rlhf", "candidate"):
        fix = 'pass "rlhf", "candidate" or a function of a random generator'
        raise InvalidInputError("games", repr(games), "unknown sampler", fix)
    return draw_rlhf_game if games == "rlhf" else draw_candidate_game


@dataclass(frozen=True)
class TypeTable:
    """K types of one group, each run through the mechanism beside the others' same reports."""

    game: Game
    group: int
    rewards: Floats  # (K, m)
    sizes: Floats  # (K,)
    models: Floats  # (K, m) policies, or (K,) indices
    payments: Floats  # (K, n)

    def reported(self, k: int) -> Game:
        """The game in which the group's type is the k-th."""
        return self.game.with_report(self.group, reward=self.rewards[k], size=self.sizes[k])

    def gains(self) -> Floats:
        """(K, K): what type j gains by reporting type k."""
        if isinstance(self.game, CandidateGame):
            values = self.rewards[:, self.models]
        else:
            values = self.rewards @ self.models.T
        utilities = self.sizes[:, None] * values - self.payments[None, :, self.group]
        return np.asarray(utilities - utilities.diagonal()[:, None])

    def truthful_utilities(self) -> Floats:
        """(K, n): utilities of all groups where type k is the truth."""
        batch = self.game.with_report(self.group, reward=self.rewards, size=self.sizes)
        return batch.utilities(self.models, self.payments)

    @property
    def tolerance(self) -> float:
        """Certified error of a utility in this table."""
        batch = self.game.with_report(self.group, reward=self.rewards, size=self.sizes)
        return ERROR * float(np.max(scale(batch)))

    @property
    def distances(self) -> Floats:
        """(K,): how far each model is from that of the first type, 0 to 1."""
        if isinstance(self.game, CandidateGame):
            return np.asarray(self.models != self.models[0], dtype=np.float64)
        return np.asarray(np.abs(self.models - self.models[0]).sum(axis=-1) / 2)


def run_types(
    mechanism: Mechanism | None, game: Game, i: int, rewards: Floats, sizes: Floats
) -> TypeTable:
    """Run the mechanism on every type: the paper's as one batch, any other game by game."""
    if mechanism is None:
        batch = game.with_report(i, reward=rewards, size=sizes)
        return TypeTable(
            game, i, rewards, sizes, np.asarray(sw_max(batch)), affine_maximizer_payments(batch)
        )
    single = [game.with_report(i, reward=r, size=w) for r, w in zip(rewards, sizes, strict=True)]
    models = np.array([mechanism.training_rule(one) for one in single])
    payments = np.array([mechanism.payment_rule(one) for one in single], dtype=np.float64)
    return TypeTable(game, i, rewards, sizes, models, payments)


def draw_types(rng: np.random.Generator, game: Game, i: int) -> tuple[Floats, Floats]:
    """Types to try, the truth first: rewards (K, m) and sizes (K,).

    Near and far mixtures with the constant report (which shrink a group's influence), their
    opposites, random directions, spikes (also at what the others like least), random rewards; then
    the truth at other sizes, and random rewards at random sizes.
    """
    own, m = own_row(game, i), own_row(game, i).shape[-1]
    constant = np.full(m, 1.0 / m if _is_summation(game) else 1.0)
    steps = np.array([1e-3, 1e-2, 0.1])[:, None]
    away, noise = own - constant, rng.standard_normal((2, m))
    others = game.scores() - game.sizes[i] * own
    spikes = np.eye(m)[[own.argmax(), int(rng.integers(m)), others.argmin()]]
    rows = [
        own[None], own - steps * away, own + steps * away, own + steps * noise[0],
        own - steps[:2] * noise[0], own + steps[:2] * noise[1],
        constant[None], spikes, rng.random((3, m)),
    ]  # fmt: skip
    rewards = project_report(game, i, np.concatenate(rows))
    grid, size = report_sizes(game, i), float(game.sizes[i])
    sizes = np.unique([1.0, max(1.0, size - 1), size + 1, grid[-1], rng.choice(grid)])
    mixed = project_report(game, i, rng.random((2, m)))
    least = rewards[-4:-3]  # the spike that the others like least, as a group of one: IR is tight
    return (
        np.concatenate([rewards, np.tile(own, (len(sizes), 1)), mixed, least]),
        np.concatenate([np.full(len(rewards), size), sizes, rng.choice(grid, 2), [1.0]]),
    )


def _is_summation(game: Game) -> bool:
    return isinstance(game, RLHFGame) and game.normalization == "summation"


def explore(mechanism: Mechanism | None, game: Game, i: int, rng: np.random.Generator) -> TypeTable:
    """Type table of group i: `draw_types`, then bisection for the first change of the model."""
    rewards, sizes = draw_types(rng, game, i)
    table = run_types(mechanism, game, i, rewards, sizes)
    distances = np.where(sizes == sizes[0], table.distances, 0.0)
    target, change = rewards[distances.argmax()], distances.max()
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS if change > 0 else 0):
        middle = (low + high) / 2
        row = project_report(game, i, (1 - middle) * rewards[0] + middle * target)
        if isinstance(game, RLHFGame) and game.normalization == "maximum":
            row = row / row.max()
        step = run_types(mechanism, game, i, row[None], sizes[:1])
        table = _stack(table, step)
        moved = table.distances[-1] > 0.1 * change
        low, high = (low, middle) if moved else (middle, high)
    return table


def _stack(first: TypeTable, second: TypeTable) -> TypeTable:
    return replace(
        first,
        rewards=np.concatenate([first.rewards, second.rewards]),
        sizes=np.concatenate([first.sizes, second.sizes]),
        models=np.concatenate([first.models, second.models]),
        payments=np.concatenate([first.payments, second.payments]),
    )


def draw_tables(
    mechanism: Mechanism | None, games: Games, budget: int, seed: int
) -> Iterator[TypeTable]:
    """Tables until `budget` runs are spent: half from the games with the largest payments.

    The pool of budget / 2 games is ranked by the paper's payments, which are no run of the
    mechanism that is tested.
    """
    rng, draw = np.random.default_rng(seed), sampler(games)
    pool = [draw(rng) for _ in range(max(2, budget // 2))]
    payments = [affine_maximizer_payments(game) for game in pool]
    order = np.argsort([-pay.max() for pay in payments], kind="stable")
    spent = turn = 0
    while spent < budget:
        top = turn % 2 == 0
        k = int(order[(turn // 2) % len(order)] if top else rng.integers(len(pool)))
        i = int(payments[k].argmax()) if top else int(rng.integers(pool[k].groups))
        table = explore(mechanism, pool[k], i, rng)
        spent, turn = spent + len(table.sizes), turn + 1
        yield table
