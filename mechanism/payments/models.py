r"""Payments from models: leave-one-out trainings, heuristics, and intermediate strengths.

`leave_one_out` and `heuristic_1` read a table of ASW_-i of evaluated models, real or enumerated.
`thermodynamic` is the area identity: on the models of a candidate set it gives that set's own
payments again, so only models trained at intermediate strengths, or samples, add to it.
Source: Section 4.4, arXiv:2405.16276v4; the area is `mechanism.theorems.affine_maximizer`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.payments import leave_one_out_scores
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies
from mechanism.payments.estimates import PaymentEstimate
from mechanism.theorems.efficient_payments import others_welfare


def thermodynamic(
    valuations: ArrayLike, own: ArrayLike, sizes: ArrayLike, samples: int = 0, trained: bool = True,
    errors: ArrayLike | None = None, weights: ArrayLike | None = None,
) -> PaymentEstimate:  # fmt: skip
    r"""Payments by the area identity: :math:`w_i v_i(1) - \int_0^1 w_i v_i(t)\,dt`.

    v_i(t) is the valuation of the model for :math:`S_{-i} + t w_i rm_i`: of models trained at the
    `gauss_strengths`, or reweighted samples (`reweighted_valuations`).

    Parameters
    ----------
    valuations : array_like, shape (..., T, P, n)
        v_i at the T strengths, per agent.
    own : array_like, shape (..., P, n)
        v_i of the released model.
    sizes : array_like, shape (n,)
    samples : int
        Completions a prompt, all models together.
    trained : bool
        Whether every strength cost a training (n T in all).
    errors : array_like, shape (..., T + 1, P, n), optional
        Standard errors of the valuations, those of `own` last.
    weights : array_like, shape (T,), optional
        Of the quadrature; Gauss-Legendre by default.
    """
    curve, last = as_floats("valuations", valuations), as_floats("own", own)
    w, count = as_floats("sizes", sizes), curve.shape[-3]
    rule = gauss_strengths(count)[1] if weights is None else as_floats("weights", weights)
    per_prompt = w * (last - np.einsum("t,...tpn->...pn", rule, curve))
    if errors is None:
        error = np.full_like(per_prompt.mean(axis=-2), np.nan)
    else:
        noise = w * np.append(rule, 1.0)[:, None, None] * as_floats("errors", errors)
        error = np.sqrt((noise**2).sum(axis=(-3, -2))) / per_prompt.shape[-2]
    trainings = float(count * len(w) if trained else 0)
    nothing = np.zeros_like(error)
    return PaymentEstimate(
        "thermodynamic", per_prompt, error, nothing, float("nan"), trainings, samples
    )


def gauss_strengths(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights (count,) of the Gauss-Legendre rule on (0, 1).

    >>> gauss_strengths(2)[0].round(4)
    array([0.2113, 0.7887])
    """
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (1.0 + nodes) / 2.0, weights / 2.0


def intermediate_models(game: RLHFGame, strengths: ArrayLike) -> Floats:
    """Exact optima for S_-i + t w_i rm_i, shape (T, P, n, m), of a game batched over P prompts."""
    t = as_floats("strengths", strengths)[:, None, None, None]
    scores = leave_one_out_scores(game.sizes, game.rewards) + t * (
        game.sizes[..., None] * game.rewards
    )
    return optimal_policies(scores, game.reference[..., None, :], game.divergence)[0]


def welfare_table(values: ArrayLike, kl: ArrayLike, sizes: ArrayLike, lam: float) -> Floats:
    """ASW_-i of evaluated models, shape (k, P, n), from values (n, k, P) and KL (k, P) in nats.

    >>> welfare_table([[[1.0], [0.0]], [[0.0], [1.0]]], [[0.0], [1.0]], [1, 2], 0.5)[:, 0]
    array([[ 0. ,  1. ],
           [ 1.5, -0.5]])
    """
    rows, costs = as_floats("values", values), as_floats("kl", kl)
    game = CandidateGame(rows.transpose(2, 0, 1), as_floats("sizes", sizes), lam * costs.T)
    return others_welfare(game, np.arange(rows.shape[1])[:, None])


def leave_one_out(
    welfare: ArrayLike, released: int, pivots: Sequence[int], trainings: float | None = None,
    method: str = "leave-one-out",
) -> PaymentEstimate:  # fmt: skip
    """The paper's payment: the pivot is a model trained without the group, n more trainings.

    Early-stopped pivots make it Heuristic 2 (say so in `method`, and count the trainings' share).

    Parameters
    ----------
    welfare : array_like, shape (k, P, n)
        ASW_-i of every evaluated model (`welfare_table`, or `others_welfare` of a game).
    released : int
        Row of the released model.
    pivots : sequence of int, length n
        Row of each group's leave-one-out model.

    Examples
    --------
    >>> leave_one_out([[[0.5, 0.25]], [[1.0, 0.0]], [[0.0, 0.5]]], 0, [1, 2]).payment
    array([0.5 , 0.25])
    """
    table = as_floats("welfare", welfare)
    groups = table.shape[-1]
    if len(pivots) != groups:
        fix = f"name one row for each of the {groups} groups"
        raise InvalidInputError("pivots", list(pivots), "one leave-one-out model a group", fix)
    chosen = np.stack([table[row, :, i] for i, row in enumerate(pivots)], axis=-1)
    per_prompt = chosen - table[released]
    nothing = np.zeros(groups)
    cost = float(groups) if trainings is None else trainings
    return PaymentEstimate(method, per_prompt, nothing, nothing, float("nan"), cost, 0)


def heuristic_1(
    welfare: ArrayLike, released: int, checkpoints: Sequence[int] | None = None
) -> PaymentEstimate:
    """Heuristic 1: the pivot is the best evaluated model for the others; no training at all.

    Non-negative where `released` is among the checkpoints (all rows by default).

    >>> heuristic_1([[[0.5, 0.25]], [[1.0, 0.0]]], 0).payment
    array([0.5, 0. ])
    """
    table = as_floats("welfare", welfare)
    rows = np.arange(len(table)) if checkpoints is None else np.asarray(checkpoints)
    best = rows[table[rows].mean(axis=1).argmax(axis=0)]
    return leave_one_out(table, released, list(best), 0.0, "heuristic 1")
