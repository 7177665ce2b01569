"""Sample tables to games: by-hand means, known KL, and errors that name the fault."""

import numpy as np
import pandas as pd
import pytest

from mechanism import KL, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.core.sw_max import solve
from mechanism.tables import candidates, support
from mechanism.tables.candidates import SIZE_SCALE, SIZES

REWARDS = ("harmless", "humor")
NAMES = ("initial", "soup 0.00", "soup 0.50", "soup 1.00", "random")


def sample_table(seed=0, prompts=6, samples=5, names=NAMES):
    """Candidate c draws outcomes from its own categorical model; log-probabilities are exact."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(names), 7))
    logits[0] = 0
    models = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    parts = []
    for name, model in zip(names, models, strict=True):
        drawn = rng.choice(7, size=prompts * samples, p=model)
        rows = {
            "candidate": name,
            "prompt": np.repeat(np.arange(prompts), samples),
            "sample": np.tile(np.arange(samples), prompts),
            "text": "-",
            "tokens": 1,
            "ended": True,
            "log_prob": np.log(model)[drawn],
            "log_prob_initial": np.log(models[0])[drawn],
        }
        for reward in (*REWARDS, "random"):
            rows[f"reward_{reward}"] = rng.uniform(size=len(drawn))
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True), models


def test_the_factory_has_the_documented_columns():
    assert tuple(sample_table()[0].columns[: len(candidates.COLUMNS)]) == candidates.COLUMNS


def test_means_and_errors_are_those_of_a_plain_loop():
    table, _ = sample_table(samples=4)
    found = candidates.from_table(table.sample(frac=1, random_state=1), REWARDS)
    assert set(found.names) == set(NAMES)
    frame = found.frame().set_index("candidate")
    for name in NAMES:
        rows = table[table.candidate == name]
        ratio = rows.log_prob - rows.log_prob_initial
        columns = {r: rows[f"reward_{r}"] for r in REWARDS} | {"kl": ratio}
        for label, column in columns.items():
            per_prompt = np.array([column[rows.prompt == p].mean() for p in range(6)])
            assert frame.loc[name, label] == pytest.approx(per_prompt.mean(), abs=1e-14)
            error = per_prompt.std(ddof=1) / np.sqrt(6)
            assert frame.loc[name, f"{label}_se"] == pytest.approx(error, abs=1e-14)


def test_both_kl_estimates_meet_the_exact_kl():
    """Within four standard errors; k3 is never negative and, near the initial model, tighter."""
    table, models = sample_table(seed=3, prompts=200, samples=40)
    found = candidates.from_table(table, REWARDS)
    frame = found.frame()
    exact = (models * np.log(models / models[0])).sum(axis=1)
    assert frame.kl[0] == 0 and frame.kl_k3[0] == 0
    for name in ("kl", "kl_k3"):
        off = np.abs(frame[name] - exact)[1:] / frame[f"{name}_se"][1:]
        assert off.max() < 4
    assert found.kl_k3.min() >= 0
    assert (np.abs(frame.ratio - 1)[1:] < 4 * frame.ratio_se[1:]).all()
    swapped = table.rename(columns={"log_prob": "log_prob_initial", "log_prob_initial": "log_prob"})
    wrong = candidates.from_table(swapped, REWARDS).frame()  # other models' log-probabilities
    assert (np.abs(wrong.ratio - 1)[1:] > 4 * wrong.ratio_se[1:]).all()
    assert found.kl.min() < 0  # on some prompt: an unbiased mean log ratio is not cut off


def test_a_negative_kl_estimate_enters_the_game_as_it_is():
    table, _ = sample_table()
    table["log_prob"] = table["log_prob_initial"] - 0.01
    game = candidates.from_table(table, REWARDS).game((3, 7), 0.5)
    np.testing.assert_allclose(game.divergences, -0.005, atol=1e-15)
    assert affine_maximizer_payments(game).min() >= 0
    assert game.utilities(sw_max(game), affine_maximizer_payments(game)).min() >= 0


def test_the_game_is_normalised_scaled_and_priced_in_reward_units():
    found = candidates.from_table(sample_table()[0], REWARDS).soups()
    assert found.names == ("soup 0.00", "soup 0.50", "soup 1.00")
    for sizes in SIZES:
        game = found.game(sizes, 0.25)
        np.testing.assert_allclose(game.values.min(axis=-1), 0, atol=0)
        np.testing.assert_allclose(game.values.max(axis=-1), 1, atol=0)
        np.testing.assert_allclose(game.sizes, SIZE_SCALE * np.array(sizes))
        np.testing.assert_allclose(game.divergences, 0.25 * found.kl.mean(axis=-1), atol=1e-15)
    low, high = found.scale
    raw = found.rewards.mean(axis=-1)
    expected = (raw - low[:, None]) / (high - low)[:, None]
    np.testing.assert_allclose(found.values, expected, atol=1e-15)


def test_normalisation_is_over_the_chosen_candidates_alone():
    found = candidates.from_table(sample_table(seed=4)[0], REWARDS)
    part = found.only(["soup 1.00", "initial"])
    assert part.names == ("soup 1.00", "initial")
    assert sorted(part.values[0]) == [0, 1]
    with pytest.raises(InvalidInputError, match=r"nobody.*choose from initial"):
        found.only(["nobody"])
    with pytest.raises(InvalidInputError, match="lam = -1"):
        found.game((3, 7), -1)


def broken(table, fault):
    if fault == "missing":
        return table.drop(columns=["log_prob", "reward_humor"])
    if fault == "empty":
        return table.iloc[:0]
    table = table.copy()
    if fault == "nan":
        table.loc[7, "reward_humor"] = np.nan
    if fault == "positive":
        table.loc[3, "log_prob"] = 0.5
    if fault == "twice":
        table = pd.concat([table, table.iloc[[2]]], ignore_index=True)
    if fault == "prompts":
        table = table[(table.candidate != "soup 0.50") | (table.prompt != 4)]
    return table


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", "log_prob, reward_humor: columns are missing"),
        ("empty", "0 rows"),
        ("nan", r"reward_humor\[7\] = nan: must be finite"),
        ("positive", r"log_prob\[3\] = 0.5: the log-probability"),
        ("twice", r"\('initial', .*0.*, .*2.*\): comes twice"),
        ("prompts", r"soup 0.50: has no samples on prompts \[4\]"),
    ],
)
def test_faulty_tables_are_named(fault, message):
    with pytest.raises(InvalidInputError, match=message):
        candidates.from_table(broken(sample_table()[0], fault), REWARDS)


def test_the_support_is_the_initial_models_samples_in_order():
    table, _ = sample_table()
    found = support.from_table(table.sample(frac=1, random_state=2), REWARDS)
    rows = table[table.candidate == "initial"]
    assert found.rewards.shape == (6, 2, 5)
    one = rows[(rows.prompt == 4) & (rows["sample"] == 3)].iloc[0]
    assert found.rewards[4, :, 3].tolist() == [one.reward_harmless, one.reward_humor]
    assert (found.values.min(axis=(0, 2)), found.values.max(axis=(0, 2))) == (
        pytest.approx([0, 0]), pytest.approx([1, 1])
    )  # fmt: skip
    scale = candidates.from_table(table, REWARDS).scale
    rescaled = support.from_table(table, REWARDS, scale)
    back = rescaled.values * (scale[1] - scale[0])[:, None] + scale[0][:, None]
    np.testing.assert_allclose(back, found.rewards, atol=1e-14)


def test_support_errors_are_named():
    table, _ = sample_table()
    with pytest.raises(InvalidInputError, match=r"choose from initial, soup 0\.00"):
        support.from_table(table, REWARDS, candidate="soup")
    with pytest.raises(InvalidInputError, match="prompts have 4 to 5 samples"):
        support.from_table(table.drop(index=0), REWARDS)
    flat = table.assign(reward_humor=0.5)
    with pytest.raises(InvalidInputError, match="no scale"):
        support.from_table(flat, REWARDS)


def test_no_report_gains_more_than_the_dual_gap():
    """Random rewards and sizes against the bound; with half the payments it is broken."""
    found = support.from_table(sample_table(prompts=4, samples=12)[0], REWARDS)
    games, rng = found.games((3, 7), 0.1), np.random.default_rng(0)
    bound = solve(games).dual_gap.mean()
    assert 0 <= bound < 1e-12

    def utility(reported, part):
        paid = part * affine_maximizer_payments(reported)
        return games.utilities(sw_max(reported), paid)[..., 0].mean(axis=-1)

    near = games.rewards[:, 0] + 0.2 * rng.normal(size=(500, 1, 12))
    size = games.sizes[0] * rng.uniform(0.2, 3, size=(500, 1))
    reported = games.with_report(0, reward=near, size=size)
    gains = utility(reported, 1.0) - utility(games, 1.0)
    assert gains.max() <= bound + 1e-14
    assert (utility(reported, 0.5) - utility(games, 0.5)).max() > 1e-3


def test_games_on_the_support_have_a_uniform_reference():
    found = support.from_table(sample_table()[0], REWARDS)
    games = found.games((5, 5), 0.3)
    assert games.batch_shape == (6,)
    one = RLHFGame(found.values[2], [0.5, 0.5], np.full(5, 0.2), KL(0.3))
    np.testing.assert_allclose(sw_max(games)[2], sw_max(one), atol=1e-15)
