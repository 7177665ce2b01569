"""What trainers tend to: exact targets against slow gradients; no language model is needed."""

import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mechanism import KL, ReverseKL, RLHFGame, TotalVariation, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.figures.llm.trainers import plot_trainers
from mechanism.llm.models import tiny
from mechanism.llm.studies import trainers
from mechanism.llm.training import targets as trainer_targets
from mechanism.llm.training.rules import RULES, Training
from mechanism.llm.training.targets import compare, target, tree_policy

SIZES = (0.3, 0.7)


NAMES = ("harmless", "humor", "faithful", "summary", "random")


RECORDED = Path(__file__).parents[2] / "results" / "llm" / "trainers" / "outcomes.csv"


def random_policy(rng, requests, spread=1.0):
    """A tree of random next-token choices, multiplied out slowly, one completion at a time."""
    tokens = tiny.enumerate_completions().tokens
    policy = np.ones((requests, len(tokens)))
    for p in range(requests):
        nodes = {}
        for row, path in enumerate(tokens.tolist()):
            for t, token in enumerate(path):
                if 0 in path[:t]:
                    break
                if (key := tuple(path[:t])) not in nodes:
                    logits = spread * rng.normal(size=1 + len(tiny.WORDS))
                    nodes[key] = np.exp(logits) / np.exp(logits).sum()
                policy[p, row] *= nodes[key][token]
    return policy


@pytest.fixture(scope="module")
def game():
    """A game of two requests from a random tree: no language model needed."""
    rewards = tiny.reward_table([tiny.TinyReward(n) for n in NAMES[:2]], tiny.REQUESTS[:2])
    return RLHFGame(rewards, SIZES, random_policy(np.random.default_rng(0), 2), KL(0.1))


def test_planning_with_net_values_is_sw_max(game):
    """Backwards over tokens or at once over texts: the same optimum; the gross plan is worse."""
    scores = game.scores()
    exact = tree_policy(scores, game.reference, KL(0.1), ahead="net")
    np.testing.assert_allclose(exact, sw_max(game), atol=1e-12)
    assert compare(game, exact).gap < 1e-12
    assert compare(game, target("gross", game)).gap > 1e-3
    assert compare(game, target("reverse", game)).gap > compare(game, target("gross", game)).gap


def surrogate_gradient(policy, game, divergence, completion, epsilon=1e-6):
    """Slow oracle: change of each prefix's own objective when its choice tilts to one token.

    Below a prefix everything stays: the expected reward of going on less lam times the divergence
    of this one choice is what a rule with fixed prefixes climbs.
    """
    tokens, scores = tiny.enumerate_completions().tokens, game.scores()[0]
    path = tokens[completion]
    slopes = []
    for t, token in enumerate(path):
        if 0 in path[:t]:
            break
        below = (tokens[:, :t] == path[:t]).all(axis=1)
        choice = [policy[0, below & (tokens[:, t] == k)].sum() for k in range(12)]
        first = [game.reference[0, below & (tokens[:, t] == k)].sum() for k in range(12)]
        value = [
            (policy[0] * scores)[below & (tokens[:, t] == k)].sum() / choice[k] for k in range(12)
        ]
        choice, first = np.array(choice) / sum(choice), np.array(first) / sum(first)
        tilted = choice * np.exp(epsilon * (np.arange(12) == token))
        tilted /= tilted.sum()
        objectives = [p @ value - divergence.value(p, first) for p in (tilted, choice)]
        slopes.append((objectives[0] - objectives[1]) / epsilon)
    return np.array(slopes)


@pytest.mark.parametrize(("name", "divergence"), [("gross", KL(0.1)), ("reverse", ReverseKL(0.1))])
def test_targets_are_stationary_for_their_rule_alone(game, name, divergence):
    aim, best = target(name, game, completions=10**12), sw_max(game)
    for completion in (0, 5, 700, 1463):
        assert abs(surrogate_gradient(aim, game, divergence, completion)).max() < 1e-6
    at_best = [surrogate_gradient(best, game, divergence, k) for k in (5, 700, 1463)]
    assert max(abs(slope).max() for slope in at_best) > 1e-4


def first_token_updates(game, policy, own, groups=40_000, n=4):
    """GRPO's update of the first token's logits, drawn: mean and standard error, 12 each.

    `own` says whether the baseline is the mean of all n texts or of the n - 1 others.
    """
    rng = np.random.default_rng(5)
    first = tiny.enumerate_completions().tokens[:, 0]
    drawn = rng.choice(len(first), (groups, n), p=policy[0] / policy[0].sum())
    rewards = game.scores()[0][drawn]
    baseline = rewards.mean(axis=1, keepdims=True)
    if not own:
        baseline = (n * baseline - rewards) / (n - 1)
    now, before = (np.bincount(first, p[0], minlength=12) for p in (policy, game.reference))
    pull = rewards - baseline - game.divergence.lam * np.log(now / before)[first[drawn]]
    updates = (pull[..., None] * ((first[drawn])[..., None] == np.arange(12))).mean(axis=1)
    updates -= pull.mean(axis=1, keepdims=True) * now
    return updates.mean(axis=0), updates.std(axis=0) / np.sqrt(groups)


def test_a_baseline_with_the_text_itself_raises_lambda(game):
    """Four texts a request: stationary where lambda is 4/3 of what was asked, nowhere else."""
    for aim, own, stands in ((4, True, True), (10**12, True, False), (10**12, False, True)):
        mean, error = first_token_updates(game, target("gross", game, aim), own)
        assert (abs(mean / error).max() < 5) == stands


@pytest.mark.parametrize("name", ["batch", "group"])
def test_dividing_by_the_deviation_erases_the_scale_of_sizes(game, name):
    """Ten times the sizes, the same model; and lambda is worth far less than it says."""
    tenfold = replace(game, sizes=10 * game.sizes)
    larger = replace(game, divergence=KL(1.0)), replace(tenfold, divergence=KL(1.0))
    np.testing.assert_allclose(*(target(name, g) for g in larger), atol=2e-3)
    assert abs(sw_max(larger[0]) - sw_max(larger[1])).max() > 2e-2
    assert compare(larger[0], target(name, larger[0])).effective_lam < 0.5


@pytest.mark.parametrize("name", ["gross", "reverse", "batch", "group"])
def test_few_texts_shrink_what_the_baseline_subtracts_from(game, name):
    """n texts a request do as lambda n / (n - 1) does; the deviation is not shrunk with them."""
    game, twice = replace(game, divergence=KL(1.0)), replace(game, divergence=KL(2.0))
    many, few = target(name, game, 10**9), target(name, game, 2)
    assert TotalVariation(0.5).value(few, many).mean() > 0.01
    np.testing.assert_allclose(few, target(name, twice, 10**9), atol=1e-6)


def test_the_gap_is_lambda_times_the_divergence_from_the_optimum(game):
    """J* - J = lam KL(pi || pi*): welfare and divergence are computed apart and must agree."""
    rng = np.random.default_rng(1)
    for policy in [game.reference, *(random_policy(rng, 2, spread) for spread in (0.1, 2.0))]:
        found = compare(game, policy)
        assert found.gap == pytest.approx(0.1 * found.kl_to_optimum, abs=1e-12)
        assert found.gap > 0
    for lam in (0.05, 0.1, 0.7):
        at = sw_max(replace(game, divergence=KL(lam)))
        assert compare(game, at).effective_lam == pytest.approx(lam, rel=1e-6)
    assert compare(game, game.reference).effective_lam == np.inf


def test_rules_name_known_targets_and_say_what_they_do(game):
    assert {rule.target for rule in RULES} <= {None, *trainer_targets.TARGETS}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.effect for rule in RULES)
    with pytest.raises(InvalidInputError, match="no such target"):
        target("best", game)


def test_one_fit_from_the_initial_model_is_soft_policy_iteration(game):
    """The first round of regression, planned token by token, against sums over completions."""
    tokens, q, scores = tiny.enumerate_completions().tokens, game.reference, game.scores()
    aim = target("improved", game)
    assert 0.001 < compare(game, aim).gap < compare(game, game.reference).gap / 2
    for prefix in ((), (5,), (5, 3)):
        below = (tokens[:, : len(prefix)] == prefix).all(axis=1)
        after = [below & (tokens[:, len(prefix)] == k) for k in range(12)]
        chance = np.array([q[0, rows].sum() for rows in after])
        value = np.array([q[0, rows] @ scores[0, rows] for rows in after]) / chance
        wanted = chance * np.exp(value / 0.1)
        found = np.array([aim[0, rows].sum() for rows in after])
        np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), atol=1e-12)


def test_a_record_grows_by_new_rows_alone_and_says_so(monkeypatch, tmp_path):
    """Rows that stand are kept as written, with their origin, while one of them comes out again."""
    listed, made = [Training(RULES[0], 0.3, 0), Training(RULES[1], 0.3, 0)], []

    def fake(training, initial, folder):
        made.append(training)
        return game_of[0].reference

    game_of = {0: RLHFGame(np.zeros((4, 2, 1464)), SIZES, np.full((4, 1464), 1 / 1464), KL(1.0))}
    monkeypatch.setattr(trainers, "fit", fake)
    monkeypatch.setattr(trainers, "exact_game", lambda *a: game_of[0])
    monkeypatch.setattr(trainers, "plan", lambda: tuple(listed))
    path, quiet = tmp_path / "record", lambda text: None
    first = trainers.record(path, tmp_path / "one", quiet)
    before = json.loads((path / "provenance.json").read_text())
    assert len(first) == before["trainings"] == len(made) == 2 and "earlier" not in before
    listed.insert(1, Training(RULES[0], 1.0, 0))
    grown = trainers.record(path, tmp_path / "two", quiet)
    after = json.loads((path / "provenance.json").read_text())
    assert [made[k].lam for k in (2, 3)] == [0.3, 1.0] and len(made) == 4
    assert grown["lam"].tolist() == [0.3, 1.0, 0.3] and after["trainings"] == 1
    (earlier,) = after["earlier"]
    assert earlier["kept"] == earlier["trainings"] == 2 and earlier["date"] == before["date"]
    listed.append(Training(RULES[1], 1.0, 0))
    reward = np.random.default_rng(0).uniform(size=(4, 2, 1464))
    game_of[0] = replace(game_of[0], rewards=reward)  # the same training, another outcome
    with pytest.raises(InvalidInputError, match="before"):
        trainers.record(path, tmp_path / "three", quiet)
    monkeypatch.setattr(tiny, "definition", lambda: "another model")
    trainers.record(path, tmp_path / "four", quiet)
    assert "earlier" not in json.loads((path / "provenance.json").read_text())


def test_the_recorded_comparison_is_whole_and_consistent():
    """Every training is there, gap = lam KL(pi || pi*), and lambda's order is kept by RLOO."""
    from mechanism.llm.training.rules import plan

    table = pd.read_csv(RECORDED)
    done = set(table[["rule", "lam", "seed", "steps"]].itertuples(index=False, name=None))
    assert len(table) == len(done)
    assert done == {(t.rule.name, t.lam, t.seed, t.steps) for t in plan()}
    np.testing.assert_allclose(table["gap"], table["lam"] * table["kl_to_optimum"], rtol=1e-4)
    assert (table["gap"] > 0).all()
    rloo = table[table["rule"] == "RLOO"]
    np.testing.assert_allclose(rloo["effective_lam"], rloo["lam"], rtol=0.1)
    defaults = table[table["rule"] == "GRPO, defaults"]
    assert (defaults["effective_lam"] < 0.2 * defaults["lam"]).all()
    long = table[table["steps"] == table["steps"].max()]
    assert (long["tv_to_target"] <= 0.5 * long["tv_to_optimum"]).sum() == len(long) - 1  # all GRPO


def test_the_figure_draws_every_rule_against_lambda():
    figure = plot_trainers(pd.read_csv(RECORDED))
    for axes in figure.axes:
        assert len(axes.lines) == 2 * len(RULES) + 1
        assert axes.get_xscale() == axes.get_yscale() == "log"
    plt.close(figure)
