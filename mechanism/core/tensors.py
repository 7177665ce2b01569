r"""Games of torch tensors under KL, and of candidates: tensors come in, tensors come out.

They stay on their device, and gradients go through `sw_max` and `affine_maximizer_payments`. The
functions are those of the module that the arrays come from, by the names that numpy and torch
share, so that nothing here imports torch. No policy is certified here: that is `solve`'s work.
Source: Definition 4.1 and Equation (1), arXiv:2405.16276v4.
"""

import sys
from dataclasses import dataclass
from typing import Any

from mechanism.core.errors import InvalidInputError, ShapeError, positive_number

LIBRARIES = ("torch", "numpy")


@dataclass(frozen=True, eq=False)
class TensorGame:
    r"""A game under KL whose arrays are tensors; leading axes are a batch.

    Parameters
    ----------
    rewards : tensor, shape (..., n, m)
        Reward model of each group, reward units.
    sizes : tensor, shape (..., n)
        Group sizes, > 0.
    reference : tensor, shape (..., m)
        Initial model, > 0.
    lam : float
        Strength of KL, reward units.

    Raises
    ------
    InvalidInputError
        Wrong shapes, values that are not finite, sizes or a reference that are not positive.

    Examples
    --------
    >>> import numpy as np
    >>> game = TensorGame(np.eye(2), np.ones(2), np.full(2, 0.5), lam=1.0)
    >>> game.policy(), game.payments().round(4)
    (array([0.5, 0.5]), array([0.1201, 0.1201]))
    """

    rewards: Any
    sizes: Any
    reference: Any
    lam: float

    def __post_init__(self) -> None:
        positive_number("lam", self.lam, "pass the strength of KL, e.g. lam=0.2")
        n, m = _shape("rewards", self.rewards)
        _check("rewards", self.rewards, m, positive=False)
        _check("sizes", self.sizes, n)
        _check("reference", self.reference, m)

    def policy(self) -> Any:
        """SW-Max: q exp(S / lam) over its sum, shape (..., m)."""
        return self._optimum(_total(self.sizes, self.rewards), self.reference)[0]

    def payments(self) -> Any:
        """Affine maximizer payments, shape (..., n), reward units."""
        policy, value = self._optimum(_total(self.sizes, self.rewards), self.reference)
        others = _without_each(self.sizes, self.rewards)
        pivots = self._optimum(others, self.reference[..., None, :])[1]
        gained = self.sizes * (self.rewards * policy[..., None, :]).sum(-1)
        return pivots - (value[..., None] - gained)

    def _optimum(self, scores: Any, reference: Any) -> tuple[Any, Any]:
        """Policies (..., m) and values lam log sum q exp(S / lam) of scores (..., m)."""
        xp = _namespace(scores)
        logs = scores / self.lam + xp.log(reference)
        peak = xp.amax(logs, axis=-1, keepdims=True)
        weights = xp.exp(logs - peak)
        total = weights.sum(-1)
        return weights / total[..., None], self.lam * (xp.log(total) + peak[..., 0])


@dataclass(frozen=True, eq=False)
class TensorCandidates:
    """Given models (..., k) instead of policies: values (..., n, k), sizes (..., n) as tensors.

    `divergences` (..., k) are in reward units; None: all 0. The choice has no gradient; payments
    have one wherever the choices do not change.

    >>> import numpy as np
    >>> game = TensorCandidates(np.array([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]]), np.ones(2))
    >>> int(game.policy()), game.payments()
    (1, array([0.4, 0.4]))
    """

    values: Any
    sizes: Any
    divergences: Any = None

    def __post_init__(self) -> None:
        n, k = _shape("values", self.values)
        _check("values", self.values, k, positive=False)
        _check("sizes", self.sizes, n)
        if self.divergences is not None:
            _check("divergences", self.divergences, k, positive=False)

    def policy(self) -> Any:
        """Index of the chosen candidate, shape (...); of equally good ones the first."""
        scores = _total(self.sizes, self.values)
        scores = scores if self.divergences is None else scores - self.divergences
        return _namespace(scores).argmax(scores, axis=-1)

    def payments(self) -> Any:
        """Affine maximizer payments, shape (..., n), reward units."""
        scores = _without_each(self.sizes, self.values)
        if self.divergences is not None:
            scores = scores - self.divergences[..., None, :]
        xp, index = _namespace(scores), self.policy()
        places = xp.arange(scores.shape[-1], device=scores.device)
        chosen = (places == index[..., None])[..., None, :]
        kept = xp.where(chosen, scores, xp.zeros_like(scores)).sum(-1)
        return xp.amax(scores, axis=-1) - kept


def _namespace(array: Any) -> Any:
    """The loaded module that an array belongs to."""
    name = type(array).__module__.partition(".")[0]
    if name not in LIBRARIES:
        rule = f"must be arrays of one of {LIBRARIES}"
        raise InvalidInputError("array", type(array).__name__, rule, "use RLHFGame for the rest")
    return sys.modules[name]


def _total(sizes: Any, rows: Any) -> Any:
    return (sizes[..., None] * rows).sum(-2)


def _without_each(sizes: Any, rows: Any) -> Any:
    """sum over j != i of w_j rm_j, shape (..., n, m): summed afresh, nothing cancels."""
    n = rows.shape[-2]
    others = 1 - _namespace(rows).eye(n, dtype=rows.dtype, device=rows.device)
    return (sizes[..., None, :] * others) @ rows


def _shape(argument: str, rows: Any) -> tuple[int, int]:
    _namespace(rows)
    if rows.ndim < 2 or 0 in rows.shape[-2:]:
        rule = "must have shape (..., groups, outcomes), neither empty"
        raise ShapeError(argument, f"shape {tuple(rows.shape)}", rule, "give each group a row")
    return rows.shape[-2], rows.shape[-1]


def _check(argument: str, array: Any, length: int, positive: bool = True) -> None:
    xp = _namespace(array)
    if array.ndim < 1 or array.shape[-1] != length:
        rule = f"its last axis must have length {length}"
        raise ShapeError(argument, f"shape {tuple(array.shape)}", rule, "match the rewards")
    holds = xp.isfinite(array) & (array > 0) if positive else xp.isfinite(array)
    if not bool(xp.all(holds)):
        rule = "must be finite and > 0" if positive else "must be finite"
        value = float(array[~holds][0])
        raise InvalidInputError(argument, value, rule, "drop or mend this entry")
