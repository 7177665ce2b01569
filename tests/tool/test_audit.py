"""`mechanism audit`: exact misreports against brute force, attacks that payments do not stop."""

import itertools
import json
import time

import numpy as np
import pytest
from scipy.optimize import differential_evolution
from typer.testing import CliRunner

import mechanism
from mechanism import CandidateGame, affine_maximizer_payments, sw_max
from mechanism.attack.joint_reports import pair_gains
from mechanism.cli import app
from mechanism.places import data
from mechanism.tool.auditing.candidates import (
    audit,
    least_reward_change,
    least_size_factors,
    reachable_by_reward,
    reachable_by_size,
)
from mechanism.tool.auditing.support import climb
from mechanism.tool.outcome import others_scores

SOUPS = data("soups_helpful_harmless_humor.csv")
WEIGHTS = "method,w_harmless,w_helpful,w_humor"
SIZES = {"helpful": 3.0, "harmless": 2.0, "humor": 1.0}


def run(*arguments):
    return CliRunner().invoke(app, [str(word) for word in arguments])


def random_table(seed, n=3, k=5, ties=False):
    rng = np.random.default_rng(seed)
    means = rng.integers(0, 4, (n, k)).astype(float) if ties else rng.random((n, k))
    sizes = {f"g{i}": float(w) for i, w in enumerate(rng.integers(1, 6, n))}
    return mechanism.from_arrays(means, sizes, normalization="none" if ties else "min-max")


@pytest.fixture(scope="module")
def soups():
    table = mechanism.load(SOUPS, SIZES, candidate=WEIGHTS)
    start = time.perf_counter()
    found = audit(table)
    return table, found, time.perf_counter() - start


def test_soups_best_misreports_by_brute_force(soups):
    """Run the mechanism itself on one report a candidate, and on sizes at every crossing."""
    table, found, _ = soups
    game = table.game()
    truth = int(sw_max(game))
    honest = game.utilities(truth, affine_maximizer_payments(game))
    wishes = np.eye(game.candidates)
    for i, name in enumerate(table.groups):
        own, size = game.values[i], game.sizes[i]
        for lie, reports in zip(found.groups[name].lies, (
            game.with_report(i, reward=wishes),
            game.with_report(i, size=_all_sizes(game, i)),
            game.with_report(i, reward=wishes, size=1e4),
        ), strict=True):  # fmt: skip
            chosen, paid = np.asarray(sw_max(reports)), affine_maximizer_payments(reports)[..., i]
            free = size * (own[chosen] - own[truth])
            assert lie.free_gain == pytest.approx(max(free.max(), 0.0), abs=1e-9)
            assert lie.paid_gain == pytest.approx(0.0, abs=1e-12)
            assert (size * own[chosen] - paid - honest[i]).max() <= 1e-9
            at = table.names.index(lie.outcome)
            assert lie.welfare_cost == pytest.approx(
                float(game.welfare(truth) - game.welfare(at)), abs=1e-12
            )


def _all_sizes(game, i):
    """One size between every two neighbouring crossings of the candidates' welfare lines."""
    v, rest = game.values[i], others_scores(game)[i]
    with np.errstate(all="ignore"):
        cross = (rest[:, None] - rest) / (v - v[:, None])
    points = np.unique(cross[np.isfinite(cross) & (cross > 0)])
    return np.concatenate([[points[0] / 2], (points[:-1] + points[1:]) / 2, [2 * points[-1]]])


def test_soups_in_ten_seconds_with_the_bench_far_below(soups):
    assert soups[2] < 10


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("ties", [False, True])
def test_reach_by_reward_against_all_corner_reports(seed, ties):
    """On k = 5 candidates every report in {low, high}^5: extreme reports reach what any reaches."""
    table = random_table(seed, ties=ties)
    game = table.game()
    truth = int(sw_max(game))
    for i in range(game.groups):
        own, others = game.values[i], others_scores(game)[i]
        low, high = min(0.0, own.min()), max(1.0, own.max())
        corners = low + (high - low) * np.array(list(itertools.product((0, 1), repeat=5)))
        seen = np.zeros(5, bool)
        seen[np.asarray(sw_max(game.with_report(i, reward=corners)))] = True
        seen[truth] = True
        reach = reachable_by_reward(others, game.sizes[i], high - low, truth)
        assert (seen == reach).all()


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("ties", [False, True])
def test_reach_by_size_against_all_crossings(seed, ties):
    table = random_table(seed, ties=ties)
    game = table.game()
    for i in range(game.groups):
        v, rest = game.values[i], others_scores(game)[i]
        with np.errstate(all="ignore"):
            cross = (rest[:, None] - rest) / (v - v[:, None])
        points = np.unique(np.round(cross[np.isfinite(cross) & (cross > 0)], 12))
        grid = np.concatenate([[1e-9], (points[:-1] + points[1:]) / 2, points * (not ties)])
        grid = np.concatenate([grid[grid > 0], [2 * points.max(initial=1.0), game.sizes[i]]])
        seen = np.zeros(5, bool)
        seen[np.asarray(sw_max(game.with_report(i, size=grid)))] = True
        reach = reachable_by_size(v, rest, game.sizes[i], int(sw_max(game)))
        assert (reach | ~seen).all()  # whatever a size brought about is called reachable
        if not ties:
            assert (seen == reach).all()


@pytest.mark.parametrize("seed", range(25))
def test_least_reward_change_is_least(seed):
    """Just below d nothing changes, whatever scipy tries; at d the named one wins or ties."""
    table = random_table(seed, k=4)
    game, rng = table.game(), np.random.default_rng(seed)
    truth = int(sw_max(game))
    for i in range(game.groups):
        own, others = game.values[i], others_scores(game)[i]
        d, k = least_reward_change(own, others, game.sizes[i], truth, 0.0, 1.0)
        if d is None:
            d = 1.0
        else:
            moved = np.clip(np.where(np.arange(4) == k, own + d + 1e-9, own - d - 1e-9), 0, 1)
            scores = game.sizes[i] * moved + others
            assert scores[k] >= scores.max() - 1e-7

        def lead(steps, own=own[:, None], others=others[:, None], i=i, d=d):
            scores = game.sizes[i] * np.clip(own + d * 0.999 * steps, 0, 1) + others
            return scores[truth] - np.delete(scores, truth, axis=0).max(axis=0)

        worst = differential_evolution(
            lead, [(-1, 1)] * 4, seed=seed, maxiter=40, tol=0, vectorized=True, updating="deferred"
        ).fun
        corners = lead(np.array([*itertools.product((-1, 1), repeat=4)]).T).min()
        assert min(worst, corners) >= 0, (rng, i)


@pytest.mark.parametrize("seed", range(25))
def test_least_size_factors(seed):
    game = random_table(seed).game()
    truth = int(sw_max(game))
    for i in range(game.groups):
        found = least_size_factors(game.values[i], others_scores(game)[i], game.sizes[i], truth)
        for side, (factor, k) in zip((-1, 1), found, strict=True):
            grid = np.linspace(1e-6, 1, 200) if side < 0 else np.geomspace(1, 1e4, 400)
            if factor is None:
                chosen = np.asarray(sw_max(game.with_report(i, size=grid * game.sizes[i])))
                assert (chosen == truth).all()
                continue
            near = [factor * (1 - side * 1e-9), factor * (1 + side * 1e-9)]
            before, after = sw_max(game.with_report(i, size=np.array(near) * game.sizes[i]))
            assert before == truth and after == k != truth


@pytest.mark.parametrize("seed", range(10))
def test_no_joint_report_beats_the_pair_bound(seed):
    """Random, structured and overwhelming joint reports of two groups stay at or below it."""
    game, rng = random_table(seed).game(), np.random.default_rng(seed)
    honest = game.utilities(sw_max(game), affine_maximizer_payments(game))
    bound, best = pair_gains(game, 0, 1).max(), -np.inf
    for size in (1.0, 10.0, 1e3):
        for own in [rng.random((2, 5)) for _ in range(60)] + [np.eye(5)[[k, k]] for k in range(5)]:
            said = game.with_report(0, reward=own[0], size=size)
            said = said.with_report(1, reward=own[1], size=size)
            after = game.utilities(sw_max(said), affine_maximizer_payments(said))
            best = max(best, float((after - honest)[:2].sum()))
    assert best <= bound + 1e-9
    assert best == pytest.approx(bound, abs=1e-9)


def test_scale_attack_moves_one_number_of_the_file():
    table = mechanism.from_arrays([[1, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC")
    found = audit(table).groups["a"].scale
    assert (found.top, found.bottom, found.outcome) == ("A", "B", "A")
    raised = mechanism.from_arrays([[2, 0, 0.6], [0, 1, 0.6]], {"a": 5, "b": 4}, names="ABC")
    assert raised.names[int(sw_max(raised.game()))] == "A"  # raw 1 -> 2 presses C to 0.3
    assert found.free_gain == pytest.approx(2.0) and found.paid_gain == pytest.approx(0, abs=1e-12)


def test_noise_bound_follows_the_theorem():
    table = mechanism.load(data("formats", "ric"), {"obtained_score1": 3, "obtained_score2": 7})
    found = audit(table, delta=0.25).groups["obtained_score1"].noise
    assert found.bound == pytest.approx(2 * 3 * found.epsilon + 0.25)
    assert found.half_spread <= found.epsilon + 1e-12
    given = audit(table, epsilon=0.1).groups["obtained_score2"].noise
    assert given.bound == pytest.approx(2 * 7 * 0.1)


def test_support_search_reaches_the_grid_best_and_payments_stop_it():
    table = mechanism.load(data("formats", "rewardbench"), {"helpful_rm": 3, "harmless_rm": 2},
                           lam=0.5)  # fmt: skip
    game = table.game(next(table.chunks()))
    free, _ = climb(game, 0, 1.0, True, payments=False)
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows = rng.integers(0, 2, game.rewards[:, 0].shape).astype(float)
        said = game.with_report(0, reward=rows)
        gain = 3 * (game.valuations(sw_max(said)) - game.valuations(sw_max(game)))[:, 0]
        assert (gain <= free + 1e-3).all()
    paid, _ = climb(game, 0, 1.0, True, payments=True)
    assert paid.max() <= 1e-12


def test_own_rule_is_audited(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(
        "import numpy as np\nfrom mechanism import affine_maximizer_payments as aff\n"
        "def half(game):\n    return aff(game) / 2\ndef broken(game):\n    return [1.0]\n"
        "def same(game):\n    return aff(game)\n"
    )
    (tmp_path / "t.csv").write_text("candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n")
    monkeypatch.chdir(tmp_path)
    base = ("audit", "t.csv", "--sizes", "a=5,b=4", "--json")
    found = json.loads(run(*base, "--payments", "my_rules:half").stdout)["rule"]
    assert max(found["gains"].values()) > 0.1
    found = json.loads(run(*base, "--payments", "my_rules:same").stdout)["rule"]
    assert max(found["gains"].values()) < 1e-9
    for name in ("my_rules:broken", "my_rules:none", "nothing:at_all", "x", "json:__doc__"):
        failed = run(*base, "--payments", name)
        assert failed.exit_code == 2 and "--payments" in failed.stderr and failed.stdout == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [("ric", ["obtained_score1=3,obtained_score2=7"]),
     ("trl", ["harmless_reward=3,humor_reward=7", "--lam", "0.5", "--epsilon", "0.05"]),
     ("ultrafeedback", ["helpfulness=3,honesty=2", "--lam", "0.5", "--missing", "drop"])],
)  # fmt: skip
def test_formats_are_audited(name, options):
    result = run("audit", data("formats", name), "--sizes", *options, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    for group in found["groups"].values():
        assert all(lie["paid_gain"] <= 1e-9 <= 1e-9 + lie["free_gain"] for lie in group["lies"])
    paid = [[entry["payment"] for entry in entries] for entries in found["false_names"].values()]
    assert all(np.all(np.diff(row) <= 1e-12) for row in paid)
    assert run("audit", data("formats", name), "--sizes", *options).exit_code == 0


def test_one_candidate_and_one_group(tmp_path):
    (tmp_path / "t.csv").write_text("candidate,a\nA,1\n")
    one = ("audit", tmp_path / "t.csv", "--sizes", "a=5")
    assert "min-max is undefined" in run(*one).stderr
    found = json.loads(run(*one, "--normalization", "none", "--json").stdout)
    assert found["chosen"] == "A" and found["pairs"] == []
    assert CandidateGame([[1.0]], [5]).candidates == 1
