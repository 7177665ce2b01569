"""What a checker returns: a margin, the worst game it saw, and whether a slow oracle agrees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mechanism.attack.games import Game
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.rlhf_game import CandidateGame, RLHFGame

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


def utility_scale(game: RLHFGame | CandidateGame) -> Floats:
    """The same for errors of utilities: without lam where scores differ by next to nothing of it.

    There sw_max works by series and lam multiplies no rounding, so that payments far below lam
    count too.
    """
    if isinstance(game, CandidateGame):
        return scale(game)
    scores = game.scores()
    size, lam = abs(scores).max(axis=-1), game.divergence.lam
    flat = (np.ptp(scores, axis=-1) <= game.divergence.flat * lam) & (size > 0)
    return np.asarray(np.where(flat, size, size + lam))


@dataclass(frozen=True)
class Case:
    """Slack of one inequality, and where it was seen.

    Attributes
    ----------
    slack : float
        In reward units, or in units of the bound that is checked; negative: violated.
    tolerance : float
        Numerical error of the slack.
    game, group, report
        As in `Witness`.
    recompute : callable
        The slack again, by slow oracles.
    gain : float or None
        What the group gains over the truth; None: minus the slack.
    """

    slack: float
    tolerance: float
    game: Game
    group: int | None
    report: Game | None
    recompute: Callable[[], float]
    gain: float | None = None

    @property
    def ratio(self) -> float:
        """Slack in units of the tolerance, by which cases are compared."""
        return self.slack / self.tolerance


def worst_case(
    claim: str, cases: list[Case], trials: int, by: Literal["ratio", "slack"] = "ratio"
) -> ClaimResult:
    """Result of a claim from all its cases: the worst one is the witness, and is replayed.

    Violations come first, the clearest of them by ratio; without one, the case of least ratio, or
    of least slack where slacks are shares of a bound and tolerances say little.
    """

    def order(case: Case) -> tuple[bool, float]:
        broken = case.slack < -case.tolerance
        return not broken, case.ratio if broken or by == "ratio" else case.slack

    if not cases:
        raise InvalidInputError("budget", trials, f"left no case of {claim}", "make it larger")
    worst = min(cases, key=order)
    gain = -worst.slack if worst.gain is None else worst.gain
    witness = Witness(worst.game, worst.group, worst.report, gain, worst.recompute)
    replayed = witness.replay()
    gap = 0.0 if worst.slack == replayed else abs(worst.slack - replayed)  # both may be infinite
    return ClaimResult(claim, worst.slack, worst.tolerance, trials, witness, gap)
