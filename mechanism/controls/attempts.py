"""Let a checker meet a negative control, with more games where few do not show it."""

from collections.abc import Callable

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.spending import DEFAULT


def attempt(
    control: Callable[[int, int], ClaimResult], seed: int, budget: int = DEFAULT, least: int = 1
) -> ClaimResult:
    """Return the result on a quarter of the budget if that is "violated", else on all of it.

    >>> from mechanism.controls.affine_maximizer import CONTROLS
    >>> attempt(CONTROLS["def-3.2"]["no payments"], 1).status
    'violated'
    """
    first = control(max(least, budget // 4), seed)
    return first if first.status == "violated" else control(budget, seed)
