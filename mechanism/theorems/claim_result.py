"""What a checker returns: a margin, the worst game it saw, and whether a slow oracle agrees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mechanism.core.errors import Floats
from mechanism.core.rlhf_game import CandidateGame, RLHFGame

Game = RLHFGame | CandidateGame

Status = Literal["holds", "violated", "undecided"]


@dataclass(frozen=True)
class Witness:
    """The worst case of a search, with all that is needed to recompute it by hand.

    Attributes
    ----------
    game : RLHFGame or CandidateGame
        The true game.
    group : int or None
        The group that deviates, where a statement is about one.
    report : RLHFGame, CandidateGame or None
        The game as reported, with the deviation in it.
    gain : float
        What the group gains over the truth, reward units (negative: it loses).
    recompute : callable
        Recomputes the margin by slow oracles; use `replay`.
    """

    game: RLHFGame | CandidateGame
    group: int | None
    report: RLHFGame | CandidateGame | None
    gain: float
    recompute: Callable[[], float]

    def replay(self) -> float:
        """Margin of this witness, recomputed by the slow oracle."""
        return float(self.recompute())


@dataclass(frozen=True)
class ClaimResult:
    """Outcome of one checker.

    Attributes
    ----------
    claim : str
        The claim's id, e.g. ``"thm-4.2-2"``.
    margin : float
        Least slack of the statement over all cases tried; negative: violated by that much.
    tolerance : float
        Numerical error that is allowed for.
    trials : int
        Evaluations of the mechanism.
    witness : Witness or None
        The case of least margin.
    oracle_gap : float
        |margin - witness.replay()|: how far fast path and slow oracle are apart.
    """

    claim: str
    margin: float
    tolerance: float
    trials: int
    witness: Witness | None
    oracle_gap: float

    @property
    def status(self) -> Status:
        """Return "undecided" where the oracle gap exceeds the tolerance, else the verdict."""
        if not self.oracle_gap <= self.tolerance:
            return "undecided"
        return "holds" if self.margin >= -self.tolerance else "violated"


def scale(game: RLHFGame | CandidateGame) -> Floats:
    """Reward scale of a game, max |S| + lam, by which numerical errors are measured.

    >>> float(scale(CandidateGame([[1.0, 0.0]], [3])))
    3.0
    """
    lam = game.divergence.lam if isinstance(game, RLHFGame) else 0.0
    return abs(game.scores()).max(axis=-1) + lam


@dataclass(frozen=True)
class Case:
    """Slack of one inequality, in reward units, and where it was seen."""

    slack: float
    tolerance: float
    game: Game
    group: int
    report: Game | None
    recompute: Callable[[], float]

    @property
    def ratio(self) -> float:
        """Slack in units of the tolerance, by which cases are compared."""
        return self.slack / self.tolerance


def worst_case(claim: str, cases: list[Case], trials: int) -> ClaimResult:
    """Result of a claim from all its cases: the worst one is the witness, and is replayed."""
    worst = min(cases, key=lambda case: case.ratio)
    witness = Witness(worst.game, worst.group, worst.report, -worst.slack, worst.recompute)
    gap = abs(worst.slack - witness.replay())
    return ClaimResult(claim, worst.slack, worst.tolerance, trials, witness, gap)
