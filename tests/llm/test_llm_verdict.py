"""The verdict on the trained models: computed from the records, and able to fail."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import REWARDS
from mechanism.llm.runs import outcomes, record
from mechanism.llm.studies.gpu_record import OUTCOMES
from mechanism.tables import objective
from mechanism.tables.candidates import INITIAL, standard_error
from tests.llm.nets_by_loops import nets_of


@pytest.fixture(scope="module")
def table():
    return outcomes.outcomes()


def test_every_reward_is_above_the_initial_model(table):
    """Two standard errors in each seed, three over the seeds."""
    found = outcomes.verdict(table, "reward")
    assert found.models == 4 and found.holds and found.words == "yes"
    assert outcomes.verdict(table, outcomes.SW_MAX).holds
    released = outcomes.verdict(table, "released soup")
    assert released.models == 6 and released.holds


def test_the_runs_by_rloo_fail_the_same_verdict(monkeypatch):
    """The verdict can come out the other way: on real runs, with nothing else changed.

    They drew 4 completions a prompt of the initial model, just enough for the gains.
    """
    monkeypatch.setattr(outcomes, "seeds_of", lambda game: (outcomes.rloo_run(game),))
    found = outcomes.verdict(outcomes.outcomes(), "reward")
    assert not found.holds and found.words == "no" and found.each < 0


def lines(*errors_by_seed, kind="reward"):
    rows = [
        {"game": "g", "model": "m", "kind": kind, "seed": seed, "errors": errors, "share": 0.5}
        for seed, errors in errors_by_seed
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ((("0", 2.1), ("1", 2.2), ("0 + 1", 3.0)), True),
        ((("0", 2.1), ("1", 1.9), ("0 + 1", 3.5)), False),  # one seed alone is below 2
        ((("0", 2.1), ("1", 2.2), ("0 + 1", 2.9)), False),  # pooled, below 3
        ((("0", 2.5),), False),  # one seed, and that is all seeds
        ((("0", 3.0),), True),
    ],
)
def test_a_verdict_asks_for_two_errors_in_each_seed_and_three_over_seeds(rows, holds):
    assert outcomes.verdict(lines(*rows), "reward").holds == holds


def test_outcomes_are_those_that_the_run_recorded(monkeypatch):
    """The run wrote its own table; rewards and SW-Max models are computed again from samples.

    One seed was trained again elsewhere; here the run's own record of it takes its place.
    """
    counted, (coarse,) = outcomes.seeds_of, record.RECORDED.glob("small_*_coarse_seed*")
    old = record.read(coarse)
    again = old.settings.game, old.settings.seed

    def of_the_run(game):
        return [old if (game, r.settings.seed) == again else r for r in counted(game)]

    monkeypatch.setattr(outcomes, "seeds_of", of_the_run)
    table = outcomes.outcomes()
    written = pd.read_csv(OUTCOMES / "outcomes.csv").rename(columns={"trained for": "model"})
    last = written.sort_values("rounds").groupby(["game", "seed", "model"]).tail(1)
    single = table[~table.seed.str.contains("+", regex=False)].astype({"seed": int})
    both = single.merge(last, on=["game", "seed", "model"], suffixes=("", "_written"))
    assert len(both) == 15
    for column in ("won", "kl", "net", "net_se", "possible", "share", "share_se"):
        assert np.allclose(both[column], both[f"{column}_written"], rtol=1e-4)


def test_seeds_are_pooled_prompt_by_prompt(table):
    """Slow oracle: net of each prompt by loops over the sample tables, then mean and error."""
    runs = outcomes.seeds_of("harmless_humor")
    expected = np.mean([nets_of(run, "humor", "soup 0.00") for run in runs], axis=0)
    row = table[(table.model == "humor") & (table.seed == "0 + 1 + 2")].iloc[0]
    assert row.net == pytest.approx(expected.mean()) and len(expected) == 64
    assert row.net_se == pytest.approx(standard_error(expected))


def test_only_runs_on_the_same_prompts_are_pooled():
    one = objective.Gains(np.ones(3), np.zeros(3), np.ones(3), 0.1)
    for other in (replace(one, lam=0.2), objective.Gains(*[np.ones(4)] * 3, 0.1)):
        with pytest.raises(InvalidInputError, match="must be the same"):
            objective.pooled([one, other])


def test_a_released_soup_is_judged_on_other_prompts_than_it_is_chosen_on():
    """Of soups that differ by noise alone none may look better than the mean of them all."""
    rng, prompts = np.random.default_rng(0), 2000
    names = [INITIAL, *(f"soup {k / 10:.2f}" for k in range(11))]
    counts = {name: 4 if name == INITIAL else 1 for name in names}
    table = pd.DataFrame(
        [(n, p, s) for n in names for p in range(prompts) for s in range(counts[n])],
        columns=["candidate", "prompt", "sample"],
    ).assign(log_prob=-1.0, log_prob_initial=-1.0)
    table["reward_a"] = rng.normal(size=len(table))
    honest = objective.released_gains(table, ["a"], np.ones(1), 0.1).summary()
    means = table.groupby("candidate").reward_a.mean()
    flattered = means.drop(INITIAL).max() - means[INITIAL]
    assert abs(honest.net) < 3 * honest.net_se and flattered > honest.net


def test_what_was_not_run_is_said():
    told = outcomes.not_run()
    assert "faithful_summary, SW-Max 3, 7" in told and "harmless_humor, SW-Max 7, 3" in told
    assert not any("harmless_humor, seed" in line for line in told)
    for game in REWARDS:
        assert f"{game}, seed 0" not in told


def test_an_answer_is_shown_with_the_rewards_of_its_row():
    run = outcomes.seeds_of("harmless_humor")[0]
    shown = outcomes.answers(run, 3, [INITIAL, "soup 1.00"], sample=1)
    row = run.samples.query("candidate == 'soup 1.00' and prompt == 3 and sample == 1").iloc[0]
    assert shown.loc["soup 1.00", "answer"] == row.text != ""
    assert shown.loc["soup 1.00", "humor"] == row.reward_humor
