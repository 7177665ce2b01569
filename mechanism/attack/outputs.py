"""What a rule returns is looked at before it is used: a fault is a violation, with its game.

Every checker is wrapped by `checker`: a training rule must return a distribution (or the index of a
candidate), a payment rule one finite number for each group. Where one does not, the checker's
answer is "violated", the game is the witness and `ClaimResult.fault` says what came back.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from mechanism.attack.claim_result import ClaimResult, Witness
from mechanism.attack.coverage import coverage_of
from mechanism.attack.games import Game
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame
from mechanism.core.sw_max import sw_max

OFF = 1e-9  # how far the mass of a model may be from 1
Rule = TypeVar("Rule", bound=Callable[..., Any])
Checker = TypeVar("Checker", bound=Callable[..., ClaimResult])


class RuleFault(Exception):
    """A rule returned something that is no model or no payments."""

    def __init__(self, game: Game, what: str) -> None:
        super().__init__(what)
        self.game = game


def batched(rule: Rule) -> Rule:
    """Mark a rule of our own that takes a batch of games; a user's rule takes one game."""
    rule.takes_batch = True  # type: ignore[attr-defined]
    return rule


def takes_batch(rule: Callable[..., Any]) -> bool:
    """Whether a rule is one of our own, which take batches and return distributions."""
    return rule is sw_max or bool(getattr(rule, "takes_batch", False))


def check_model(game: Game, model: Any) -> Any:
    """Model as an array (an index as an integer), or `RuleFault` where it is neither."""
    array = _array(model)
    if isinstance(game, CandidateGame):
        whole = array.shape == () and array.dtype.kind in "iu"
        if not (whole and 0 <= array < game.candidates):
            raise RuleFault(game, f"training rule: {_short(model)} is no index of a candidate")
        return array.astype(np.intp)[()]
    if array.dtype.kind not in "fiu" or array.shape != (game.outcomes,):
        what = f"array of shape {array.shape}" if array.dtype.kind in "fiu" else _short(model)
        raise RuleFault(game, f"training rule: {what} is no model of {game.outcomes} outcomes")
    if not np.isfinite(array).all():
        raise RuleFault(game, "training rule: the model is not finite")
    if array.min() < 0 or abs(array.sum() - 1) > OFF:
        least, mass = float(array.min()), float(array.sum())
        raise RuleFault(
            game, f"training rule: no distribution (least {least:.3g}, mass {mass:.9g})"
        )
    return array.astype(np.float64)


def check_payments(game: Game, payments: Any) -> Floats:
    """Payments as an array, or `RuleFault` unless they are n finite numbers."""
    array = _array(payments)
    if array.dtype.kind not in "fiu" or array.shape != (game.groups,):
        what = f"array of shape {array.shape}" if array.dtype.kind in "fiu" else _short(payments)
        raise RuleFault(
            game, f"payment rule: {what} is no payment for each of {game.groups} groups"
        )
    if not np.isfinite(array).all():
        raise RuleFault(game, f"payment rule: {_short(array)} is not finite")
    return array.astype(np.float64)


def _array(value: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(value)
    except ValueError:  # ragged: no array of numbers
        return np.asarray(None)


def _short(value: Any) -> str:
    return " ".join(repr(value).split())[:60]


def guarded_rule(rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same rule, its models looked at; our own rules are certified elsewhere."""
    if takes_batch(rule):
        return rule

    @wraps(rule)
    def run(game: Any) -> Any:
        return check_model(game, rule(game))

    return run


def guarded(mechanism: Mechanism) -> Mechanism:
    """The same mechanism, its models and payments looked at.

    >>> from mechanism import CandidateGame
    >>> half = guarded(Mechanism(lambda game: 0.5, lambda game: game.sizes))
    >>> half.training_rule(CandidateGame([[1.0, 0.0]], [1]))
    Traceback (most recent call last):
    mechanism.attack.outputs.RuleFault: training rule: 0.5 is no index of a candidate
    """

    def pay(game: Any) -> Any:
        return check_payments(game, mechanism.payment_rule(game))

    return Mechanism(guarded_rule(mechanism.training_rule), pay)


def checker(claim: str = "") -> Callable[[Checker], Checker]:
    """Guard the mechanism or rule that a checker is given, and turn a fault into a violation.

    Without a name, the checker's own argument `claim` says whose it is.
    """

    def decorate(function: Checker) -> Checker:
        if getattr(function, "guarded", False):
            return function
        names = list(signature(function).parameters)

        @wraps(function)
        def run(*arguments: Any, **keywords: Any) -> ClaimResult:
            given = dict(zip(names, arguments, strict=False)) | keywords
            for name, value in given.items():
                if isinstance(value, Mechanism):
                    given[name] = guarded(value)
                elif name == "training_rule":
                    given[name] = guarded_rule(value)
            try:
                return function(**given)
            except RuleFault as fault:
                return _faulty(claim or given["claim"], fault)

        run.guarded = True  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


def _faulty(claim: str, fault: RuleFault) -> ClaimResult:
    witness = Witness(fault.game, None, None, 0.0, lambda: -np.inf)
    covered = coverage_of([(fault.game, 1)])
    return ClaimResult(claim, -np.inf, 0.0, 1, witness, 0.0, 1, covered, "none", str(fault))
