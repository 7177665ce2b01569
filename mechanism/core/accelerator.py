"""Numba where it is installed: `pip install "mechanism[fast]"`. Without it numpy does the same.

Asked for at the first equation that needs Newton steps, so that importing the core stays light:
0.2 s then, and 10 s once after an installation, when the machine code is made and kept in
`__pycache__`. `MECHANISM_ACCELERATOR=off` in the environment leaves it out.
"""

import logging
import os
from collections.abc import Callable
from functools import cache

import numpy as np

from mechanism.core.errors import Floats

VECTOR = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # exponents of which a vector unit does several at once
NARROW = 128  # outcomes up to which other powers are faster one by one than through numpy


@cache
def compiled_roots() -> Callable[..., None] | None:
    """`compiled.roots`, or None and, once, a message that says why."""
    if os.environ.get("MECHANISM_ACCELERATOR", "") == "off":
        return None
    try:
        from mechanism.core.compiled import roots
    except Exception as reason:  # not installed, not for this numpy, no folder for its cache
        message = 'numba is not used (%s): large or many games are slower. Fix: pip install "%s"'
        logging.getLogger("mechanism").warning(message, reason, "mechanism[fast]")
        return None
    return roots


def find_roots(
    offsets: Floats, weights: Floats, e: float, start: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats] | None:
    """Roots (B, 1) and steps (B, 1) of `compiled.roots`, or None where numpy is to do it."""
    if e not in VECTOR and offsets.shape[-1] > NARROW:
        return None
    roots = compiled_roots()
    if roots is None:
        return None
    if weights.strides[0] == 0:  # one reference for all rows
        weights = weights[:1]
    root, count = np.array(start[:, 0]), np.empty(len(start))
    rows = np.ascontiguousarray(offsets), np.ascontiguousarray(weights)
    roots(*rows, e, root, low[:, 0].copy(), high[:, 0].copy(), count)
    return root[:, None], count[:, None]
