"""Let a checker meet a negative control, with more games where few do not show it."""

from collections.abc import Callable

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.spending import DEFAULT

SHARES = (16, 4, 1)  # most controls show on few games, and some on nothing less than the budget


def attempt(
    control: Callable[[int, int], ClaimResult], seed: int, budget: int = DEFAULT, least: int = 1
) -> ClaimResult:
    """Return the first result that is "violated" on a sixteenth, a quarter or all of the budget.

    Where none is, return the result on all of it.

    >>> from mechanism.controls.affine_maximizer import CONTROLS
    >>> attempt(CONTROLS["def-3.2"]["no payments"], 1).status
    'violated'
    """
    for runs in sorted({max(least, budget // share) for share in SHARES}):
        found = control(runs, seed)
        if found.status == "violated":
            break
    return found
