"""Intervals over prompts: replicate by replicate, and how often they cover."""

from dataclasses import replace

import numpy as np
import pytest

from mechanism.tables.candidates import Candidates
from mechanism.tables.curves import curves
from mechanism.tables.support import Support
from tests.tables.sample_tables import FEW, LAM, NAMES, samples, soups


@pytest.mark.parametrize("source", [soups(6), samples(6)], ids=["candidates", "samples"])
def test_intervals_are_those_of_replicates_made_by_hand(source):
    """Each replicate is a source of its own, with its prompts repeated as often as drawn."""
    found = curves(source, LAM, [(5, 5)], seed=8, level=0.8, **FEW)
    draws = np.random.default_rng(8).multinomial(
        source.prompts, np.full(source.prompts, 1 / source.prompts), 20
    )
    made = []
    for counts in draws:
        drawn = np.repeat(np.arange(source.prompts), counts)
        if isinstance(source, Support):
            again = replace(source, rewards=source.rewards[drawn])
        else:
            again = replace(source, rewards=source.rewards[..., drawn], kl=source.kl[:, drawn])
        made.append(curves(again, LAM, [(5, 5)], **FEW | {"replicates": 1}).frame)
    for name in ("valuation", "payment", "utility", "gain"):
        low, high = np.quantile([frame[name] for frame in made], (0.1, 0.9), axis=0)
        np.testing.assert_allclose(found.frame[f"{name}_low"], low, atol=1e-12)
        np.testing.assert_allclose(found.frame[f"{name}_high"], high, atol=1e-12)
    if isinstance(source, Candidates):
        same = np.mean([frame.choice == found.frame.choice for frame in made], axis=0)
        np.testing.assert_allclose(found.frame.stability, same)


def covered(draw, truth):
    """Share of 200 data sets whose 90 % interval for the truthful utility holds the true one."""
    grids = dict(alphas=np.array([1.0, 2.0]), betas=np.array([0.5, 1.0]))
    hits = []
    for seed in range(200):
        rows = curves(draw(seed), LAM, [(5, 5)], replicates=300, level=0.9, **grids).frame
        hits.append(rows.utility_low[0] <= truth <= rows.utility_high[0])
    return np.mean(hits)


def test_candidate_intervals_cover_about_as_often_as_promised():
    """The winner is clear, so that its choice is regular; three binomial standard errors."""
    means = np.array([[0.2, 0.6, 0.8], [0.8, 0.6, 0.3]])

    def draw(seed):
        rng = np.random.default_rng(seed)
        noise = 0.15 * rng.normal(size=(2, 3, 40)) + 0.1 * rng.normal(size=40)
        kl = 0.05 + 0.05 * rng.normal(size=(3, 40))
        return Candidates(("a", "b", "c"), NAMES, means[..., None] + noise, kl, np.abs(kl))

    exact = replace(draw(0), rewards=means[..., None], kl=np.full((3, 1), 0.05))
    truth = curves(exact, LAM, [(5, 5)], replicates=1).summary().utility[0]
    assert 0.83 <= covered(draw, truth) <= 0.97


def test_sample_intervals_cover_about_as_often_as_promised():
    """The target is the expectation at this number of samples: their bias is not covered."""
    ends = np.zeros(2), np.ones(2)

    def draw(seed, prompts=40):
        rng = np.random.default_rng(seed)
        shape = rng.uniform(1, 4, size=(prompts, 2, 1))
        return Support(NAMES, rng.beta(shape, 2.0, size=(prompts, 2, 16)), *ends)

    truth = curves(draw(99, 40_000), LAM, [(5, 5)], np.array(0).item(), np.array([1.0, 2.0]),
                   np.array([0.5, 1.0]), 1).summary().utility[0]  # fmt: skip
    assert 0.83 <= covered(draw, truth) <= 0.97
