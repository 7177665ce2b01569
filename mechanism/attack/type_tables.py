"""Type tables: many types of one group beside the same reports of the others, each run once.

Any type may be the truth and any the report, so that K runs of the mechanism test K^2 deviations:
gain(j, k) = [w_j v_j(p_k) - pay_k] - [w_j v_j(p_j) - pay_j]. A table holds far and near reports (a
payment that is wrong by a factor gives the utility a slope at the truth) and both sides of a point
where the model changes, found by bisection (where a model does not move smoothly, a wrong payment
shows there and nowhere else).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mechanism.attack.claim_result import ERROR, payment_rounding, utility_scale
from mechanism.attack.games import Draws, Game, Games
from mechanism.attack.reports import draw_types, project_report
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max

BISECTIONS = 12
LARGEST_TABLE = 29 + BISECTIONS  # runs: types of `draw_types`, then bisections


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
        return ERROR * float(np.max(utility_scale(batch))) + payment_rounding(self.payments)

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
        table = stack(table, step)
        moved = table.distances[-1] > 0.1 * change
        low, high = (low, middle) if moved else (middle, high)
    return table


def stack(first: TypeTable, second: TypeTable) -> TypeTable:
    """One table of the types of two, in the same game."""
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
    """Tables of one stratum after the other, until no further one fits the budget."""
    rng = np.random.default_rng(seed)
    draws = Draws(games, rng, budget, piece=LARGEST_TABLE)
    for game, i in draws.ranked():
        table = explore(mechanism, game, i, rng)
        draws.spend(len(table.sizes))
        yield table
