"""Rules that are not cyclically monotone, and payments that are not V: all must be noticed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game, Games
from mechanism.attack.type_graph import TypeGraph, least_cycle_mean
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems.cycle_monotonicity import (
    check_least_regret,
    check_prop_E_2,
    draw_two_groups,
    maxmin_rlhf,
    nash_welfare,
    v_payments,
)

Control = Callable[[int, int], ClaimResult]


def _free(game: Game) -> Floats:
    return np.zeros(game.groups)


def _three_outcomes(rng: np.random.Generator) -> RLHFGame:
    return draw_two_groups(rng, 3)


def sizes_inverted(game: RLHFGame) -> Floats:
    """SW-Max that counts a group the less, the larger it is."""
    return np.asarray(sw_max(replace(game, sizes=1.0 / game.sizes)))


def favours_its_first(game: RLHFGame) -> Floats:
    """SW-Max that counts a group by 1 % more where its first reward is high."""
    return np.asarray(sw_max(replace(game, sizes=game.sizes * (1 + 0.01 * game.rewards[:, 0]))))


def stronger_for_the_large(game: RLHFGame) -> Floats:
    """SW-Max whose lam grows by a tenth for every member of the first group."""
    lam = game.divergence.lam * (1 + game.sizes[0] / 10)
    return np.asarray(sw_max(replace(game, divergence=replace(game.divergence, lam=lam))))


def stronger_for_a_crowd(game: RLHFGame) -> Floats:
    """SW-Max whose lam grows by a fiftieth for every member of any group."""
    lam = game.divergence.lam * (1 + game.sizes.sum() / 50)
    return np.asarray(sw_max(replace(game, divergence=replace(game.divergence, lam=lam))))


def squared_sizes(game: Game) -> object:
    """SW-Max that counts the squares of the sizes."""
    return sw_max(replace(game, sizes=game.sizes**2))


def _rule(rule: Callable[[Any], Any], games: Games = _three_outcomes) -> Control:
    return lambda b, s: check_prop_E_2(Mechanism(rule, _free), games, b, s)


def one_percent_of_v(graph: TypeGraph) -> Floats | None:
    """V, 1 % too large."""
    pay = v_payments(graph)
    return None if pay is None else 1.01 * pay


def away_from_base(graph: TypeGraph) -> Floats | None:
    """V from each type to the base, the wrong way round."""
    return v_payments(replace_lengths(graph))


class _Turned(TypeGraph):
    """A graph with every arrow turned round."""

    @property
    def lengths(self) -> Floats:
        return np.asarray(super().lengths.T)


def replace_lengths(graph: TypeGraph) -> TypeGraph:
    """The same types with l(t, t') for l(t', t)."""
    return _Turned(graph.game, graph.group, graph.rewards, graph.sizes, graph.models)


def direct_edge(graph: TypeGraph) -> Floats | None:
    """The direct edge from the base in place of the shortest path."""
    return None if v_payments(graph) is None else graph.lengths[0]


def _payment(pay: Callable[[TypeGraph], Floats | None]) -> Control:
    return lambda b, s: check_prop_E_2(None, "rlhf", b, s, pay)


def two_cycles(lengths: Floats) -> float:
    """Least mean of the cycles of two types: longer ones are left out."""
    both = lengths + lengths.T
    np.fill_diagonal(both, np.inf)
    return float(both.min()) / 2


def through_all(lengths: Floats) -> float:
    """Mean of the cycle through all types in their order."""
    return float(np.mean(lengths[np.arange(len(lengths)) - 1, np.arange(len(lengths))]))


CONTROLS: dict[str, dict[str, Control]] = {
    "prop-E.2": {
        "Nash social welfare": _rule(nash_welfare),
        "MaxMin-RLHF": _rule(maxmin_rlhf),
        "sizes inverted": _rule(sizes_inverted),
        "weights that favour the first outcome by 1 %": _rule(favours_its_first),
        "lam grows with the own size": _rule(stronger_for_the_large, "rlhf"),
        "lam grows with all sizes": _rule(stronger_for_a_crowd, "rlhf"),
        "sizes squared": _rule(squared_sizes, "rlhf"),
        "sizes squared, candidates": _rule(squared_sizes, "candidate"),
        "V 1 % too large": _payment(one_percent_of_v),
        "V the wrong way round": _payment(away_from_base),
        "direct edges for V": _payment(direct_edge),
    },
    "least-regret": {
        "cycles of two types alone": lambda b, s: check_least_regret(
            budget=b, seed=s, mean=two_cycles
        ),
        "length in place of the mean": lambda b, s: check_least_regret(
            budget=b, seed=s, mean=lambda lengths: 2 * least_cycle_mean(lengths)
        ),
        "all types in one cycle": lambda b, s: check_least_regret(
            budget=b, seed=s, mean=through_all
        ),
    },
}
