"""A user's own f: what is not given is found, and what is wrong is refused."""

import numpy as np
import pytest

from mechanism import KL, ChiSquared, FDivergence, RLHFGame, TotalVariation, solve
from mechanism.core.errors import InvalidInputError
from mechanism.core.samplers import sample_game


def chi(x):
    return (x - 1) ** 2


@pytest.mark.parametrize(
    ("named", "f", "df", "df_inverse"),
    [
        (ChiSquared(0.3), chi, None, None),
        (ChiSquared(0.3), chi, lambda x: 2 * (x - 1), None),
        (ChiSquared(0.3), chi, lambda x: 2 * (x - 1), lambda y: np.maximum(1 + y / 2, 0)),
        (TotalVariation(0.3), lambda x: np.abs(x - 1), None, None),
        (KL(0.3), lambda x: x * np.log(np.maximum(x, 1e-320)), lambda x: 1 + np.log(x), None),
    ],
)
def test_agrees_with_the_named_divergence(named, f, df, df_inverse):
    game = sample_game(np.random.default_rng(0), 3, 6, named, batch=(5,))
    own = FDivergence(f, df, None, df_inverse, 0.3)
    mine = solve(RLHFGame(game.rewards, game.sizes, game.reference, own))
    exact = solve(game)
    scale = np.abs(game.scores()).max(-1) + 0.3
    assert np.all(np.abs(game.welfare(mine.policy) - exact.value) <= 1e-12 * scale)
    assert np.all(mine.dual_gap <= 1e-12 * scale)
    assert own.strictly_convex == named.strictly_convex and own.interior == named.interior


def test_numerical_slopes():
    own = FDivergence(lambda x: x * np.log(x), lam=2.0, interior=True)
    x = np.array([0.2, 1.0, 5.0])
    np.testing.assert_allclose(own.df(x), 2 * (1 + np.log(x)), rtol=1e-8)
    np.testing.assert_allclose(own.d2f(x), 2 / x, rtol=1e-4)
    np.testing.assert_allclose(own.df_inverse(own.df(x)), x, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"f": lambda x: x**2}, r"f\(1\)"),
        ({"f": lambda x: -((x - 1) ** 2)}, "convex"),
        ({"f": lambda x: np.sqrt(x - 1)}, "finite"),
        ({"f": chi, "df": lambda x: x - 1}, "slope of f"),
        ({"f": chi, "df_inverse": lambda y: 2 + y}, "invert"),
        ({"f": chi, "lam": -1.0}, "lam"),
    ],
)
def test_wrong_functions_are_refused(arguments, word):
    with pytest.raises(InvalidInputError, match=word):
        FDivergence(**arguments)
