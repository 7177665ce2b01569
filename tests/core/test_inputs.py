"""Every array-like ends in a right number, held against 60 digits, or in a named error."""

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanism import (
    KL,
    Alpha,
    CandidateGame,
    FDivergence,
    InvalidInputError,
    RLHFGame,
    affine_maximizer_payments,
    misreports,
    normalize,
    solve,
    sw_max,
)
from mechanism.oracles import _generator, brute_force_candidates, payments_mpmath
from tests.conftest import NAMED

EDGES = [0.0, -0.0, 5e-324, 1e-310, 1e-300, 1e-12, 1.0, 1e12, 1e150, 1e300, 1.7e308]
numbers = st.sampled_from([*EDGES, *(-x for x in EDGES), np.nan, np.inf]) | st.floats(-10, 10)
strengths = st.floats(-290, 290).map(lambda e: 10.0**e) | st.floats(0.01, 100)
named = st.sampled_from(sorted(NAMED))


def _tensor(rows, grad=False):
    return torch.tensor(rows, dtype=torch.float64, requires_grad=grad)


def _masked(rows):
    array = np.ma.masked_array(np.array(rows, float))
    array[..., 0] = np.ma.masked
    return array


SAME = {  # containers that hold the same numbers
    "list": lambda rows: rows,
    "tuple": lambda rows: tuple(map(tuple, rows)),
    "array": lambda rows: np.array(rows, float),
    "object": lambda rows: np.array(rows, object),
    "fortran": lambda rows: np.asfortranarray(rows),
    "read-only": lambda rows: np.broadcast_to(np.array(rows, float), np.shape(rows)),
    "tensor": _tensor,
    "pandas": lambda rows: pd.DataFrame(rows),
    "without mask": lambda rows: np.ma.masked_array(rows),
    "arrays in a list": lambda rows: [np.array(row, float) for row in rows],
}
ROUNDED = {  # containers of other numbers: what they hold is what counts
    "int": lambda rows: np.nan_to_num(np.clip(rows, -9, 9)).astype(int),
    "bool": lambda rows: np.array(rows) > 0.5,
    "uint8": lambda rows: np.nan_to_num(np.clip(np.abs(rows), 0, 9)).astype(np.uint8),
    "float16": lambda rows: np.array(rows, float).astype(np.float16),
    "float32": lambda rows: np.array(rows, float).astype(np.float32),
    "long double": lambda rows: np.array(rows, np.longdouble),
}
REFUSED = {
    "masked": _masked,
    "masked rows": lambda rows: [_masked(row) for row in rows],
    "masked entry": lambda rows: [[np.ma.masked, *row[1:]] for row in rows],
    "gradient": lambda rows: _tensor(rows, True),
    "complex": lambda rows: np.array(rows) + 1j,
    "text": lambda rows: np.array(rows).astype(str),
    "dates": lambda rows: np.zeros(np.shape(rows), "datetime64[s]"),
    "missing": lambda rows: pd.DataFrame([[pd.NA, *row[1:]] for row in rows]),
    "ragged": lambda rows: [[*rows[0], 1.0], *rows],
    "too big": lambda rows: [[10**400 for _ in row] for row in rows],
    "bfloat16": lambda rows: _tensor(rows).to(torch.bfloat16),
    "empty": lambda rows: np.array(rows)[:, :0],
    "dictionary": lambda rows: {"rows": rows},
}
containers = st.sampled_from([*SAME.values(), *ROUNDED.values(), *REFUSED.values()])
tables = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.lists(numbers, min_size=m, max_size=m), min_size=1, max_size=3)
)


def play(game):
    """Everything public that takes a game; finite, or refused by name."""
    model, payments = sw_max(game), affine_maximizer_payments(game)
    gained = game.sizes * game.valuations(model)
    rows = game.values if isinstance(game, CandidateGame) else game.rewards
    magnitude = np.abs(game.scores()).max() + (game.sizes[..., None] * np.abs(rows)).max()
    if isinstance(game, RLHFGame):
        solution = solve(game)
        assert np.isfinite(solution.value).all() and (solution.dual_gap >= 0).all()
        assert np.abs(model.sum(axis=-1) - 1).max() <= 1e-12 and (model >= 0).all()
        assert np.all(game.divergence_cost(model) >= 0)
    values = [payments, gained, game.welfare(model, without=0), game.utilities(model, payments)]
    assert all(np.isfinite(value).all() for value in values)
    return payments, magnitude


def fits(build):
    """Result of `build()`, or None where the input is refused by name."""
    try:
        with np.errstate(divide="warn", over="warn", invalid="warn"):
            return build()
    except InvalidInputError as error:
        assert error.argument and error.rule and error.fix
        return None


@settings(max_examples=300)
@given(tables, containers, containers, st.sampled_from([1, 2.5, 1e-300, 1e200, np.int64(3)]))
def test_candidate_games(rows, wrap, wrap_costs, size):
    with np.errstate(all="ignore"):
        values, costs = wrap(rows), wrap_costs(rows[:1]) if len(rows) > 2 else None
    game = fits(lambda: CandidateGame(values, [size] * len(rows), costs))
    if game is None:
        return
    payments, magnitude = play(game)
    if game.divergences is not None:
        game = CandidateGame(game.values, game.sizes, game.divergences[0])
    exact = brute_force_candidates(game)[1]
    np.testing.assert_allclose(payments.reshape(-1), exact, rtol=0, atol=1e-12 * magnitude)


@settings(max_examples=300)
@given(tables, containers, named, strengths, st.integers(0, 10**6))
def test_games(rows, wrap, name, lam, seed):
    rng, m = np.random.default_rng(seed), len(rows[0])
    reference = rng.dirichlet(np.full(m, 0.3)) + 1e-250
    with np.errstate(all="ignore"):
        rewards = wrap(rows)
    game = fits(
        lambda: RLHFGame(rewards, rng.integers(1, 9, len(rows)), reference, NAMED[name](lam))
    )
    if game is None:
        return
    payments, magnitude = play(game)
    rounding = min(lam, 1e6 * magnitude)  # a strength beyond any reward multiplies no rounding
    assert payments.min() >= -1e-12 * (magnitude + rounding) - 1e-320


@settings(max_examples=40)
@given(st.integers(0, 10**6), named, st.floats(-12, 12), st.floats(-14, 14))
def test_payments_against_60_digits(seed, name, unit, lam):
    rng = np.random.default_rng(seed)
    rewards = rng.random((2, 3)) * 10.0**unit
    game = RLHFGame(rewards, rng.integers(1, 5, 2), rng.dirichlet(np.ones(3)), NAMED[name](10**lam))
    exact = np.array([float(x) for x in payments_mpmath(game, 90)])
    peak = np.abs(game.scores()).max()
    rounding = min(game.divergence.lam, 1e6 * peak)
    np.testing.assert_allclose(
        affine_maximizer_payments(game), exact, rtol=0, atol=1e-13 * (peak + rounding)
    )


def _exact_divergence(divergence, p, q):
    generator, _, limit = _generator(divergence)
    steep = getattr(divergence, "alpha", 1 if type(divergence).__name__ != "ReverseKL" else 0) <= 0
    first, second = ([mp.mpf(float(x)) for x in row] for row in (p, q))
    first, second = ([x / mp.fsum(row) for x in row] for row in (first, second))

    def term(a, b):
        if b == 0:
            return a * limit if a else mp.mpf(0)
        return mp.inf if a == 0 and steep else b * generator(a / b)

    total = divergence.lam * mp.fsum(term(a, b) for a, b in zip(first, second, strict=True))
    return float(total) if total < 1.7e308 else np.inf


weights = st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1e-200, 1e-9, 1.0]) | st.floats(0, 1)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(weights, weights), min_size=1, max_size=4),
    named,
    strengths,
    st.none() | st.floats(-17, -3),
)
def test_divergences_against_60_digits(pairs, name, lam, near):
    q = np.array([pair[1] for pair in pairs])
    p = np.array([pair[0] for pair in pairs])
    if near is not None:
        p = q * (1 + 10**near * np.linspace(-1, 1, len(q)))
    if not (p.sum() > 1e-3 and q.sum() > 1e-3):
        return
    p, q = p / p.sum(), q / q.sum()
    divergence = NAMED[name](lam)
    value = float(divergence.value(p, q))
    with mp.workdps(60):
        exact = _exact_divergence(divergence, p, q)
    assert value >= 0 and not np.isnan(value)
    if np.isinf(exact):
        assert value == np.inf
    else:
        assert abs(value - exact) <= 1e-11 * exact + 4e-15 * lam


@settings(max_examples=200)
@given(tables, containers, st.sampled_from(["summation", "maximum", "min-max"]))
def test_normalize(rows, wrap, how):
    with np.errstate(all="ignore"):
        raw = wrap(rows)
    scaled = fits(lambda: normalize(raw, how))
    if scaled is None:
        return
    top = scaled.sum(axis=-1) if how == "summation" else scaled.max(axis=-1)
    np.testing.assert_allclose(top, 1.0, rtol=1e-12)
    assert scaled.min() >= 0
    array = np.asarray(raw).astype(np.longdouble)
    exact = array - (array.min(-1, keepdims=True) if how == "min-max" else
                     np.minimum(array.min(-1, keepdims=True), 0))  # fmt: skip
    exact /= exact.sum(-1, keepdims=True) if how == "summation" else exact.max(-1, keepdims=True)
    np.testing.assert_allclose(scaled, exact.astype(float), atol=1e-12)


@settings(max_examples=200)
@given(st.lists(numbers, min_size=0, max_size=3), named, strengths)
def test_generators(xs, name, lam):
    divergence = NAMED[name](lam)
    for function in (divergence.f, divergence.df, divergence.d2f, divergence.df_inverse):
        value = fits(lambda f=function: f(xs))
        assert value is None or not np.isnan(value).any()


@settings(max_examples=200)
@given(st.lists(numbers, min_size=1, max_size=3), containers, st.integers(0, 3))
def test_models_payments_and_reports(xs, wrap, which):
    game = RLHFGame([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [1, 2], [0.2, 0.3, 0.5], KL(1), "summation")
    candidates = CandidateGame(game.rewards, [1, 2])
    with np.errstate(all="ignore"):
        value = wrap([xs])
    calls = [
        lambda: game.welfare(value),
        lambda: game.utilities(value, [0.0, 0.0]),
        lambda: game.utilities([0.2, 0.3, 0.5], value),
        lambda: game.divergence.value(value, [0.2, 0.3, 0.5]),
        lambda: candidates.welfare(value),
        lambda: candidates.utilities(0, value),
        lambda: affine_maximizer_payments(game.with_report(0, reward=value)),
        lambda: affine_maximizer_payments(candidates.with_report(0, reward=value, size=2.0)),
        lambda: affine_maximizer_payments(misreports.scale_size(game, 0, value)),
        lambda: affine_maximizer_payments(misreports.mix_rewards(candidates, 0, value, 1)),
        lambda: affine_maximizer_payments(misreports.theorem_4_2(game, 0, value)),
        lambda: misreports.exaggerated_reward(value, 0.1, "summation", clip=True),
        lambda: misreports.largest_epsilon(value, ["maximum", "mean"][which % 2]),
        lambda: KL(value),
        lambda: Alpha(value, 1.0),
        lambda: sw_max(value),
        lambda: affine_maximizer_payments(value),
        lambda: solve(value),
        lambda: FDivergence(lambda x: value),
        lambda: misreports.scale_size(value, 0, 1.0),
    ]
    for call in calls:
        found = fits(call)
        if isinstance(found, np.ndarray | float):
            assert not np.isnan(found).any()


@pytest.mark.parametrize("kind", SAME)
def test_containers_of_the_same_numbers_give_the_same(kind):
    rows = [[0.25, 1.0, 0.5], [1.0, 0.125, 0.0]]
    plain, other = CandidateGame(rows, [1, 2]), CandidateGame(SAME[kind](rows), [1, 2])
    np.testing.assert_array_equal(other.values, plain.values)
    np.testing.assert_array_equal(
        normalize(SAME[kind](rows), "min-max"), normalize(rows, "min-max")
    )


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_lost_is_refused(kind):
    rows = [[0.2, 999.0, 0.4], [0.5, 0.1, 0.3]]
    for call in (
        lambda v: CandidateGame(v, [1, 1]),
        lambda v: RLHFGame(v, [1, 1], [0.2, 0.3, 0.5], KL(1.0)),
        lambda v: normalize(v, "min-max"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call(REFUSED[kind](rows))
        assert caught.value.argument.startswith(("values", "rewards"))
