"""SW-Max and its kin, which count groups by factors: rules whose V is known in closed form."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mechanism.attack.games import Game
from mechanism.attack.replay import slow_model
from mechanism.attack.reports import Type
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.sw_max import sw_max


@dataclass(frozen=True, eq=False)
class Weighted:
    """SW-Max that counts group i by `factors[i]` members for each of its own."""

    factors: Floats
    takes_batch: ClassVar[bool] = True

    def counted(self, game: Game) -> Game:
        """The game in which sizes are multiplied by the factors."""
        return replace(game, sizes=game.sizes * self.factors)

    def __call__(self, game: Game) -> object:
        """Model of the counted game."""
        return sw_max(self.counted(game))

    def payments(self, game: Game) -> Floats:
        """Affine maximizer payments of the counted game, divided by the factors."""
        return affine_maximizer_payments(self.counted(game)) / self.factors


def weighted(factors: Floats) -> Mechanism:
    """Another implementable, continuous rule: groups count by `factors`, payments are divided.

    >>> from mechanism import CandidateGame
    >>> game = CandidateGame([[1.0, 0.0], [0.0, 1.0]], [1, 1])
    >>> int(weighted(np.array([1.0, 2.0])).training_rule(game))
    1
    """
    rule = Weighted(factors)
    return Mechanism(rule, rule.payments)


def factors_of(mechanism: Mechanism | None, game: Game) -> Floats | None:
    """Factors by which a rule counts groups; None for a rule that is no such SW-Max."""
    rule = sw_max if mechanism is None else mechanism.training_rule
    if isinstance(rule, Weighted):
        return rule.factors
    return np.ones(game.groups) if rule is sw_max else None


def closed_form(
    game: Game, i: int, start: Type, end: Type, factors: Floats, slow: bool = False
) -> float:
    r"""V from start to end: :math:`ASW_{-i}(p_{start}) - ASW_{-i}(p_{end})`, over factor i.

    Sizes are counted by the factors. `slow` takes both models from the oracles.

    >>> from mechanism import KL, RLHFGame
    >>> game = RLHFGame([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0.5, 0.5], KL(1.0), "maximum")
    >>> flat, spike = (np.ones(2), 1.0), (np.array([1.0, 0.0]), 1.0)
    >>> round(closed_form(game, 0, flat, spike, np.ones(2)), 4)
    0.1201
    """
    left = []
    for row, size in (start, end):
        counted = Weighted(factors).counted(game.with_report(i, reward=row, size=size))
        left.append(others_welfare(counted, i, _model(counted, slow)))
    return float(left[0] - left[1]) / float(factors[i])


def _model(game: Game, slow: bool) -> Floats:
    if not slow:
        return np.asarray(sw_max(game))
    model = slow_model(game)
    return model if hasattr(game, "reference") else np.asarray(model.argmax())


def others_welfare(game: Game, i: int, model: Floats) -> float:
    """ASW of everyone but i at a model, under what the game reports."""
    return float(game.welfare(model) - game.sizes[i] * game.valuations(model)[i])
