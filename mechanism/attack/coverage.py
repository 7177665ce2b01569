"""What the cases of a checker covered: how many comparisons in which kinds of games.

A claim says in its `Scope` which divergences, normalisations and size classes it is about; at the
default budget every cell of the scope must hold a comparison, and so must every class of lam and of
the number of groups.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from mechanism.attack.games import CANDIDATES, GROUPS, NORMALIZATIONS, OUTCOMES, STRENGTHS, Game
from mechanism.core.rlhf_game import RLHFGame

NAMED = (
    "KL", "ChiSquared", "TotalVariation", "ReverseKL", "SquaredHellinger", "JensenShannon", "Alpha",
)  # fmt: skip
Cell = tuple[str, str, str]  # divergence, normalisation, size class of the outcomes


@dataclass(frozen=True)
class Scope:
    """The kinds of games that a claim is about, one cell for each combination.

    Attributes
    ----------
    divergences, normalizations, outcomes : tuple of str
        Names of classes; `NAMED`, both normalisations and all size classes by default.
    strengths, groups : tuple of str
        Classes of lam and n, of which each must occur.

    Examples
    --------
    >>> len(list(Scope().cells()))
    42
    """

    divergences: tuple[str, ...] = NAMED
    normalizations: tuple[str, ...] = NORMALIZATIONS
    outcomes: tuple[str, ...] = tuple(OUTCOMES)
    strengths: tuple[str, ...] = tuple(STRENGTHS)
    groups: tuple[str, ...] = tuple(GROUPS)

    def cells(self) -> Iterator[Cell]:
        """Every combination that must hold a comparison."""
        return product(self.divergences, self.normalizations, self.outcomes)


def size_class(value: float, classes: dict[str, Any]) -> str:
    """Name of the class that holds a value; the ends belong to the nearest class.

    >>> size_class(1, OUTCOMES), size_class(7, OUTCOMES), size_class(1000, OUTCOMES)
    ('small', 'medium', 'large')
    """
    below = [name for name, (low, _) in classes.items() if value >= low]
    return below[-1] if below else next(iter(classes))


def cell_of(game: Game) -> Cell:
    """Cell of one game; candidate games are told apart by their divergences.

    >>> from mechanism import KL, RLHFGame
    >>> cell_of(RLHFGame([[1.0, 0.0]], [1], [0.5, 0.5], KL(1.0), "maximum"))
    ('KL', 'maximum', 'small')
    """
    if not isinstance(game, RLHFGame):
        cost = "no divergence" if game.divergences is None else "divergence"
        return "candidates", cost, size_class(game.candidates, CANDIDATES)
    how = game.normalization or "none"
    return type(game.divergence).__name__, how, size_class(game.outcomes, OUTCOMES)


@dataclass(frozen=True)
class Coverage:
    """Comparisons by cell, by class of lam and by class of n, and the ranges that occurred.

    Attributes
    ----------
    cells, strengths, groups : Counter
        Comparisons in each cell and class.
    lam, outcomes, members : tuple of two numbers
        Least and greatest lam, m (or k) and n; (0, 0) where there is none.
    """

    cells: Counter[Cell] = field(default_factory=Counter)
    strengths: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    lam: tuple[float, float] = (0.0, 0.0)
    outcomes: tuple[int, int] = (0, 0)
    members: tuple[int, int] = (0, 0)

    def __add__(self, other: "Coverage") -> "Coverage":
        """Coverage of two sets of comparisons together."""
        if not (self.cells and other.cells):
            return self if self.cells else other

        def ends(a: Any, b: Any) -> Any:
            return min(a[0], b[0]), max(a[1], b[1])

        return Coverage(
            self.cells + other.cells, self.strengths + other.strengths, self.groups + other.groups,
            ends(self.lam, other.lam), ends(self.outcomes, other.outcomes),
            ends(self.members, other.members),
        )  # fmt: skip

    def missing(self, scope: Scope) -> tuple[str, ...]:
        """What a scope asks for and no comparison was made in."""
        gone = [" x ".join(cell) for cell in scope.cells() if not self.cells[cell]]
        gone += [f"lam {name}" for name in scope.strengths if not self.strengths[name]]
        return (*gone, *(f"groups {name}" for name in scope.groups if not self.groups[name]))

    def summary(self) -> str:
        """What was covered, in a sentence.

        >>> coverage_of([]).summary()
        'no comparison'
        """
        if not self.cells:
            return "no comparison"
        names = sorted({cell[0] for cell in self.cells})
        kinds = sorted({cell[1] for cell in self.cells})
        lam = f", lam {self.lam[0]:.2g} to {self.lam[1]:.2g}" if self.lam[1] else ""
        what = "candidates" if names == ["candidates"] else "outcomes"
        return (
            f"{sum(self.cells.values())} comparisons in {len(self.cells)} kinds of games: "
            f"{', '.join(names)}; {', '.join(kinds)}; {self.outcomes[0]} to {self.outcomes[1]} "
            f"{what}, {self.members[0]} to {self.members[1]} groups{lam}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "cells": [[*cell, count] for cell, count in sorted(self.cells.items())],
            "lam": list(self.lam),
            "outcomes": list(self.outcomes),
            "groups": list(self.members),
        }


def coverage_of(games: Iterable[tuple[Game, int]]) -> Coverage:
    """Coverage of games with the number of comparisons made in each."""
    cells, strengths, groups = Counter[Cell](), Counter[str](), Counter[str]()
    lams, outcomes, members = list[float](), list[int](), list[int]()
    for game, count in games:
        cells[cell_of(game)] += count
        groups[size_class(game.groups, GROUPS)] += count
        members.append(game.groups)
        if isinstance(game, RLHFGame):
            strengths[size_class(game.divergence.lam, STRENGTHS)] += count
            lams.append(game.divergence.lam)
            outcomes.append(game.outcomes)
        else:
            outcomes.append(game.candidates)
    if not members:
        return Coverage()
    ends = (min(lams, default=0.0), max(lams, default=0.0))
    return Coverage(
        cells, strengths, groups, ends, (min(outcomes), max(outcomes)),
        (min(members), max(members)),
    )  # fmt: skip
