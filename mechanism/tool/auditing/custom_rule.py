"""A payment rule of the user's own, audited like the built-in one."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from mechanism.attack.best_response import derivative_free_search
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max

BUDGET = 400  # runs of the rule for each group


@dataclass(frozen=True)
class RuleAudit:
    """What was found about a payment rule; dictionaries by group.

    Attributes
    ----------
    rule : str
    payments : dict of str to float
        When all are truthful.
    utilities : dict of str to float
        When all are truthful; below 0 the rule breaks IR.
    gains : dict of str to float
        Best gain that was found for a misreport; above 0 the rule is not truthful here.
    evaluations : int
        Runs of the rule.
    method : str
    """

    rule: str
    payments: dict[str, float]
    utilities: dict[str, float]
    gains: dict[str, float]
    evaluations: int
    method: str


def imported(name: str) -> Callable[[Any], Any]:
    """Import `package.module:function`; the current folder is searched too.

    Raises
    ------
    InvalidInputError
        Where there is no such function.
    """
    module, sign, function = name.partition(":")
    if not sign or not module or not function:
        rule = "must be package.module:function"
        raise InvalidInputError("--payments", name, rule, "e.g. my_rules:payments")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), function)
    except Exception as error:  # whatever the user's own module raises
        rule = f"cannot be imported ({type(error).__name__}: {error})"
        fix = "try it in Python: from " + f"{module} import {function}"
        raise InvalidInputError("--payments", name, rule, fix) from None
    finally:
        sys.path.remove("")
    if not callable(found):
        raise InvalidInputError("--payments", name, "is no function", "name a function of a game")
    return found  # type: ignore[no-any-return]


def audit_rule(
    game: CandidateGame | RLHFGame, payments: Callable[[Any], Any], groups: tuple[str, ...],
    seed: int,
) -> RuleAudit:  # fmt: skip
    """Search every group's reports against the rule: structured reports and sizes, or scipy.

    Raises
    ------
    InvalidInputError
        Where the rule fails, or does not return one finite payment a group.
    """
    name = f"{getattr(payments, '__module__', '?')}:{getattr(payments, '__qualname__', '?')}"

    def checked(reported: Any) -> Floats:
        try:
            found = np.asarray(payments(reported), dtype=float)
        except Exception as error:  # the user's own code
            rule = f"failed on a game ({type(error).__name__}: {error})"
            fix = "a payment rule takes a game and returns an array (n,)"
            raise InvalidInputError("--payments", name, rule, fix) from None
        if found.shape != (game.groups,) or not np.isfinite(found).all():
            rule = f"returned {str(found)[:60]}, not {game.groups} finite payments"
            fix = "a payment rule takes a game and returns an array (n,)"
            raise InvalidInputError("--payments", name, rule, fix)
        return found

    mechanism = Mechanism(sw_max, checked)
    truth, paid = mechanism.utilities(game, game), checked(game)
    found = [derivative_free_search(game, i, mechanism, budget=BUDGET, seed=seed)
             for i in range(game.groups)]  # fmt: skip
    return RuleAudit(
        name, dict(zip(groups, map(float, paid), strict=True)),
        dict(zip(groups, map(float, truth), strict=True)),
        dict(zip(groups, (float(r.gain) for r in found), strict=True)),
        sum(r.evaluations for r in found), found[0].method,
    )  # fmt: skip
