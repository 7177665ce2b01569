"""What a checker returns: a margin, the worst game it saw, and whether a slow oracle agrees."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mechanism.attack.coverage import Coverage, coverage_of
from mechanism.attack.games import Game
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.rlhf_game import CandidateGame, RLHFGame

Status = Literal["holds", "violated", "undecided"]
ROUNDED = "rounding of the optimum"


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
    comparisons : int
        Inequalities that were compared; many evaluations may go into one.
    coverage : Coverage
        In which kinds of games.
    origin : str
        Where the tolerance comes from.
    fault : str
        What a rule returned that is no model or no payment; empty where nothing of the kind came.
    missing : tuple of str
        Kinds of games of the claim's scope in which nothing was compared; set by `claims.check`.
    """

    claim: str
    margin: float
    tolerance: float
    trials: int
    witness: Witness | None
    oracle_gap: float
    comparisons: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    origin: str = ROUNDED
    fault: str = ""
    missing: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """Return "undecided" where the oracle gap exceeds the tolerance, else the verdict.

        A margin that is no number is a violation.
        """
        if self.fault or np.isnan(self.margin):
            return "violated"
        if not self.oracle_gap <= self.tolerance:
            return "undecided"
        return "holds" if self.margin >= -self.tolerance else "violated"

    def __str__(self) -> str:
        """Verdict, margin and what was covered: "holds" means no more than that."""
        said = (
            self.fault
            or f"margin {self.margin:.2e}, tolerance {self.tolerance:.1e} ({self.origin})"
        )
        gap = f"; coverage incomplete: {len(self.missing)} kinds not met" if self.missing else ""
        return f"{self.claim} {self.status}: {said}; {self.coverage.summary()}{gap}"


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


ERROR = 1e-12  # certified relative error of sw_max, in units of max |S| + lam
UNIT = float(np.finfo(float).eps)


def payment_rounding(payments: Floats) -> float:
    """Rounding of sums with payments, which may be far larger than the game's own scale.

    >>> payment_rounding(np.array([1e6])) < 1e-8
    True
    """
    return 16 * UNIT * float(np.max(np.abs(payments), initial=0.0))


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
    comparisons : int
        Inequalities of which this is the worst.
    """

    slack: float
    tolerance: float
    game: Game
    group: int | None
    report: Game | None
    recompute: Callable[[], float]
    gain: float | None = None
    comparisons: int = 1

    @property
    def ratio(self) -> float:
        """Slack in units of the tolerance, by which cases are compared."""
        return self.slack / self.tolerance


def worst_case(
    claim: str,
    cases: list[Case],
    trials: int,
    by: Literal["ratio", "slack"] = "ratio",
    origin: str = ROUNDED,
) -> ClaimResult:
    """Result of a claim from all its cases: the worst one is the witness, and is replayed.

    A slack that is no number comes first. Then violations, the clearest of them by ratio; without
    one, the case of least ratio, or of least slack where slacks are shares of a bound and
    tolerances say little.
    """

    def order(case: Case) -> tuple[int, float]:
        if not case.slack == case.slack:  # NaN, which no comparison can see
            return 0, 0.0
        broken = not case.slack >= -case.tolerance
        return 1 if broken else 2, case.ratio if broken or by == "ratio" else case.slack

    if not cases:
        raise InvalidInputError("budget", trials, f"left no case of {claim}", "make it larger")
    worst = min(cases, key=order)
    gain = -worst.slack if worst.gain is None else worst.gain
    witness = Witness(worst.game, worst.group, worst.report, gain, worst.recompute)
    replayed = witness.replay()
    gap = 0.0 if worst.slack == replayed else abs(worst.slack - replayed)  # both may be infinite
    comparisons = sum(case.comparisons for case in cases)
    covered = coverage_of([(case.game, case.comparisons) for case in cases])
    return ClaimResult(
        claim, worst.slack, worst.tolerance, trials, witness, gap, comparisons, covered, origin
    )


def combined(claim: str, parts: list[ClaimResult]) -> ClaimResult:
    """Result of a claim from its parts: the worst of them, with the comparisons of all."""

    def order(part: ClaimResult) -> tuple[bool, float]:
        return part.status == "holds", part.margin / max(part.tolerance, 1e-300)

    worst = min(parts, key=order)
    return replace(
        worst,
        claim=claim,
        trials=sum(part.trials for part in parts),
        comparisons=sum(part.comparisons for part in parts),
        coverage=sum((part.coverage for part in parts), Coverage()),
    )
