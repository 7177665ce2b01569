r"""The law of a one-training payment from models at several shares: any trained curve will do.

The curve is group i's own value :math:`w_i v_i` against the share s of its size that the model was
trained with. `curve_payment` gives what is charged at each share, the expectation, the spread.
Source: our own; the lottery is `mechanism.theorems.one_training.lottery`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.games import Game
from mechanism.core.errors import Floats, InvalidInputError, ShapeError, as_floats, require
from mechanism.core.sw_max import sw_max
from mechanism.theorems.one_training.lottery import Lottery

NODES = np.polynomial.legendre.leggauss(10)
TOWARDS_ZERO = 4.0 ** -np.arange(1.0, 25.0)  # where pieces are cut, since R may grow like log(1/s)
LEAST = 1e-300  # stands for a share of 0: a size must be positive


@dataclass(frozen=True, eq=False)
class CurvePayment:
    """Payment of one group from its own value along its share, for one lottery.

    Attributes
    ----------
    shares, payments : ndarray, shape (k,)
        What is charged where a share of the curve is the one that was drawn; the last is 1.
    expected, standard_deviation : float
        Of the payment over the lottery, the others' shares being 1.
    exact : float
        The limit for mu to 0: the affine maximizer payment, value at 1 less the area.
    utility : float
        Truthful utility in expectation: value less payment.
    negative : float
        Probability of a negative payment.
    standard_error : float
        Of `expected`, from the errors of the values; nan if these are not given.
    bracket : (float, float)
        Least and greatest `expected` of any curve that never falls and runs through the values.
    """

    shares: Floats
    payments: Floats
    expected: float
    standard_deviation: float
    exact: float
    utility: float
    negative: float
    standard_error: float
    bracket: tuple[float, float]


def curve_payment(
    shares: ArrayLike, values: ArrayLike, lottery: Lottery, errors: ArrayLike | None = None,
    guess: ArrayLike | None = None,
) -> CurvePayment:  # fmt: skip
    r"""Payment of a group, and its law, from models that were trained at several shares.

    Between shares the curve is taken as straight, and below the first as constant. With a `guess`
    g of the curve, known before training, the rebate is the guess's own expectation plus
    R(s) (value - g(s)): the same in expectation for *every* guess, of little variance for a good
    one.

    Parameters
    ----------
    shares : array_like, shape (k,)
        Increasing, in [0, 1]; the last is 1.
    values : array_like, shape (k,)
        w_i v_i of the model trained with that share of group i's size, all others whole.
    errors : array_like, shape (k,), optional
        Standard errors of the values, independent of each other.
    guess : array_like, shape (k,), optional
        Guessed values.

    Raises
    ------
    InvalidInputError
        Shares that do not increase to 1; arrays that do not match.

    Examples
    --------
    >>> paid = curve_payment([0.0, 1.0], [0.0, 1.0], Lottery(0.5))
    >>> paid.payments, round(paid.expected, 6), round(paid.exact, 6)
    (array([0., 1.]), 0.333333, 0.5)
    """
    s, h = _curve(shares, values)
    g = np.zeros_like(h) if guess is None else _curve(shares, guess)[1]
    nodes, law, width = _nodes(s, lottery)
    chance, back = lottery.mu * law, lottery.mu * law * lottery.rebate(nodes)
    drawn, known = np.interp(nodes, s, h), float(back @ np.interp(nodes, s, g))
    rest = lottery.rebate(nodes) * np.interp(nodes, s, h - g)
    charged = np.append(drawn - known - rest, h[-1] - known)
    weights = np.append(chance, 1.0 - lottery.mu)
    mean = float(weights @ charged)
    refund = np.where(s < 1, lottery.rebate(np.maximum(s, LEAST)) * (h - g), 0.0)
    return CurvePayment(
        shares=s,
        payments=h - known - refund,
        expected=mean,
        standard_deviation=float(np.sqrt(weights @ (charged - mean) ** 2)),
        exact=float(h[-1] - width @ drawn),
        utility=float(back @ drawn),
        negative=float(weights @ (charged < 0)),
        standard_error=_error(s, errors, nodes, chance - back, 1.0 - lottery.mu),
        bracket=_bracket(s, h, nodes, chance - back, 1.0 - lottery.mu),
    )


def exact_curve(game: Game, i: int, shares: ArrayLike) -> Floats:
    """w_i v_i (k,) of the exact models at the given shares in [0, 1], as `curve_payment` asks for.

    A batch of games (prompts) is averaged: one share holds for all of them.

    >>> from mechanism import CandidateGame
    >>> exact_curve(CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1]), 0, [0.0, 0.4, 1.0])
    array([0., 0., 1.])
    """
    s = np.maximum(as_floats("shares", shares), LEAST)
    column = s.reshape(-1, *[1] * len(game.batch_shape))
    said = game.with_report(i, size=column * game.sizes[..., i])
    values = game.sizes[..., i] * game.valuations(sw_max(said))[..., i]
    return np.asarray(values).reshape(len(s), -1).mean(axis=-1)


def _curve(shares: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    s, h = as_floats("shares", shares), as_floats("values", values)
    if s.ndim != 1 or s.shape != h.shape or len(s) < 2:
        rule = "must be two or more, as many as values"
        raise ShapeError("shares", f"array of shape {s.shape}", rule, "one value a share")
    steps = np.diff(s, prepend=-1.0)
    require((steps > 0) & (s >= 0), "shares", s, "must increase from 0 on", "sort them")
    if s[-1] != 1.0:
        fix = "add the model in which the group counts in full"
        raise InvalidInputError("shares[-1]", s[-1], "must be 1", fix)
    require(np.isfinite(h), "values", h, "must be finite", "drop this share")
    return s, h


def _nodes(s: Floats, lottery: Lottery) -> tuple[Floats, Floats, Floats]:
    """Nodes in (0, 1), their weights for the law of a shrunk group's share, and for ds."""
    ends = np.concatenate([[0.0, 1.0], s[(s > 0) & (s < 1)], TOWARDS_ZERO])
    e = lottery.power
    low, high = np.array(list(pairwise(np.unique(ends)))).T[..., None]
    nodes = low + (high - low) * (1.0 + NODES[0]) / 2.0
    width = (high - low) * NODES[1] / 2.0
    mass = width * e * nodes ** (e - 1.0)
    mass *= (high**e - low**e) / mass.sum(axis=1, keepdims=True)  # exact in every piece
    return nodes.ravel(), mass.ravel(), width.ravel()


def _error(
    s: Floats, errors: ArrayLike | None, nodes: Floats, measure: Floats, whole: float
) -> float:
    """Standard error of the integral of the straight curve, from those of its values."""
    if errors is None:
        return float("nan")
    weights = np.array([measure @ np.interp(nodes, s, hat) for hat in np.eye(len(s))])
    weights[-1] += whole
    return float(np.linalg.norm(weights * _curve(s, errors)[1]))


def _bracket(
    s: Floats, h: Floats, nodes: Floats, measure: Floats, whole: float
) -> tuple[float, float]:
    """Integrals of the two step curves that enclose every curve that never falls."""
    above = np.searchsorted(s, nodes)
    upper = h[above]
    lower = np.where(above > 0, h[np.maximum(above - 1, 0)], min(0.0, float(h[0])))
    least = measure @ np.where(measure > 0, lower, upper)
    most = measure @ np.where(measure > 0, upper, lower)
    return float(whole * h[-1] + least), float(whole * h[-1] + most)
