from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mechanism import (
    KL,
    Alpha,
    CandidateGame,
    ChiSquared,
    JensenShannon,
    Mechanism,
    ReverseKL,
    RLHFGame,
    SquaredHellinger,
    TotalVariation,
    affine_maximizer_payments,
    normalize,
    sw_max,
)
from mechanism.attack.claim_result import scale
from mechanism.attack.games import draw_candidate_game, draw_rlhf_game
from mechanism.attack.type_tables import explore
from mechanism.core.samplers import sample_game
from mechanism.theorems.affine_maximizer import (
    check_dsic,
    check_identity_area,
    check_ir,
    check_non_negative,
    check_prop_4_4,
    kinks,
    size_breakpoints,
    size_curve,
    utility_area,
    value_identity_gap,
)

CHECKS = {"DSIC": check_dsic, "IR": check_ir, "sign": check_non_negative}
SAMPLERS = {"rlhf": draw_rlhf_game, "candidate": draw_candidate_game}
pay = affine_maximizer_payments


def rows(game):
    return game.values if isinstance(game, CandidateGame) else game.rewards


def alone(game, i):
    field = "values" if isinstance(game, CandidateGame) else "rewards"
    kept = {field: np.delete(rows(game), i, 0), "sizes": np.delete(game.sizes, i)}
    return replace(game, **kept)


def divergence_left_out(game):
    pivots = [alone(game, i) for i in range(game.groups)]
    costs = np.array([one.divergence_cost(sw_max(one)) for one in pivots])
    return pay(game) + costs - game.divergence_cost(sw_max(game))


def blind_to_size(game):
    return np.array([pay(game.with_report(i, size=1.0))[i] for i in range(game.groups)])


def no_pivot(game):
    return -np.array([game.welfare(sw_max(game), without=i) for i in range(game.groups)])


def root_sizes(game):
    return replace(game, sizes=np.sqrt(game.sizes))


def not_argmax(game):
    if isinstance(game, CandidateGame):
        return np.argsort(-game.scores(), kind="stable")[1]
    return 0.99 * sw_max(game) + 0.01 * game.reference


@cache
def largest_payment(games):
    rng = np.random.default_rng(987_654)  # a seed that no checker sees
    return float(np.quantile([pay(SAMPLERS[games](rng)).max() for _ in range(500)], 0.99))


def on_the_largest(factor):
    def rule(game):
        games = "candidate" if isinstance(game, CandidateGame) else "rlhf"
        payments = pay(game)
        return payments * (factor if payments.max() > largest_payment(games) else 1.0)

    return rule


CONTROLS = {  # name: training rule, payment rule, what must fail, runs
    "payments halved": (sw_max, lambda g: pay(g) / 2, {"DSIC"}, 400),
    "payments 1 % too high": (sw_max, lambda g: 1.01 * pay(g), {"DSIC", "IR"}, 1000),
    "payments 1 % too low": (sw_max, lambda g: 0.99 * pay(g), {"DSIC"}, 500),
    "D left out of ASW_-i": (sw_max, divergence_left_out, {"DSIC", "sign"}, 200),
    "not an argmax": (not_argmax, pay, {"DSIC"}, 400),
    "root of sizes in the rule": (lambda g: sw_max(root_sizes(g)), pay, {"DSIC"}, 400),
    "root of sizes in both": (
        lambda g: sw_max(root_sizes(g)), lambda g: pay(root_sizes(g)), {"DSIC"}, 400,
    ),
    "payments blind to size": (sw_max, blind_to_size, {"DSIC"}, 400),
    "no payments": (sw_max, lambda g: np.zeros(g.groups), {"DSIC"}, 400),
}  # fmt: skip


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("name", CONTROLS)
def test_control_is_noticed(name, games):
    rule, payments, must_fail, budget = CONTROLS[name]
    for check in must_fail:
        result = CHECKS[check](Mechanism(rule, payments), games, budget=budget, seed=5)
        assert result.status == "violated", check
        assert result.margin < -100 * result.tolerance  # no matter of rounding


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_per_cent_on_the_largest_one_per_cent_is_noticed(factor, games):
    result = check_dsic(Mechanism(sw_max, on_the_largest(factor)), games, seed=8)
    assert result.status == "violated" and result.trials <= 2000


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize(
    ("payments", "only"),
    [(lambda g: pay(g) + 1e-6, "IR"), (lambda g: pay(g) - 1e-6, "sign"), (no_pivot, "sign")],
    ids=["entry fee", "gift", "no pivot term"],
)
def test_what_depends_on_others_only_leaves_dsic_intact(payments, only, games):
    for name, check in CHECKS.items():
        result = check(Mechanism(sw_max, payments), games, budget=250, seed=6)
        assert result.status == ("violated" if name == only else "holds"), name


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("check", [*CHECKS.values(), check_prop_4_4, check_identity_area])
@pytest.mark.parametrize("seed", [0, 1])
def test_paper_s_mechanism_holds(check, games, seed):
    result = check(games=games, budget=1000, seed=seed)
    assert result.status == "holds", result
    assert result.oracle_gap <= result.tolerance < 1e-8
    assert result.trials >= 0.9 * 1000
    assert result.trials <= 1000 or check is check_identity_area  # its first area is finished


def test_paper_s_mechanism_holds_as_a_user_s():
    assert check_prop_4_4(Mechanism.affine_maximizer(), budget=500, seed=1).status == "holds"
    assert check_identity_area(Mechanism.affine_maximizer(), budget=500).status == "holds"


def test_witness_of_a_violation_replays():
    result = check_dsic(Mechanism(sw_max, CONTROLS["payments halved"][1]), budget=200)
    witness, mechanism = result.witness, Mechanism(sw_max, lambda g: pay(g) / 2)
    gain = (
        mechanism.utilities(witness.game, witness.report)
        - mechanism.utilities(witness.game, witness.game)
    )[witness.group]
    assert gain == pytest.approx(witness.gain, rel=1e-9) and gain > 0
    assert result.oracle_gap < result.tolerance


def test_example_by_hand():
    game = RLHFGame([[1, 0.5, 0], [0, 0.5, 1]], [3, 1], np.full(3, 1 / 3), TotalVariation(0.6))
    policy, payments = sw_max(game), pay(game)
    np.testing.assert_allclose(payments, [11 / 15, 1 / 10], atol=1e-15)
    np.testing.assert_allclose(game.utilities(policy, payments), [53 / 30, 1 / 15], atol=1e-15)


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_utility_is_welfare_less_the_others_optimum(games):
    rng = np.random.default_rng(77)
    for _ in range(200):
        game = SAMPLERS[games](rng)
        assert np.max(value_identity_gap(game)) <= 1e-12 * scale(game)


def test_utility_identity_at_a_tie_that_rounding_hides():
    """Outcomes 2 and 4 tie exactly, but a sum of products may put either one ahead."""
    third = 1 / 3
    rewards = [
        [third, 1, 2 / 3, third], [1, third, 0, 2 / 3], [0, third, third, 1],
        [third, third, 0, 1], [0, 1, 0, 0],
    ]  # fmt: skip
    game = RLHFGame(rewards, [1, 6, 8, 5, 10], [0.5, 0.2, 0.05, 0.25], TotalVariation(1.5))
    assert np.max(value_identity_gap(game)) <= 1e-12 * scale(game)


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_table_of_types_agrees_with_single_runs(games):
    rng, mechanism = np.random.default_rng(4), Mechanism.affine_maximizer()
    for _ in range(3):
        game = SAMPLERS[games](rng)
        table = explore(None, game, 1, rng)
        gains = table.gains()
        for j, k in rng.integers(len(table.sizes), size=(10, 2)):
            truth, report = table.reported(int(j)), table.reported(int(k))
            gain = mechanism.utilities(truth, report) - mechanism.utilities(truth, truth)
            assert gains[j, k] == pytest.approx(gain[1], abs=1e-12 * scale(truth))


def test_area_of_candidates_by_hand():
    """Group 1 wins the first candidate from s = 1/2 on: utility 1/2, payment 1/2."""
    game = CandidateGame([[1.0, 0.0], [0.0, 0.5]], [1, 1])
    np.testing.assert_allclose(size_breakpoints(game, 0), [0.5])
    assert utility_area(game, 0).value == pytest.approx(0.5, abs=1e-15)
    np.testing.assert_array_equal(size_curve(game, 0, np.array([0.4, 0.6])), [0, 1])


@pytest.mark.parametrize(
    "divergence",
    [KL(1e-3), ChiSquared(0.05), Alpha(3.0, 0.05), ReverseKL(0.1), TotalVariation(0.2)],
)
@pytest.mark.parametrize("skew", [1.0, 40.0])
def test_area_of_steep_and_kinked_curves(divergence, skew):
    rng = np.random.default_rng(31)
    for _ in range(3):
        game = sample_game(rng, 3, 5, divergence, "maximum", skew=skew)
        area = utility_area(game, 1)
        utility = Mechanism.affine_maximizer().utilities(game, game)[1]
        assert area.value == pytest.approx(utility, abs=area.error + 1e-12 * scale(game))
        assert area.error < 1e-8


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
@pytest.mark.parametrize("name", ["payments halved", "payments 1 % too high", "not an argmax"])
def test_area_notices(name, games):
    rule, payments, _, _ = CONTROLS[name]
    result = check_identity_area(Mechanism(rule, payments), games, budget=400)
    assert result.status == "violated"


def test_ir_needs_rewards_that_are_not_negative():
    def below_zero(rng):
        game = sample_game(rng, 3, 4, KL(1.0), "maximum")
        return replace(game, rewards=game.rewards - 1.0, normalization=None)

    statuses = {name: check(games=below_zero, budget=300).status for name, check in CHECKS.items()}
    assert statuses == {"DSIC": "holds", "IR": "violated", "sign": "holds"}


def test_unknown_games_are_refused():
    with pytest.raises(ValueError, match="games = 'poker'"):
        check_dsic(games="poker")


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_bisection_ends_on_both_sides_of_a_jump(games):
    rng, found = np.random.default_rng(12), 0
    for _ in range(12):
        game = SAMPLERS[games](rng)
        if games == "rlhf":  # total variation jumps, as candidates do
            game = sample_game(rng, 3, 4, TotalVariation(0.3), "summation")
        table = explore(None, game, 0, rng)
        steps, moved = table.rewards[-12:], table.distances[-12:] > 0.05
        if len(steps) == len(table.rewards) or not moved.any() or moved.all():
            continue
        gap = np.abs(steps[moved][:, None] - steps[~moved]).max(axis=-1).min()
        found += gap < 2.0**-10 and len(table.sizes) > 30
    assert found >= 6


@pytest.mark.parametrize(
    "divergence",
    [
        JensenShannon(0.17),
        SquaredHellinger(0.1),
        ReverseKL(0.05),
        Alpha(-1.0, 0.1),
        Alpha(0.3, 0.1),
    ],
)
def test_every_sudden_bend_of_the_curve_is_an_edge_of_the_quadrature(divergence):
    """What the initial model hardly ever produces comes in within a sliver of shares."""
    rare = np.array([1.5e-20, 7.2e-12, 1e-49])
    rewards = normalize([[0.115, 0.302, 0.237, 0.346], [0.743, 0.089, 0.143, 0.025]], "summation")
    game = RLHFGame(rewards, [10.0, 5.0], [*rare, 1 - rare.sum()], divergence)

    def appeared(share):
        return np.asarray(sw_max(game.with_report(1, size=5 * share)))[..., :3].sum(-1)

    found = kinks(game, 1)
    assert len(found) and (appeared(found - 1e-6) < 1e-9).all()
    assert (appeared(found + 1e-4) > 1e-4).all()
    grid = np.linspace(1e-3, 1, 4001)
    bends = np.abs(np.diff(appeared(grid), 2))
    edges = np.concatenate([found, size_breakpoints(game, 1)])
    peaks = (bends[1:-1] > bends[:-2]) & (bends[1:-1] >= bends[2:]) & (bends[1:-1] > 1e-4)
    assert peaks.any()
    for place in grid[2:-2][peaks]:
        assert np.abs(edges - place).min() < 5e-4, place
