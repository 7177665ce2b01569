"""Bad input is refused by an error that names argument, index, value, rule and fix."""

import numpy as np
import pytest

from mechanism import KL, CandidateGame, RLHFGame, affine_maximizer_payments, solve, sw_max
from mechanism.core.errors import InvalidInputError, ShapeError

GOOD = {
    "rewards": [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]],
    "sizes": [1.0, 2.0],
    "reference": [0.2, 0.3, 0.5],
    "divergence": KL(0.5),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rewards": [1.0, 0.0]}, ["rewards", "shape", "groups"]),
        ({"rewards": [[1.0, np.nan, 0.0]] * 2}, ["rewards[0, 1] = nan", "finite", "Fix"]),
        ({"rewards": np.zeros((0, 3))}, ["rewards", "empty"]),
        ({"rewards": np.zeros((2, 0))}, ["rewards", "empty"]),
        ({"rewards": [[1.0, 0.0], [1.0]]}, ["rewards", "not an array"]),
        ({"rewards": [["a", "b", "c"]] * 2}, ["rewards", "not an array"]),
        ({"sizes": [1.0]}, ["sizes", "length 2"]),
        ({"sizes": [1.0, 0.0]}, ["sizes[1] = 0", "> 0", "leave it out"]),
        ({"sizes": [1.0, -3.0]}, ["sizes[1] = -3", "> 0"]),
        ({"sizes": [np.inf, 1.0]}, ["sizes[0] = inf", "finite"]),
        ({"reference": [0.5, 0.5]}, ["reference", "length 3"]),
        ({"reference": [0.5, 0.5, 0.0]}, ["reference[2] = 0", "> 0"]),
        ({"reference": [0.5, 0.5, 0.5]}, ["sum of reference = 1.5", "divide"]),
        ({"divergence": 0.5}, ["divergence = 0.5", "KL(0.2)"]),
        ({"normalization": "mean"}, ["normalization = 'mean'", "summation"]),
        ({"rewards": np.zeros((4, 2, 3)), "sizes": np.ones((5, 2))}, ["leading axes", "broadcast"]),
    ],
)
def test_bad_games(change, words):
    with pytest.raises(InvalidInputError) as caught:
        RLHFGame(**{**GOOD, **change})
    for word in words:
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("values", "sizes", "divergences", "words"),
    [
        ([[1.0, np.inf]], [1.0], None, ["values[0, 1] = inf"]),
        ([[1.0, 0.0]], [0.0], None, ["sizes[0] = 0"]),
        ([[1.0, 0.0]], [1.0], [0.0], ["divergences", "length 2"]),
        ([[1.0, 0.0]], [1.0], [0.0, np.nan], ["divergences[1] = nan"]),
        ([1.0, 0.0], [1.0], None, ["values", "shape"]),
    ],
)
def test_bad_candidate_games(values, sizes, divergences, words):
    with pytest.raises(InvalidInputError) as caught:
        CandidateGame(values, sizes, divergences)
    for word in words:
        assert word in str(caught.value)


def test_bad_reports_and_models():
    game, candidates = RLHFGame(**GOOD), CandidateGame([[1.0, 0.0]], [1.0])
    for i in (2, -1, 0.5, True):
        with pytest.raises(InvalidInputError, match="group index"):
            game.with_report(i, size=2.0)
    with pytest.raises(ShapeError, match="reward"):
        game.with_report(0, reward=[1.0, 0.0])
    with pytest.raises(InvalidInputError, match="sizes"):
        game.with_report(0, size=0.0)
    with pytest.raises(ShapeError, match="policy over 3"):
        game.valuations([0.5, 0.5])
    with pytest.raises(InvalidInputError, match="model"):
        candidates.valuations(2)
    with pytest.raises(InvalidInputError, match="indices"):
        candidates.valuations(0.5)
    with pytest.raises(InvalidInputError, match="group index"):
        game.welfare(game.reference, without=5)
    with pytest.raises(InvalidInputError, match="RLHFGame"):
        solve(candidates)


@pytest.mark.parametrize("how", ["summation", "maximum", None])
@pytest.mark.parametrize("size", [None, 2.5, 0.0, -1.0, np.nan, np.inf, 1e250, [1.0, 2.0], []])
@pytest.mark.parametrize(
    "reward",
    [
        None, [0.25, 0.25, 0.5], [1.0, 0.0, 0.5], [0.6, 0.6, -0.2], [1.0, np.nan, 0.0],
        [np.inf, 0.0, 1.0], [0.25, 0.25, 0.5 + 1e-7], [0.25, 0.25, 0.6], [1.0 + 1e-10, 0.0, 0.2],
        [1.0 + 1e-6, 0.5, 0.0], [1e160, 0.0, -1e160], [1e308, 1e308, 1e308],
        np.float32([0.1, 0.2, 0.7]), [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]],
        [[0.25, 0.25, 0.5], [0.3, 0.8, -0.1]], np.full((3, 3), 1 / 3),
    ],
)  # fmt: skip
def test_a_report_is_checked_as_a_game_is(how, size, reward):
    """The game as reported, or its error, is what building it anew gives: nothing slips through."""
    rows = [[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]] if how == "summation" else GOOD["rewards"]
    game = RLHFGame(**{**GOOD, "rewards": rows, "normalization": how})

    def anew():
        row = np.asarray(rows[1] if reward is None else reward, dtype=float)
        rewards = np.broadcast_to(game.rewards, (*row.shape[:-1], 2, 3)).copy()
        rewards[..., 1, :] = row
        said = np.asarray(2.0 if size is None else size)
        sizes = np.broadcast_to(game.sizes, (*said.shape, 2)).copy()
        sizes[..., 1] = said
        return RLHFGame(rewards, sizes, game.reference, game.divergence, how)

    def outcome(build):
        try:
            return build()
        except InvalidInputError as error:
            return str(error)

    told, wanted = outcome(lambda: game.with_report(1, reward, size)), outcome(anew)
    if isinstance(wanted, str):
        assert told == wanted
        return
    for name in ("rewards", "sizes", "reference"):
        np.testing.assert_array_equal(getattr(told, name), getattr(wanted, name))
        assert not getattr(told, name).flags.writeable
    assert told.divergence == wanted.divergence and told.normalization == how


def test_games_are_frozen_and_keep_their_own_arrays():
    rewards = np.array(GOOD["rewards"])
    game = RLHFGame(**{**GOOD, "rewards": rewards})
    before = affine_maximizer_payments(game)
    rewards[0, 0] = 100.0
    np.testing.assert_array_equal(affine_maximizer_payments(game), before)
    with pytest.raises(ValueError, match="read-only"):
        game.rewards[0, 0] = 2.0
    with pytest.raises(AttributeError):
        game.sizes = [1.0, 1.0]


def test_empty_batch_is_no_error():
    game = RLHFGame(np.zeros((0, 2, 3)), [1.0, 2.0], [0.2, 0.3, 0.5], KL(0.5))
    assert sw_max(game).shape == (0, 3) and affine_maximizer_payments(game).shape == (0, 2)
    assert solve(game).dual_gap.shape == (0,)
    empty = CandidateGame(np.zeros((0, 2, 3)), [1.0, 2.0])
    assert sw_max(empty).shape == (0,) and affine_maximizer_payments(empty).shape == (0, 2)
