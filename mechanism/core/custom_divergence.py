"""A user's own f-divergence; whatever is not given is found numerically."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError, ShapeError, as_floats, require
from mechanism.core.generator import Divergence

Function = Callable[[Any], Any]
_GRID = np.logspace(-6, 3, 91)  # ratios at which a user's functions are checked
_LOG_RANGE = (-745.0, 709.0)  # logarithms of the least and the greatest positive float64


@dataclass(frozen=True, init=False)
class FDivergence(Divergence):
    r"""Divergence of a user's generator: :math:`D_f(p\|q) = \lambda\sum_x q(x) f(p(x)/q(x))`.

    Parameters
    ----------
    f : callable
        Convex on x > 0 with f(1) = 0, elementwise on arrays; `lam` is not part of it.
    df, d2f, df_inverse : callable, optional
        f', f'' and the inverse of f', without `lam`. Missing ones are found numerically: slopes by
        a five-point difference (about 1e-10), the inverse by bisection of `df`, or by
        golden-section search of x y - f(x) where `df` is missing too (then about 1e-8 in x, which
        costs the optimum about 1e-16). Slower than a named divergence, 100 times or more.
    lam : float
        Strength, > 0.
    interior, strictly_convex : bool, optional
        Read off f where not given.

    Raises
    ------
    InvalidInputError
        f(1) is not 0, f is not convex on a grid, or `df`, `df_inverse` do not belong to f.

    Examples
    --------
    >>> FDivergence(lambda x: (x - 1) ** 2, lam=0.5).value([0.75, 0.25], [0.5, 0.5])
    np.float64(0.125)
    """

    def __init__(
        self,
        f: Function,
        df: Function | None = None,
        d2f: Function | None = None,
        df_inverse: Function | None = None,
        lam: float = 1.0,
        *,
        interior: bool | None = None,
        strictly_convex: bool | None = None,
    ) -> None:
        for name, given in [("given_f", f), ("given_df", df), ("given_d2f", d2f)]:
            object.__setattr__(self, name, given)
        object.__setattr__(self, "given_df_inverse", df_inverse)
        object.__setattr__(self, "lam", lam)
        self.__post_init__()
        functions = {"f": f, "df": df, "d2f": d2f, "df_inverse": df_inverse}
        for name, function in functions.items():
            if not (callable(function) or (function is None and name != "f")):
                fix = "pass a function of arrays of ratios"
                raise InvalidInputError(name, repr(function)[:80], "must be a function", fix)
        with np.errstate(all="ignore"):
            self._check()
            strict = self._seems_strict() if strictly_convex is None else strictly_convex
            inside = self._seems_interior() if interior is None else interior
            steep = bool(np.isinf(self._f(np.zeros(()))))
        object.__setattr__(self, "strictly_convex", strict)
        object.__setattr__(self, "interior", inside)
        object.__setattr__(self, "steep", steep)

    given_f: Function
    given_df: Function | None
    given_d2f: Function | None
    given_df_inverse: Function | None

    def _check(self) -> None:
        if abs(float(self._f(np.array(1.0)))) > 1e-9:
            fix = "subtract f(1)"
            raise InvalidInputError("f(1)", float(self._f(np.array(1.0))), "must be 0", fix)
        x, fx = _GRID, self._f(_GRID)
        require(np.isfinite(fx), "f(grid)", fx, "f must be finite for x > 0", "check f")
        chord = fx[:-2] + (fx[2:] - fx[:-2]) * ((x[1:-1] - x[:-2]) / (x[2:] - x[:-2]))
        slack = chord - fx[1:-1] + 1e-9 * (1 + np.abs(fx[1:-1]))
        require(slack >= 0, "f", fx[1:-1], "must be convex for x > 0", "check the sign of f")
        if self.given_df is not None:
            step = (fx[1:] - fx[:-1]) / (x[1:] - x[:-1])
            slope, slack = self._df(x), 1e-7 * (1 + np.abs(step))
            fits = (slope[:-1] <= step + slack) & (slope[1:] >= step - slack)
            require(fits, "df", slope[:-1], "must be the slope of f", "check df, leave lam out")
        if self.given_df_inverse is not None:
            slope = self._df(x)
            best = x * slope - fx  # the conjugate at f'(x), reached at x itself
            found = self._df_inverse(slope)
            reached = found * slope - self._f(found)
            fits = np.abs(reached - best) <= 1e-6 * (1 + np.abs(best))
            rule = "must invert df"
            require(fits, "df_inverse", found, rule, "check df_inverse, leave lam out")

    def _seems_strict(self) -> bool:
        middle = self._f((_GRID[1:] + _GRID[:-1]) / 2)
        ends = (self._f(_GRID[1:]) + self._f(_GRID[:-1])) / 2
        return bool(np.all(ends - middle > 1e-15 * (1 + np.abs(middle)) * _GRID[1:]))

    def _seems_interior(self) -> bool:
        """Whether f' goes on falling at the same pace towards 0, as a logarithm or power does."""
        far, mid, near = self._df(np.array([1e-300, 1e-200, 1e-100]))
        return bool(mid - far > 1e-6 and mid - far >= 0.5 * (near - mid))

    flat = 1e-12  # found numerically, the optimum would be rounding times lam

    def _f(self, x: Floats) -> Floats:
        return _called("f", self.given_f, x)

    def _df(self, x: Floats) -> Floats:
        if self.given_df is not None:
            return _called("df", self.given_df, x)
        return _five_point(self._f, x)

    def _d2f(self, x: Floats) -> Floats:
        if self.given_d2f is not None:
            return _called("d2f", self.given_d2f, x)
        return _five_point(self._df, x)

    def _df_inverse(self, y: Floats) -> Floats:
        if self.given_df_inverse is not None:
            return np.maximum(_called("df_inverse", self.given_df_inverse, y), 0.0)
        search = _golden if self.given_df is None else _bisect
        return search(self._f if self.given_df is None else self._df, y)

    def _perspective(self, p: Floats, q: Floats) -> Floats:
        value = q * (self._f(p / q) - self._f(np.ones(())))
        if not np.all(p):  # f may be written so that its limit at 0 is lost, as in x log x
            at_zero = self._f(np.full((), np.finfo(float).tiny))
            value = np.where((p == 0) & np.isnan(value), q * at_zero, value)
        return value

    def _conjugate(self, y: Floats, deficit: Floats) -> Floats:
        x = self._df_inverse(y)
        at_zero = -self._f(np.zeros(()))
        value = np.where(x > 0, x * y - self._f(x), at_zero)
        return np.where(np.isfinite(at_zero), np.fmax(value, at_zero), value)


def _called(name: str, function: Function, x: Floats) -> Floats:
    """Values of a user's function, one for each number that it was given."""
    value = as_floats(f"{name}(x)", function(x))
    if value.shape not in ((), x.shape):
        rule = f"must have the shape {x.shape} of x"
        raise ShapeError(f"{name}(x)", f"array of shape {value.shape}", rule, "work elementwise")
    return np.broadcast_to(value, x.shape)


def _five_point(function: Function, x: Floats) -> Floats:
    h = 1e-3 * x
    near, far = function(x + h) - function(x - h), function(x + 2 * h) - function(x - 2 * h)
    return np.asarray((8 * near - far) / (12 * h), dtype=np.float64)


def _bisect(slope: Function, y: Floats) -> Floats:
    """Least x with slope(x) >= y, to the last bit of log x."""
    low, high = np.full_like(y, _LOG_RANGE[0]), np.full_like(y, _LOG_RANGE[1])
    for _ in range(64):
        middle = (low + high) / 2
        below = slope(np.exp(middle)) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.exp(high)


def _golden(f: Function, y: Floats) -> Floats:
    """Maximiser of x y - f(x) by golden-section search in log x, to half of the digits."""
    ratio = (np.sqrt(5.0) - 1) / 2
    low, high = np.full_like(y, _LOG_RANGE[0]), np.full_like(y, _LOG_RANGE[1])
    for _ in range(110):
        width = ratio * (high - low)
        left, right = np.exp(high - width), np.exp(low + width)
        at_right = right * y - f(right)  # towards 0 the values tie in rounding: prefer the right
        rises = np.isfinite(at_right) & (at_right >= left * y - f(left))
        low, high = np.where(rises, high - width, low), np.where(rises, high, low + width)
    return np.exp((low + high) / 2)
