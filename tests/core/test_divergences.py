"""Generators, slopes, curvatures, inverses, values: each against its definition."""

import mpmath as mp
import numpy as np
import pytest

from mechanism import (
    KL,
    Alpha,
    ChiSquared,
    FDivergence,
    JensenShannon,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.attack.games import FAMILIES
from mechanism.core.errors import InvalidInputError
from mechanism.oracles import _generator

RATIOS = np.array([1e-8, 1e-3, 0.2, 0.7, 1.0, 1.3, 4.0, 50.0])
SMOOTH = RATIOS[RATIOS != 1.0]


def test_generator_agrees_with_50_digits(divergence_class):
    divergence = divergence_class(0.7)
    generator = _generator(divergence)[0]
    with mp.workdps(50):
        exact = [0.7 * float(generator(mp.mpf(float(x)))) for x in RATIOS]
    np.testing.assert_allclose(divergence.f(RATIOS), exact, rtol=1e-12, atol=1e-15)


def test_f_of_one_is_zero(divergence_class):
    assert divergence_class(3.0).f(1.0) == pytest.approx(0.0, abs=1e-15)


def test_slope_is_the_derivative_of_f(divergence_class):
    divergence = divergence_class(0.7)
    generator = _generator(divergence)[0]
    with mp.workdps(50):
        exact = [0.7 * float(mp.diff(generator, mp.mpf(float(x)))) for x in SMOOTH]
    np.testing.assert_allclose(divergence.df(SMOOTH), exact, rtol=1e-9)


def test_curvature_is_the_derivative_of_the_slope(divergence_class):
    divergence = divergence_class(0.7)
    generator = _generator(divergence)[0]
    with mp.workdps(50):
        exact = [0.7 * float(mp.diff(generator, mp.mpf(float(x)), 2)) for x in SMOOTH]
    np.testing.assert_allclose(divergence.d2f(SMOOTH), exact, rtol=1e-9, atol=1e-12)


def test_inverse_slope_inverts(divergence_class):
    divergence = divergence_class(0.7)
    if not divergence.strictly_convex:
        np.testing.assert_array_equal(
            divergence.df_inverse([-0.8, -0.6, 0.6, 0.8]), [0, 1, 1, np.inf]
        )
        return
    x = RATIOS[(RATIOS >= 1e-3) & (RATIOS <= 4.0)]
    np.testing.assert_allclose(divergence.df_inverse(divergence.df(x)), x, rtol=1e-9)


def test_inverse_slope_at_the_ends(divergence_class):
    divergence = divergence_class(0.7)
    if not divergence.interior:
        assert divergence.df_inverse(-1e9) == 0.0
    if np.isfinite(divergence.slope_limit):
        assert divergence.df_inverse(0.7 * divergence.slope_limit + 0.1) == np.inf


def test_conjugate_is_the_supremum(divergence_class):
    divergence = divergence_class(1.0)
    grid = np.concatenate([[0.0], np.logspace(-9, 6, 60001)])
    slopes = np.array([-3.0, -1.2, -0.4, 0.05, 0.4])
    slopes = slopes[slopes < divergence.slope_limit - 0.05]
    with np.errstate(all="ignore"):
        brute = (slopes[:, None] * grid - divergence.f(grid)).max(axis=1)
    with np.errstate(all="ignore"):
        exact = divergence._conjugate(slopes, divergence.slope_limit - slopes)
    np.testing.assert_allclose(exact, brute, rtol=1e-6, atol=1e-6)
    assert np.all(exact >= brute - 1e-12)


def test_value_is_the_mean_of_f(divergence_class):
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), size=(2, 4))
    divergence = divergence_class(0.3)
    np.testing.assert_allclose(
        divergence.value(p, q), (q * divergence.f(p / q)).sum(-1), rtol=1e-10
    )
    assert np.all(divergence.value(p, q) > 0)
    np.testing.assert_allclose(divergence.value(q, q), 0.0, atol=1e-15)


def test_value_on_the_boundary(divergence_class):
    divergence = divergence_class(1.0)
    value = divergence.value([1.0, 0.0], [0.5, 0.5])
    f_at_zero = float(divergence.f(0.0))
    assert value == pytest.approx(0.5 * float(divergence.f(2.0)) + 0.5 * f_at_zero)
    assert value == np.inf or np.isfinite(value)


def test_overflow_is_infinite_without_a_warning():
    assert Alpha(3.0, 1e4).value([1.0, 0.0], [1e-154, 1.0]) == np.inf


def test_values_at_tiny_references_have_no_nan(divergence_class):
    divergence = divergence_class(1.0)
    value = divergence.value([[0.5, 0.5], [1e-300, 1.0]], [1e-300, 1.0])
    assert not np.isnan(value).any()


def test_families_meet():
    x = np.linspace(0.1, 3, 7)
    p, q = np.array([0.2, 0.8]), np.array([0.6, 0.4])
    assert Alpha(1, 0.4).value(p, q) == pytest.approx(KL(0.4).value(p, q))
    np.testing.assert_allclose(Alpha(2, 0.4).f(x), ChiSquared(0.2).f(x))
    np.testing.assert_allclose(Alpha(0.5, 0.4).f(x), SquaredHellinger(0.8).f(x))
    assert Alpha(1.0000001, 1).value(p, q) == pytest.approx(KL(1).value(p, q), rel=1e-6)
    middle = (p + q) / 2
    both = KL(1).value(p, middle) + KL(1).value(q, middle)
    assert JensenShannon(1).value(p, q) == pytest.approx(both)


@pytest.mark.parametrize("lam", [0.0, -1.0, np.nan, np.inf, "much", [1.0, 2.0]])
def test_strength_must_be_positive(lam):
    with pytest.raises(InvalidInputError, match="lam"):
        KL(lam)


def test_alpha_must_be_finite():
    with pytest.raises(InvalidInputError, match="alpha"):
        Alpha(np.nan, 1.0)


def test_flags():
    assert KL(1).interior and KL(1).strictly_convex and not KL(1).strongly_convex
    assert ChiSquared(1).strongly_convex and not ChiSquared(1).interior
    assert ChiSquared(0.5).modulus() == 1.0
    assert KL(2.0).modulus(4.0) == pytest.approx(0.5)
    assert not TotalVariation(1).strictly_convex
    assert Alpha(0.9, 1).interior and not Alpha(1.1, 1).interior
    assert repr(KL(0.2)) == "KL(lam=0.2)" and KL(0.2) == KL(0.2) != ChiSquared(0.2)


@pytest.mark.parametrize("alpha", [-2.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 3.0])
def test_steep_is_an_infinite_generator_at_zero(alpha):
    divergence = Alpha(alpha, 0.5)
    assert divergence.steep == bool(np.isinf(divergence.f(0.0)))


def test_steep_of_every_family():
    own = FDivergence(lambda x: -np.log(x), lam=1.0), FDivergence(lambda x: (x - 1) ** 2, lam=1.0)
    for divergence in (*own, *(family(1.0) for family in FAMILIES.values())):
        with np.errstate(all="ignore"):
            assert divergence.steep == bool(np.isinf(divergence._f(np.zeros(()))))
