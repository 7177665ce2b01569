"""How a checker keeps to its budget of mechanism runs."""

from dataclasses import dataclass


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
