"""Machine code against the plain path of numpy, at the edges of every range; life without it."""

import logging
import sys

import numpy as np
import pytest

from mechanism import RLHFGame, solve, sw_max
from mechanism.attack.claim_result import scale
from mechanism.attack.games import FAMILIES
from mechanism.core import newton
from mechanism.core.newton import VECTOR, machine_code

EVERY = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture
def plain(monkeypatch):
    """What a function gives on numpy's path alone."""

    def run(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(newton, "machine_code", lambda: None)
            return function(*arguments)

    return run


def edge_games(name):
    """Games with lam from 1e-6 to 1e6, references down to 1e-300, ties, and one outcome."""
    rng = np.random.default_rng(0)
    for lam in (1e-6, 1e-3, 1.0, 1e3, 1e6):
        for m in (1, 2, 7, 150):
            reference = 10.0 ** -np.linspace(0, 300, m)
            rewards = rng.uniform(-1, 1, (8, 2, m)) * 10.0 ** rng.uniform(-3, 3, (8, 1, 1))
            rewards[0] = rewards[0, :, :1]
            rewards[1, :, : m // 2 + 1] = 1.0
            for q in (reference, reference[::-1], np.ones(m), rng.random(m)):
                yield RLHFGame(rewards, [1.0, 2.0], q / q.sum(), FAMILIES[name](lam))


@EVERY
def test_machine_code_agrees_with_numpy_at_the_edges(name, plain):
    for game in edge_games(name):
        fast, slow = solve(game), plain(solve, game)
        bound = 1e-12 * scale(game)
        assert np.all(fast.dual_gap <= bound) and np.all(slow.dual_gap <= bound)
        np.testing.assert_allclose(fast.value, slow.value, rtol=0, atol=bound.max())
        np.testing.assert_allclose(fast.policy, slow.policy, rtol=1e-9, atol=1e-13)


@EVERY
def test_one_large_game_agrees_with_numpy(name, plain):
    rng = np.random.default_rng(1)
    m = 3 * 10**5
    game = RLHFGame(rng.random((2, m)), [3.0, 2.0], np.full(m, 1 / m), FAMILIES[name](0.05))
    fast, slow = solve(game), plain(solve, game)
    assert fast.dual_gap <= 1e-12 and slow.dual_gap <= 1e-12
    np.testing.assert_allclose(fast.policy, slow.policy, rtol=1e-11, atol=1e-12 / m)


@EVERY
@pytest.mark.parametrize("lam", [1e-3, 1.0, 100.0])
def test_large_uneven_games_agree_with_numpy(name, lam, plain):
    """The sample may miss what decides: a best outcome alone, or a few heavy ones."""
    rng = np.random.default_rng(3)
    m = newton.MANY + 4465
    reference = 10.0 ** -rng.uniform(0, 12, (2, m))
    reference[1, 7] = reference[1].sum()  # half of all mass on one outcome
    reference /= reference.sum(axis=-1, keepdims=True)
    game = RLHFGame(rng.random((2, 2, m)), [3.0, 2.0], reference, FAMILIES[name](lam))
    fast, slow = solve(game), plain(solve, game)
    assert np.all(fast.dual_gap <= 1e-12 * scale(game))
    np.testing.assert_allclose(fast.policy, slow.policy, rtol=1e-10, atol=1e-18)
    np.testing.assert_allclose(fast.multiplier, slow.multiplier, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [100, newton.SAMPLE])
def test_passes_of_machine_code_are_those_of_numpy(size, plain):
    rng = np.random.default_rng(4)
    rows, weights, base = rng.random((3, 2, size))
    base[:, ::3] = 0.0

    def passes():
        turned, weighed = rows.copy(), rows.copy()
        newton.turn(rows, rows.max(axis=-1, keepdims=True), 2.5, turned)
        mass = newton.weigh(weighed, weights)
        shared = newton.weigh(rows.copy(), np.broadcast_to(weights[:1], rows.shape))
        return turned, weighed, mass, shared, *newton.sums(rows, weights, base + (base == 0))

    for fast, slow in zip(passes(), plain(passes), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12)
    first, *others = newton.sums(np.where(base > 0, rows, 0.0), weights, base)
    np.testing.assert_allclose(first, (rows * weights * (base > 0)).sum(axis=-1)[:, None])
    assert np.isfinite(others).all()


@pytest.mark.parametrize("e", [*VECTOR, -3.3, 1.7])
def test_roots_of_the_compiled_equations(e):
    """Each loop by itself: sum a u^e is 1 at the root that it returns."""
    rng = np.random.default_rng(2)
    offsets, weights = rng.random((4, 5000)), rng.random((4, 5000)) / 2000
    offsets[:, 0] = 0.0
    low, high = np.full(4, 1e-6), np.full(4, 1e6)
    root, count = np.full(4, 1.0), np.zeros(4)
    machine_code().roots(offsets, weights, e, 0.0, root, low, high, count)
    base = np.maximum(root[:, None] + np.where(e < 0, 1, -1) * offsets, 0.0)
    np.testing.assert_allclose((weights * base**e).sum(axis=-1), 1.0, rtol=1e-12)
    assert np.all((count > 1) & (count < 60))


@pytest.mark.parametrize("e", [*VECTOR, -3.3, 1.7])
def test_short_rows_are_solved_at_once(e, plain):
    """From the offsets alone: the terms are a u^e at the root, their sum is 1, bounds hold it."""
    rng = np.random.default_rng(5)
    offsets, weights = rng.random((3, 100)), rng.random((3, 100)) + 1e-300
    offsets[:, 3], weights[2] = 0.0, 10.0 ** -rng.uniform(0, 250, 100)
    weights /= weights.sum(axis=-1, keepdims=True)
    root, terms, total, count = newton.whole(offsets, weights, e)
    base = np.maximum(root + np.where(e < 0, 1, -1) * offsets, 0.0)
    np.testing.assert_allclose(terms, weights * base**e, rtol=1e-12)
    np.testing.assert_allclose(total, terms.sum(axis=-1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)
    assert np.all((count >= 1) & (count < 60)) and count.dtype.kind == "i"
    shared = newton.whole(offsets, np.broadcast_to(weights[:1], offsets.shape), e)
    np.testing.assert_array_equal(shared[1][0], terms[0])
    assert plain(newton.whole, offsets, weights, e) is None
    long = np.ones((1, newton.SHORT + 1))
    assert newton.whole(long, long, e) is None


@EVERY
def test_rewards_may_lie_in_memory_in_any_order(name):
    """Read-only arrays, as pandas hands them out, are not copied: their order comes through."""
    rng = np.random.default_rng(6)
    rewards, reference = rng.random((6, 1, 5)), rng.dirichlet(np.ones(5), 6)
    columns = np.asfortranarray(rewards), np.asfortranarray(reference)
    for array in columns:
        array.flags.writeable = False
    divergence = FAMILIES[name](0.5)
    game, plainly = (
        RLHFGame(rows, [1.0], q, divergence) for rows, q in [columns, (rewards, reference)]
    )
    assert not game.scores().flags.c_contiguous
    np.testing.assert_array_equal(sw_max(game), sw_max(plainly))
    np.testing.assert_array_equal(solve(game).policy, solve(plainly).policy)


@EVERY
@pytest.mark.parametrize("m", [5, newton.SHORT + 1])
def test_what_rounding_leaves_over_goes_to_the_best_outcomes_alone(name, m, plain):
    """Outcomes so bad that their mass is 0 get none of it, with machine code and without."""
    rewards, reference = np.zeros((1, m)), np.full(m, 1.0)
    rewards[0, [1, 3]], reference[[1, 3]] = 1.0, 1e-300
    game = RLHFGame(rewards, [1.0], reference / reference.sum(), FAMILIES[name](1e-4))
    bound = 1e-12 * scale(game)
    for solution in (solve(game), plain(solve, game)):
        assert solution.dual_gap <= bound
        assert solution.value == pytest.approx(solve(game).value, rel=0, abs=bound)


def test_without_numba_one_message_and_the_same_numbers(monkeypatch, caplog):
    game = RLHFGame([[1.0, 0.0, 0.3]], [2.0], [0.2, 0.3, 0.5], FAMILIES["reverse KL"](0.3))
    fast = sw_max(game)
    monkeypatch.setitem(sys.modules, "mechanism.core.newton.compiled", None)
    monkeypatch.delattr(newton, "compiled", raising=False)
    newton.machine_code.cache_clear()
    with caplog.at_level(logging.WARNING, "mechanism"):
        slow = [sw_max(game), sw_max(game)]
    newton.machine_code.cache_clear()
    assert len(caplog.records) == 1 and "mechanism[fast]" in caplog.text
    np.testing.assert_allclose(slow, [fast, fast], rtol=1e-14)


def test_the_accelerator_can_be_turned_off(monkeypatch, caplog):
    monkeypatch.setenv("MECHANISM_ACCELERATOR", "off")
    newton.machine_code.cache_clear()
    assert machine_code() is None and not caplog.records
    newton.machine_code.cache_clear()
