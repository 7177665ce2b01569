"""The room formula: the least truthful utility, hence the widest band of DSIC and IR payments."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ERROR, Case, ClaimResult, scale, worst_case
from mechanism.attack.games import Strata
from mechanism.attack.outputs import checker
from mechanism.attack.replay import slow_optimum
from mechanism.attack.reports import constant_report, random_type
from mechanism.attack.spending import Spending
from mechanism.core.errors import Floats
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.necessary_payments.bounds import room, truthful_utility

Room = Callable[[RLHFGame, int, int], float]  # (game, group, steps) -> room
TYPES = 24  # types that are tried against the room of a game
DUAL = "rounding; summation: gap between the least utility found and its dual bound"


def computed_room(game: RLHFGame, i: int, steps: int) -> float:
    """Room of `bounds.room`, at the sizes of the paper (1 or more)."""
    return room(game, i, steps=steps)


@checker("room")
def check_room(formula: Room = computed_room, budget: int = 2000, seed: int = 0) -> ClaimResult:
    r"""No type has less truthful utility than the room, and one has that little.

    Then pay^AFF + g is DSIC and IR for :math:`g \\le \\mathrm{room}` and for no larger g. Types of
    every kind try to go below: spikes at each outcome, the constant report, mixtures, any size from
    1. From the other side the room must not be below its dual bound,
    :math:`\\min_x p(x) + ASW_{-i}(p) - \\max ASW_{-i}` for any model p (summation), or be below the
    least of the spikes (maximum).

    Parameters
    ----------
    formula : callable
        (game, group, steps of the search under summation) -> room.

    Returns
    -------
    ClaimResult
        `margin` is the least of: utility of a type - room, and room - dual bound; reward units.

    Examples
    --------
    >>> check_room(budget=300).status
    'holds'
    """
    rng, runs, cases = np.random.default_rng(seed), Spending(budget), list[Case]()
    for setting in Strata(rng):
        game, i = setting.draw(rng), 0
        steps = max(3, 90 // game.outcomes)
        cost = TYPES + (game.outcomes + 1) * (steps + 1 if _summation(game) else 1)
        if not runs.room(cost):
            break
        cases.append(_room_case(rng, game, i, float(formula(game, i, steps)), steps))
        runs.spend(cost)
    return worst_case("room", cases, runs.spent, origin=DUAL)


def _summation(game: RLHFGame) -> bool:
    return game.normalization == "summation"


def _types(rng: np.random.Generator, game: RLHFGame, i: int) -> tuple[Floats, Floats]:
    """Types that may go below the room: spikes at random and at likely outcomes, mixtures."""
    m, flat = game.outcomes, constant_report(game, i)
    p = np.asarray(sw_max(game))
    likely = [int(p.argmax()), int(p.argmin()), *rng.integers(m, size=8)]
    rows = [np.eye(m)[x] for x in likely] + [flat]
    rows += [random_type(rng, game, i)[0] for _ in range(TYPES - len(rows))]
    sizes = np.where(rng.random(len(rows)) < 0.8, 1.0, rng.integers(1, 5, len(rows)))
    return np.array(rows), sizes


def _room_case(rng: np.random.Generator, game: RLHFGame, i: int, found: float, steps: int) -> Case:
    rewards, sizes = _types(rng, game, i)
    utilities = truthful_utility(game.with_report(i, rewards, sizes), i)
    least, exact = int(utilities.argmin()), room(game, i, steps=steps)
    reported = game.with_report(i, rewards[least], float(sizes[least]))
    below = float(utilities[least]) - found
    above = found - exact  # the room is attained: by a spike, or by the type that the search found
    error = 4 * ERROR * float(max(scale(game), scale(reported)))
    if _summation(game):
        error += max(0.0, exact - _dual_bound(game, i))

    def again() -> float:
        others = leave_one_out_scores(game.sizes, game.rewards)[i]
        ends = (reported.scores(), others)
        best, without = (slow_optimum(reported, scores)[1] for scores in ends)
        return min(float(best - without) - found, -abs(above))

    return Case(
        min(below, -abs(above)), error, game, i, reported, again, comparisons=len(utilities)
    )


def _dual_bound(game: RLHFGame, i: int) -> float:
    """Best of some lower bounds on the room under summation, size 1: any model p gives one."""
    others = leave_one_out_scores(game.sizes, game.rewards)[i]
    flat = game.with_report(i, constant_report(game, i), 1.0)
    best = float(flat.welfare(sw_max(flat))) - 1 / game.outcomes
    spikes = game.with_report(i, np.eye(game.outcomes), np.ones(game.outcomes))
    models = np.concatenate([np.asarray(sw_max(flat))[None], np.asarray(sw_max(spikes))])
    models = np.concatenate([models, models.mean(axis=0, keepdims=True)])
    worth = models.min(axis=-1) + models @ others - game.divergence_cost(models)
    return float(worth.max()) - best
