"""A user's rules and samplers, wrapped so that what they return wrongly is named."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mechanism.attack.games import Game, Sampler
from mechanism.core.errors import Floats, InvalidInputError, ShapeError, as_floats, as_numbers
from mechanism.core.groups import check_game
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max
from mechanism.core.validation import ROUNDING


def checked_mechanism(mechanism: Mechanism) -> Mechanism:
    """Return the mechanism with both rules checked at every call; the paper's are left alone.

    >>> rule = checked_mechanism(Mechanism(sw_max, lambda game: None)).payment_rule
    >>> rule(CandidateGame([[1.0, 0.0]], [1]))
    Traceback (most recent call last):
    mechanism.core.errors.InvalidInputError: payment_rule(game) = None: must be payments of shape \
(1,), one for each group. Fix: let payment_rule return an array.
    """
    if not isinstance(mechanism, Mechanism):
        fix = "pass Mechanism(training_rule, payment_rule)"
        raise InvalidInputError("mechanism", repr(mechanism)[:80], "must be a Mechanism", fix)
    training, payment = mechanism.training_rule, mechanism.payment_rule
    for name, rule in (("training_rule", training), ("payment_rule", payment)):
        if not callable(rule):
            raise InvalidInputError(name, repr(rule)[:80], "must be a function", "pass one")
    return Mechanism(
        training if training is sw_max else lambda game: _model(game, training(game)),
        payment
        if payment is affine_maximizer_payments
        else lambda game: _payments(game, payment(game)),
    )


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


def _returned(name: str, value: object, wanted: str, read: Callable[[], Floats]) -> Floats:
    """Array that a rule returned, or an error that names the rule."""
    try:
        return read()
    except InvalidInputError:
        fix = f"let {name} return an array"
        raise InvalidInputError(f"{name}(game)", _short(value), f"must be {wanted}", fix) from None


def _model(game: Game, value: Any) -> Any:
    name = "training_rule"
    if isinstance(game, CandidateGame):
        wanted = f"the index of a candidate, an integer in 0..{game.candidates - 1}"
        index = _returned(name, value, wanted, lambda: as_numbers("model", value))
        inside = index.dtype.kind in "iu" and bool(np.all((index >= 0) & (index < game.candidates)))
        if index.shape != game.batch_shape or not inside:
            fix = "let training_rule return an int, as sw_max does"
            raise InvalidInputError(f"{name}(game)", _short(value), f"must be {wanted}", fix)
        return index.astype(np.intp)[()]
    shape = (*game.batch_shape, game.outcomes)
    wanted = f"a distribution of shape {shape} over the outcomes"
    policy = _returned(name, value, wanted, lambda: as_floats("model", value))
    _shaped(name, policy, shape, wanted)
    with np.errstate(all="ignore"):
        off = np.abs(policy.sum(axis=-1) - 1)
    if not (np.all(policy >= 0) and np.all(off <= ROUNDING)):
        fix = "let training_rule return probabilities that sum to 1"
        raise InvalidInputError(f"{name}(game)", _short(value), f"must be {wanted}", fix)
    return policy


def _payments(game: Game, value: Any) -> Floats:
    name, shape = "payment_rule", (*game.batch_shape, game.groups)
    wanted = f"payments of shape {shape}, one for each group"
    payments = _returned(name, value, wanted, lambda: as_floats("payments", value))
    _shaped(name, payments, shape, wanted)
    if not np.all(np.isfinite(payments)):
        fix = "mend the rule: no payment may be NaN or infinite"
        raise InvalidInputError(f"{name}(game)", _short(value), f"must be finite {wanted}", fix)
    return payments


def _shaped(name: str, array: Floats, shape: tuple[int, ...], wanted: str) -> None:
    if array.shape != shape:
        got, fix = f"array of shape {array.shape}", f"let {name} return shape {shape}"
        raise ShapeError(f"{name}(game)", got, f"must be {wanted}", fix)


def _short(value: object) -> str:
    return " ".join(repr(value).split())[:80]
