"""One published number beside ours: what every reproduced table is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A published cell, our value and the verdict.

    Attributes
    ----------
    table : str
        The paper's table, e.g. ``"table2"``.
    row : str
        What was varied, e.g. ``"epsilon=0.001"`` or ``"alpha=0.2"``.
    column : str
        Header in the published CSV, e.g. ``"utility"``.
    paper, ours : float
        The published value and ours.
    absolute_error : float
        |ours - paper|.
    relative_error : float or None
        absolute_error / |paper|; None where the paper has 0.
    target : float
        The tolerance asked for.
    ok : bool
        Whether the target is met.
    """

    table: str
    row: str
    column: str
    paper: float
    ours: float
    absolute_error: float
    relative_error: float | None
    target: float
    ok: bool
