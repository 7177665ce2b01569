"""Ball-arithmetic certificates agree with the floats, and can fail."""

import numpy as np
import pytest

from mechanism import KL, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.certificates import affine_maximizer, misreport


@pytest.mark.parametrize("name", misreport.INSTANCES)
def test_certified_gain_holds_the_float(name):
    instance = misreport.INSTANCES[name]
    rewards = np.array(instance.rewards, dtype=float)
    q = np.array(instance.reference, dtype=float)
    game = RLHFGame(rewards, instance.sizes, q, KL(1.0), name)
    report = game.with_report(0, reward=np.array(instance.report, dtype=float))
    gain = 2 * (game.valuations(sw_max(report)) - game.valuations(sw_max(game)))[0]
    low, high = misreport.certified_gains()[name]
    assert 0 < low <= high and gain == pytest.approx(low, abs=1e-13)


def test_certified_grid_agrees_with_the_floats():
    certificate = affine_maximizer.certify_dsic_grid(steps=6, largest_size=4)
    rewards = np.array([affine_maximizer.TRUTH, affine_maximizer.OTHER], dtype=float)
    q = np.array(affine_maximizer.REFERENCE, dtype=float)
    game = RLHFGame(rewards, affine_maximizer.SIZES, q, KL(1.0), "summation")
    truth = game.utilities(sw_max(game), affine_maximizer_payments(game))[0]
    rows = np.array(list(affine_maximizer._grid(6)), dtype=float)
    margins = []
    for size in (1.0, 2.0, 3.0, 4.0):
        reported = game.with_report(0, reward=rows, size=size)
        gained = game.utilities(sw_max(reported), affine_maximizer_payments(reported))[:, 0]
        margins.extend(truth - gained)
    assert certificate.reports == len(margins) and certificate.ties == 1
    assert certificate.least == pytest.approx(sorted(margins)[1], abs=1e-12)


def test_a_wrong_payment_is_not_certified(monkeypatch):
    """A rebate of a tenth for each member reported makes larger sizes pay."""
    right, ball = affine_maximizer._utility, affine_maximizer._ball
    rebated = lambda scores: right(scores) + ball(sum(scores) / 10)  # noqa: E731
    monkeypatch.setattr(affine_maximizer, "_utility", rebated)
    assert affine_maximizer.certify_dsic_grid(steps=6, largest_size=4).least < 0
