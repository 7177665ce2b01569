r"""Rewarded Soups: one model per point between two (or three) trained adapters.

An adapter changes each weight matrix by `scale * B A`. A soup's change is the weighted sum of the
adapters' changes, `sum_j c_j scale_j B_j A_j`, which PEFT's `cat` builds exactly by stacking the
factors; interpolating A and B apart would mix B_j with A_k. The soup stays unmerged: small changes
could be rounded away when added to bfloat16 weights.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.tables.candidates import scaled_soup_name, soup_name


def soup_weights(points: int, rewards: int = 2) -> Floats:
    """Return evenly spaced weights on the simplex, shape (points, rewards), least first weight up.

    Three rewards have 13 points: the triangular grid of step 1/3 (10) and three inner points.

    >>> soup_weights(3).tolist()
    [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    >>> soup_weights(13, 3).shape
    (13, 3)
    """
    if rewards == 2:
        first = np.linspace(0, 1, points)
        return np.stack([first, 1 - first], axis=1)
    if (points, rewards) == (13, 3):
        grid = [np.array(c) / 3 for c in product(range(4), repeat=3) if sum(c) == 3]
        inner = [np.where(np.arange(3) == k, 4, 1) / 6 for k in range(3)]
        return np.array(sorted(np.array([*grid, *inner]).tolist()))
    rule, fix = "only two rewards, or 13 points for three", "use soup_weights(n) or (13, 3)"
    raise InvalidInputError("points, rewards", (points, rewards), rule, fix)


def recipes(points: int, scales: Sequence[float] = ()) -> dict[str, tuple[float, ...]]:
    """Return the weights of every soup by its name: whole ones first, then scaled down.

    Scaling a soup's change by s scales what it wins about by s and its KL about by s^2.

    >>> recipes(2, [0.5])["0.5 of soup 1.00"]
    (0.5, 0.0)
    """
    weights = soup_weights(points)
    named = {soup_name(each[0]): each for each in weights}
    for scale in scales:
        named |= {scaled_soup_name(scale, each[0]): scale * each for each in weights}
    return {name: tuple(each.tolist()) for name, each in named.items()}


def attach(model: Any, adapters: Sequence[Path]) -> Any:
    """Return the model with the adapters loaded beside each other, none of them merged."""
    from peft import PeftModel

    wrapped: Any = PeftModel.from_pretrained(model, str(adapters[0]), adapter_name="adapter0")
    for index, path in enumerate(adapters[1:], start=1):
        wrapped.load_adapter(str(path), adapter_name=f"adapter{index}")
    return wrapped.eval()


def use_soup(wrapped: Any, weights: Sequence[float]) -> None:
    """Make the weighted sum of the adapters' changes the active one."""
    names = [f"adapter{index}" for index in range(len(weights))]
    kept = [(name, float(w)) for name, w in zip(names, weights, strict=True) if w > 0]
    wrapped.set_adapter(names[0])
    if "soup" in wrapped.peft_config:
        wrapped.delete_adapter("soup")
    wrapped.add_weighted_adapter(
        [name for name, _ in kept], [w for _, w in kept], "soup", combination_type="cat"
    )
    wrapped.set_adapter("soup")
    wrapped.eval()
