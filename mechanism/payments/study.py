r"""Estimated payments against the exact ones, on games whose outcomes can all be enumerated.

The exact game is batched over prompts: rewards (P, n, m), reference (P, m), KL. Samples are drawn
from it `repeats` times, every estimate is computed from each draw, and bias, spread and the claimed
standard error stand side by side. All methods get the same number of completions a prompt.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mechanism.core.divergences import KL
from mechanism.core.errors import Floats, InvalidInputError, as_floats
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies, sw_max
from mechanism.payments.estimates import (
    CORRECTIONS,
    PaymentEstimate,
    from_released,
    log_partition,
)
from mechanism.payments.models import (
    gauss_strengths,
    heuristic_1,
    intermediate_models,
    leave_one_out,
    thermodynamic,
)
from mechanism.theorems.efficient_payments import SHARES, others_welfare

COUNTS = (16, 32, 64, 128, 256, 512)
NODES = 4  # intermediate strengths that are trained and sampled in the study


def draw(policy: ArrayLike, uniforms: ArrayLike) -> NDArray[np.intp]:
    """Indices (..., P, K) of outcomes drawn from policies (P, m) by inverting uniforms (..., P, K).

    The same uniforms give nearby draws from nearby policies.

    >>> draw([[0.25, 0.75]], [[[0.1, 0.9]]])
    array([[[0, 1]]])
    """
    steps = as_floats("policy", policy).cumsum(axis=-1)
    u = as_floats("uniforms", uniforms)
    found = [
        np.searchsorted(step / step[-1], u[..., row, :], side="right")
        for row, step in enumerate(steps)
    ]
    return np.stack(found, axis=-2).clip(max=steps.shape[-1] - 1)


def gather(rows: Floats, index: NDArray[np.intp]) -> Floats:
    """Entries (..., P, n, K) of rows (P, n, m) at drawn outcomes (..., P, K)."""
    return np.stack([rows[p][:, index[..., p, :]] for p in range(len(rows))]).transpose(
        *range(2, index.ndim), 0, 1, index.ndim
    )


def exact_payments(game: RLHFGame) -> Floats:
    """Affine maximizer payments (n,), averaged over the prompts of the game."""
    return np.asarray(affine_maximizer_payments(_prompts(game)).mean(axis=0))


def sample_estimates(
    game: RLHFGame, count: int, repeats: int, seed: int = 0
) -> Iterator[PaymentEstimate]:
    """All estimates from `count` completions a prompt, batched over `repeats` draws, with `exact`.

    `independent samples` uses other draws for the pivot than for the rest (half of them each);
    `wrong sign` is a control: the difference of the two optimal values turned round.
    """
    rng, lam = np.random.default_rng(seed), game.divergence.lam
    exact, w = exact_payments(game), game.sizes
    best = np.asarray(sw_max(game), dtype=np.float64)
    uniforms = rng.random((repeats, len(best), count))
    rows = gather(game.rewards, draw(game.reference, uniforms))
    welfare = others_welfare(game, best)
    nothing = np.zeros_like(welfare)
    for correction in CORRECTIONS:
        yield log_partition(rows, w, lam, correction).against(exact)
    yield log_partition(rows, w, lam, released=welfare).against(exact)
    yield log_partition(rows, w, lam, "jackknife", released=welfare).against(exact)
    one, two = rows[..., : count // 2], rows[..., count // 2 :]
    shared, pivot = (log_partition(one, w, lam, released=r) for r in (None, nothing))
    other = log_partition(two, w, lam, released=nothing)
    apart = other.per_prompt + shared.per_prompt - pivot.per_prompt
    unknown = np.full_like(shared.payment, np.nan)
    yield _renamed("independent samples", apart, unknown, shared, count).against(exact)
    whole = log_partition(rows, w, lam)
    turned = 2 * w * game.valuations(best) - whole.per_prompt
    wrong = _renamed("wrong sign (control)", turned, whole.standard_error, whole, count)
    yield wrong.against(exact)
    taken = gather(game.rewards, draw(best, uniforms))
    for correction in CORRECTIONS[::2]:
        yield from_released(taken, w, lam, correction).against(exact)
    yield sampled_thermodynamic(game, count // (NODES + 1), uniforms).against(exact)


def _renamed(
    name: str, per_prompt: Floats, error: Floats, like: PaymentEstimate, count: int
) -> PaymentEstimate:
    return PaymentEstimate(
        name, per_prompt, error, np.zeros_like(error), like.effective_size, 0.0, count
    )


def sampled_thermodynamic(game: RLHFGame, count: int, uniforms: Floats) -> PaymentEstimate:
    """The area identity with `count` samples from the model at each of four strengths and at 1.

    Each node takes its own stretch of the uniforms (..., P, K), K >= 5 `count`.
    """
    nodes, _ = gauss_strengths(NODES)
    models = intermediate_models(game, nodes)
    best = np.broadcast_to(np.asarray(sw_max(game))[:, None, :], models.shape[1:])
    means, errors = [], []
    for node, model in enumerate([*models, best]):
        u = uniforms[..., node * count : (node + 1) * count]
        drawn = [
            gather(game.rewards[:, i : i + 1], draw(model[:, i], u))[..., 0, :]
            for i in range(game.groups)
        ]
        mine = np.stack(drawn, axis=-2)
        means.append(mine.mean(axis=-1))
        errors.append(mine.std(axis=-1, ddof=1) / np.sqrt(count))
    curve = np.stack(means[:-1], axis=-3)
    return thermodynamic(
        curve, means[-1], game.sizes, count * (NODES + 1), errors=np.stack(errors, axis=-3)
    )


def checkpoint_models(game: RLHFGame, shares: Sequence[float]) -> Floats:
    """Optima for s S at shares s of the way, shape (k, P, m): what checkpoints are modelled by."""
    scores = np.array(shares)[:, None, None] * game.scores()
    return optimal_policies(scores, game.reference, game.divergence)[0]


def model_estimates(
    game: RLHFGame, shares: Sequence[float] = SHARES, share: float = 0.5
) -> Iterator[PaymentEstimate]:
    """Estimates from models that are evaluated exactly: leave-one-out and Heuristics 1 and 2.

    Checkpoints lie on the regularisation path, at `shares` of the way; Heuristic 2 stops every
    leave-one-out training at `share`, which is what it costs.
    """
    exact, n = exact_payments(game), game.groups
    without = intermediate_models(game, [0.0])[0].transpose(1, 0, 2)
    models = np.concatenate([checkpoint_models(game, [*shares, 1.0]), without])
    welfare, released = others_welfare(game, models), len(shares)
    rows = range(released + 1, released + 1 + n)
    yield leave_one_out(welfare, released, rows).against(exact)
    yield heuristic_1(welfare, released, range(released + 1)).against(exact)
    early = np.stack([stopped_model(game, i, share) for i in range(n)])
    welfare = others_welfare(game, np.concatenate([models[released][None], early]))
    name = "heuristic 2"
    yield leave_one_out(welfare, 0, range(1, n + 1), share * n, name).against(exact)


def stopped_model(game: RLHFGame, i: int, share: float) -> Floats:
    """Model of a leave-one-out training stopped at a share of its way, shape (P, m)."""
    others = game.sizes * (np.arange(game.groups) != i)
    scores = share * np.asarray(np.vecmat(others, game.rewards))
    return optimal_policies(scores, game.reference, game.divergence)[0]


def study(
    game: RLHFGame, counts: Sequence[int] = COUNTS, repeats: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Bias and spread of every estimate against the number of completions a prompt.

    Returns
    -------
    DataFrame
        One row a method, count and group: `exact`, `bias` with its `bias_error` over repeats,
        `spread` (sd over repeats), `claimed` (mean standard error), `rmse`, `coverage` (share of
        repeats within 1.96 claimed standard errors, nan where no error is claimed), `least` (lowest
        estimate), `effective_size` and `trainings`. Methods on models have no noise and one row
        with count 0.
    """
    frames = [_rows(estimate, 0) for estimate in model_estimates(_prompts(game))]
    for count in counts:
        frames += [_rows(e, count) for e in sample_estimates(game, count, repeats, seed + count)]
    return pd.concat(frames, ignore_index=True)


def _rows(estimate: PaymentEstimate, count: int) -> pd.DataFrame:
    error = np.atleast_2d(estimate.error)
    claimed = np.atleast_2d(estimate.standard_error)
    spread = error.std(axis=0, ddof=1) if len(error) > 1 else np.zeros(error.shape[-1])
    inside = np.where(claimed > 0, np.abs(error) <= 1.96 * claimed, np.nan)
    return pd.DataFrame(
        {
            "method": estimate.method,
            "samples": count,
            "group": np.arange(1, error.shape[-1] + 1),
            "exact": estimate.exact,
            "bias": error.mean(axis=0),
            "bias_error": spread / np.sqrt(len(error)),
            "spread": spread,
            "claimed": claimed.mean(axis=0),
            "rmse": np.sqrt((error**2).mean(axis=0)),
            "coverage": inside.mean(axis=0),
            "least": np.atleast_2d(estimate.payment).min(axis=0),
            "effective_size": estimate.effective_size,
            "trainings": estimate.trainings,
        }
    )


def _prompts(game: RLHFGame) -> RLHFGame:
    if len(game.batch_shape) != 1 or not isinstance(game.divergence, KL):
        fix = "pass rewards (P, n, m), sizes (n,), reference (P, m) and KL(lam)"
        rule = "must be a KL game batched over prompts"
        raise InvalidInputError("game", f"batch {game.batch_shape}", rule, fix)
    return game
