r"""Training rules beside SW-Max: Nash social welfare and MaxMin-RLHF.

Both maximise a concave welfare of the valuations less the divergence, so that a dual turns them
into SW-Max with other weights: :math:`\max_p W(v(p)) - D_f(p\|q) = \min_\theta G(\sum_i \theta_i
rm_i) - W_*(\theta)` with :math:`G(S) = \max_p \langle S, p\rangle - D_f(p\|q)`, which the core
solves exactly. The weights depend on the reports: that is what truthfulness trips over.
Source: named as open in Appendix E, arXiv:2405.16276v4.
"""

from typing import Any, Literal

import numpy as np

from mechanism.attack.outputs import batched
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.groups import Model
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import optimal_policies

NEWTON_STEPS, BISECTIONS = 200, 90
RuleName = Literal["nash", "maxmin"]


@batched
def nash_welfare(game: RLHFGame | CandidateGame) -> Model:
    r"""Model of greatest Nash social welfare: :math:`\max_p \sum_i w_i\log v_i(p) - D_f(p\|q)`.

    Parameters
    ----------
    game : RLHFGame or CandidateGame
        Strictly convex divergence; leading axes are a batch.

    Returns
    -------
    model : ndarray
        Policy (..., m), or the index of the first best candidate (...).

    Examples
    --------
    >>> nash_welfare(CandidateGame([[1.0, 0.5, 0.1], [0.1, 0.5, 1.0]], [1, 1]))
    np.int64(1)
    """
    if isinstance(game, CandidateGame):
        with np.errstate(divide="ignore"):
            total = np.vecmat(game.sizes, np.log(np.maximum(game.values, 0.0)))
        return np.asarray(_less_cost(game, total).argmax(axis=-1))[()]
    rewards, sizes, reference = _parts(game)
    θ = sizes / np.maximum(np.matvec(rewards, reference), 1e-300)
    value = _nash_dual(game, rewards, sizes, reference, θ)
    for _ in range(NEWTON_STEPS):
        step = _nash_step(game, rewards, sizes, reference, θ)
        largest = np.abs(step).max(axis=-1)
        if np.all(largest < 1e-10):
            break
        length = np.minimum(1.0, 2.0 / np.maximum(largest, 1e-300))
        for _ in range(40):
            trial = θ * np.exp(length[..., None] * step)
            found = _nash_dual(game, rewards, sizes, reference, trial)
            worse = (found > value + 1e-12 * (1 + np.abs(value))) & (largest >= 1e-10)
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        moves = largest >= 1e-10
        θ, value = np.where(moves[..., None], trial, θ), np.where(moves, found, value)
    policy = optimal_policies(np.vecmat(θ, rewards), reference, game.divergence)[0]
    ratio = θ * np.matvec(rewards, policy) / sizes  # 1 at the optimum
    gap = (sizes * (ratio - 1 - np.log(np.maximum(ratio, 1e-300)))).sum(axis=-1)
    if np.any(gap > 1e-9 * sizes.sum(axis=-1)):
        raise ArithmeticError(f"Nash welfare: duality gap {np.max(gap):.1e}, Newton did not settle")
    return policy


def _nash_dual(
    game: RLHFGame, rewards: Floats, sizes: Floats, reference: Floats, θ: Floats
) -> Floats:
    values = optimal_policies(np.vecmat(θ, rewards), reference, game.divergence)[1]
    return np.asarray(values - (sizes * np.log(θ)).sum(axis=-1))


def _nash_step(
    game: RLHFGame, rewards: Floats, sizes: Floats, reference: Floats, θ: Floats
) -> Floats:
    """Newton step in log θ; the curvature of G is diag(a) - a a'/sum a with a = q / f''(p/q)."""
    policy = optimal_policies(np.vecmat(θ, rewards), reference, game.divergence)[0]
    gained = θ * np.matvec(rewards, policy)
    with np.errstate(all="ignore"):
        a = np.where(policy > 0, reference / game.divergence.d2f(policy / reference), 0.0)
    scaled = θ[..., None] * rewards
    mean = np.matvec(scaled, a)
    curvature = (scaled * a[..., None, :]) @ np.swapaxes(scaled, -1, -2)
    curvature -= mean[..., :, None] * mean[..., None, :] / a.sum(axis=-1)[..., None, None]
    curvature += (gained[..., :, None] + 1e-12) * np.eye(θ.shape[-1])  # a group may get nothing
    return np.asarray(np.linalg.solve(curvature, (sizes - gained)[..., None])[..., 0])


@batched
def maxmin_rlhf(game: RLHFGame | CandidateGame) -> Model:
    r"""MaxMin-RLHF: :math:`\max_p \min_i v_i(p) - D_f(p\|q)`; the sizes do not matter.

    Two groups in the continuous game: their weights are :math:`(1-\theta, \theta)`, and the
    difference of valuations rises in theta, so that bisection finds the optimum. More groups: use
    `solve_slowly`.

    >>> from mechanism import KL
    >>> game = RLHFGame([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [1, 1], [0.3, 0.4, 0.3], KL(0.1))
    >>> maxmin_rlhf(game).round(4)
    array([0.4978, 0.0045, 0.4978])
    """
    if isinstance(game, CandidateGame):
        return np.asarray(_less_cost(game, game.values.min(axis=-2)).argmax(axis=-1))[()]
    if game.groups != 2:
        raise InvalidInputError("game", f"{game.groups} groups", "must have 2", "use solve_slowly")
    rewards, _, reference = _parts(game)

    def policy_at(θ: Floats) -> Floats:
        scores = (1 - θ)[..., None] * rewards[..., 0, :] + θ[..., None] * rewards[..., 1, :]
        return optimal_policies(scores, reference, game.divergence)[0]

    low, high = np.zeros(rewards.shape[:-2]), np.ones(rewards.shape[:-2])
    for turn in range(BISECTIONS):
        middle = high if turn == 0 else low if turn == 1 else (low + high) / 2
        if turn > 1 and np.all((middle == low) | (middle == high)):
            break
        v = np.matvec(rewards, policy_at(middle))
        behind = v[..., 1] < v[..., 0]  # the second group needs more weight
        low, high = np.where(behind, middle, low), np.where(behind, high, middle)
    return policy_at(high)


def _parts(game: RLHFGame) -> tuple[Floats, Floats, Floats]:
    batch = game.batch_shape
    return (
        np.broadcast_to(game.rewards, (*batch, *game.rewards.shape[-2:])),
        np.broadcast_to(game.sizes, (*batch, game.groups)),
        np.broadcast_to(game.reference, (*batch, game.outcomes)),
    )


def _less_cost(game: CandidateGame, total: Floats) -> Floats:
    return total if game.divergences is None else total - game.divergences


RULES = {"nash": nash_welfare, "maxmin": maxmin_rlhf}


def solve_slowly(game: RLHFGame, rule: RuleName) -> Floats:
    """The same optimum of one game by a conic solver (cvxpy, Clarabel), any number of groups.

    Accurate to about 1e-5 in the policy; a reference for the solvers above.
    """
    import cvxpy as cp

    from mechanism.oracles import _conic_divergence

    p: Any = cp.Variable(game.outcomes, nonneg=True)
    v = game.rewards @ p
    welfare = game.sizes @ cp.log(v) if rule == "nash" else cp.min(v)
    cost = game.divergence.lam * _conic_divergence(p, game.reference, game.divergence)
    cp.Problem(cp.Maximize(welfare - cost), [cp.sum(p) == 1]).solve(solver=cp.CLARABEL)
    return np.asarray(p.value)
