"""How a checker keeps to its budget of mechanism runs."""

from dataclasses import dataclass

# least budget of each claim: what the first piece of its checker takes, a search or an integral
LEAST = {
    "def-3.2": 50, "def-3.3": 50, "def-4.1": 10, "thm-4.2-1": 40, "thm-4.2-2": 40, "thm-4.3": 100,
    "lemma-B.1": 40, "thm-B.2-1": 100, "thm-B.2-2": 100, "thm-B.2-3": 100, "prop-4.4": 50,
    "prop-4.6": 300, "prop-4.8-kl": 40, "prop-4.8-chi2": 40, "thm-4.9": 300, "cor-4.10": 300,
    "lemma-C.1": 300, "lemma-C.2": 8, "thm-4.11-lower": 50, "thm-4.11-upper": 1, "cor-4.13": 2,
    "lemma-D.1": 10, "lemma-D.2": 2, "thm-4.12": 50, "heuristic-1": 100, "heuristic-2": 170,
    "prop-E.2": 13, "identity-area": 300, "prop-opt": 60, "sharp-D.1": 11, "prop-zero-one": 64,
    "prop-pair": 300, "prop-kl-complete": 160, "sharp-moduli": 300, "prop-sheets": 180,
    "room": 1300, "sharp-noise": 200, "least-regret": 13,
}  # fmt: skip
DEFAULT = 4000  # runs of the mechanism a claim, by default
# where every kind of game in the scope takes another number of runs
DEFAULTS = {
    "thm-4.3": 12_000, "thm-B.2-1": 10_000, "thm-B.2-2": 10_000, "thm-B.2-3": 10_000,
    "identity-area": 100_000, "room": 16_000,
}  # fmt: skip
# claims with integrals, which show what they cost at their end
INTEGRALS = ("prop-4.6", "thm-4.9", "cor-4.10", "lemma-C.1", "identity-area", "one-run")


@dataclass
class Spending:
    """Runs made of a budget, in pieces that are not broken off.

    Attributes
    ----------
    budget : int
        Runs that may be made; the first piece is made whatever it takes.
    spent, largest : int
        Runs made so far, and in the largest piece.

    Examples
    --------
    >>> runs = Spending(10)
    >>> while runs.room():
    ...     runs.spend(4)
    >>> runs.spent
    8
    """

    budget: int
    spent: int = 0
    largest: int = 1

    def room(self, piece: int = 0) -> bool:
        """Whether another piece fits, of this size or as large as the largest so far."""
        return self.spent == 0 or self.spent + (piece or self.largest) <= self.budget

    def spend(self, runs: int) -> None:
        """Count the runs of a piece that was made."""
        self.spent += runs
        self.largest = max(self.largest, runs)
