"""What a group gains by misreporting, rule by rule of payment."""

import numpy as np
import pytest

from mechanism import sw_max
from mechanism.payments import attack as attacks
from mechanism.payments import rules
from mechanism.payments import study as studies
from tests.payments.payment_games import make_game


def test_which_rules_keep_what():
    """Search of 80 reports a group: exact rules lose nothing, the control and known samples do."""
    game = make_game(outcomes=40, prompts=4, seed=3)
    direction = rules.drawn_outcomes(game, 24)
    found = {
        name: attacks.attack(game, rule, name, direction, budget=80)
        for name, rule in rules.payment_rules(game, 24).items()
    }
    gains = {name: float(one.gain.max()) for name, one in found.items()}
    for name in ("leave-one-out", "heuristic 2", "log-partition, pivot only"):
        assert gains[name] <= 1e-12, name
    for name in ("half of it (control)", "log-partition", "released model", "heuristic 1"):
        assert gains[name] > 1e-3, name
    assert found["heuristic 2"].payment.min() < -1e-3
    for name in ("leave-one-out", "log-partition", "released model", "heuristic 1"):
        assert found[name].payment.min() >= -1e-9, name
    best = found["half of it (control)"].responses[0]
    reported = np.asarray(studies.exact_payments(best.report)) / 2
    after = best.game.utilities(sw_max(best.report), reported).mean(axis=0)[0]
    assert after - found["half of it (control)"].utility[0] == pytest.approx(best.gain)


def test_known_samples_are_worth_less_in_expectation():
    """The same rule, averaged over 40 draws, leaves a tenth of the gain or less."""
    game = make_game(outcomes=40, prompts=4, seed=3)
    direction = rules.drawn_outcomes(game, 24)
    one, many = (
        attacks.attack(game, rules.payment_rules(game, 24, r)["log-partition"], "", direction, 80)
        for r in (1, 40)
    )
    assert many.gain.max() < 0.1 * one.gain.max()
