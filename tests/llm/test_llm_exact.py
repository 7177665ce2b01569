"""Trained tiny runs against exact answers: samples, payments, the gap of training."""

import numpy as np
import pytest

from mechanism.llm.config import (
    REWARDS,
)
from mechanism.llm.runs import exact, record
from mechanism.tables import candidates, verdicts
from mechanism.tables.candidates import SIZES


def test_samples_agree_with_the_exact_distribution(short_run):
    run = record.read(short_run[0] / "record")
    off = exact.deviations(run.samples, run.exact, run.settings.rewards)
    assert off["z"].abs().max() < 4  # standard errors of drawing, 15 comparisons
    games = exact.exact_games(run.exact, run.settings.rewards, (3, 7), 0.3)
    assert np.allclose(games.reference.sum(-1), 1, atol=1e-9)


def test_wrong_log_probabilities_are_noticed(short_run):
    run = record.read(short_run[0] / "record")
    broken = run.samples.assign(log_prob=run.samples["log_prob"] - 1.0)
    off = exact.deviations(broken, run.exact, run.settings.rewards)
    assert off["z"].abs().max() > 4


@pytest.mark.parametrize("game", REWARDS)
def test_payments_from_samples_agree_with_the_exact_ones(game):
    run = record.read(record.RECORDED / f"tiny_{game}_trained")
    names, lam = run.settings.rewards, run.settings.lam
    found = exact.mechanism_deviations(run.samples, run.exact, names, lam)
    assert len(found) == 18 and found["z"].abs().max() < 4
    for column in ("sampled", "exact"):
        table = found.pivot(index=["sizes", "group"], columns="quantity", values=column)
        assert np.allclose(table.valuation - table.payment, table.utility)
        assert (table > -1e-12).all(axis=None)
    one = candidates.from_table(run.samples, names).soups()
    rows = one.rewards.mean(-1), 0.1 * np.array(SIZES[0]), one.kl.mean(-1)
    welfare = rows[1] @ rows[0] - lam * rows[2]
    others = welfare - rows[1][0] * rows[0][0]
    slow = others.max() - others[welfare.argmax()]
    assert found.sampled[1] == pytest.approx(slow)
    for broken in (
        run.samples.assign(log_prob=run.samples.log_prob_initial),
        run.samples.assign(**{f"reward_{names[0]}": run.samples[f"reward_{names[0]}"] * 0.8}),
    ):
        off = exact.mechanism_deviations(broken, run.exact, names, lam)
        assert off["z"].abs().max() > 4


def test_the_gap_of_training_is_lam_times_the_divergence_from_the_optimum(short_run):
    run = record.read(short_run[0] / "record")
    gap = exact.training_gap(run.exact, run.settings.rewards, run.settings.lam)
    assert np.allclose(gap["gap"], run.settings.lam * gap["kl"], atol=1e-9)
    assert (gap["gap"] > 0).all()


def test_swap_and_identical_groups(short_run):
    run = record.read(short_run[0] / "record")
    found = candidates.from_table(run.samples, run.settings.rewards).soups()
    for sizes in candidates.SIZES:
        assert verdicts.swap_error(found, sizes, run.settings.lam) < 1e-12
        assert np.abs(verdicts.identical_groups(found, sizes)).max() < 1e-12


def test_the_balance_of_a_training_is_that_of_slow_sums(short_run):
    run = record.read(short_run[0] / "record")
    found = candidates.from_table(run.samples, run.settings.rewards)
    got = verdicts.balance(found, "soup 1.00", "harmless", 0.3)
    nets = []
    for prompt in sorted(set(run.samples.prompt)):
        rows = run.samples[run.samples.prompt == prompt]
        own, first = rows[rows.candidate == "soup 1.00"], rows[rows.candidate == "initial"]
        ratio = own.log_prob - own.log_prob_initial
        won = own.reward_harmless.mean() - first.reward_harmless.mean()
        nets.append(won - 0.3 * ratio.mean())
    assert got.net == pytest.approx(np.mean(nets))
    assert got.net_se == pytest.approx(np.std(nets, ddof=1) / np.sqrt(len(nets)))
    assert got.net == pytest.approx(got.won - 0.3 * got.kl)
