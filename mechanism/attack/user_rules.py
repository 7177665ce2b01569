"""A user's mechanism and sampler, looked at before any game is run.

What the rules of a mechanism return is looked at in `attack.outputs`, for every claim alike.
"""

from typing import Any

import numpy as np

from mechanism.attack.games import Game, Sampler
from mechanism.core.errors import InvalidInputError, ShapeError
from mechanism.core.groups import check_game
from mechanism.core.payments import Mechanism


def checked_mechanism(mechanism: Mechanism) -> Mechanism:
    """Return the mechanism, or raise unless it is a pair of functions.

    >>> checked_mechanism(Mechanism(len, None))
    Traceback (most recent call last):
    mechanism.core.errors.InvalidInputError: payment_rule = None: must be a function. Fix: pass one.
    """
    if not isinstance(mechanism, Mechanism):
        fix = "pass Mechanism(training_rule, payment_rule)"
        raise InvalidInputError("mechanism", repr(mechanism)[:80], "must be a Mechanism", fix)
    pairs = ("training_rule", mechanism.training_rule), ("payment_rule", mechanism.payment_rule)
    for name, rule in pairs:
        if not callable(rule):
            raise InvalidInputError(name, repr(rule)[:80], "must be a function", "pass one")
    return mechanism


def checked_sampler(games: Sampler) -> Sampler:
    """Return the sampler, checked at every call."""
    if not callable(games):
        fix = 'pass "rlhf", "candidate" or a function of a random generator'
        raise InvalidInputError("games", _short(games), "unknown sampler", fix)

    def draw(rng: np.random.Generator) -> Game:
        game: Any = games(rng)
        try:
            check_game(game)
        except InvalidInputError:
            rule, fix = "must be a game", "let games(rng) return an RLHFGame or a CandidateGame"
            raise InvalidInputError("games(rng)", repr(game)[:80], rule, fix) from None
        if game.batch_shape != ():
            rule, fix = "must be one game", "let games(rng) return games without leading axes"
            raise ShapeError("games(rng)", f"batch of shape {game.batch_shape}", rule, fix)
        return game

    return draw


def _short(value: object) -> str:
    return " ".join(repr(value).split())[:80]
