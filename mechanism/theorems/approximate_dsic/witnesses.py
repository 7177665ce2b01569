"""What noise can do when hypotheses are dropped, and gains through random noise."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.games import Game
from mechanism.core.divergences import TotalVariation
from mechanism.core.errors import Floats, as_floats
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import sw_max


def dependent_noise_witness(epsilon: float, size: float, others: float) -> tuple[Game, Game, Game]:
    """Candidate game, its noisy truthful input, and the input after a misreport (Check 3).

    The others' noise follows group 1's report. Gain: nearly 2 eps (w_1 + 2 w_2), where Theorem 4.12
    with noise that does not follow the report would allow 2 eps w_1.

    >>> from mechanism import Mechanism
    >>> game, truth, report = dependent_noise_witness(0.1, 1.0, 3.0)
    >>> mechanism = Mechanism.affine_maximizer()
    >>> gain = mechanism.utilities(game, report) - mechanism.utilities(game, truth)
    >>> gain[0].round(3)
    np.float64(1.4)
    """
    shift = epsilon * np.array([1.0, 1.0, -1.0])  # x1, x2 are what group 1 wants, x3 is not
    step = (2 - 1e-9) * epsilon
    gap = 1.0 + 6 * epsilon * others / size
    rows = [[1 + gap, 1 + gap - step, 1.0], [1.0, 1.0, 1.0 + 3 * epsilon]]
    game = _candidates(rows, size, others)
    own, other = game.values
    truth = game.with_report(0, reward=own + epsilon * np.array([-1.0, 1.0, 0.0]))
    return (
        game,
        truth.with_report(1, reward=other - shift),
        game.with_report(1, reward=other + shift),
    )


def ir_witness(
    epsilon: float, size: float = 1.0, signed: bool = False
) -> tuple[RLHFGame, RLHFGame]:
    """Game and its noisy input in which a truthful group 1 ends nearly w eps below zero.

    With `signed` noise (rewards below 0) it is nearly 2 w eps. Group 1 wants x3 alone, which has no
    chance; noise makes it pay for a move from x1 to x2 that is worth nothing to it.

    >>> from mechanism import Mechanism
    >>> game, noisy = ir_witness(0.1)
    >>> Mechanism.affine_maximizer().utilities(game, noisy)[0].round(3)
    np.float64(-0.1)
    """
    spread = size * epsilon * (2 if signed else 1)
    weight, lam = 2 * size + 1, 1e-6 * size * epsilon
    cost = (spread - 4 * lam) / weight
    rewards = np.array([[0.0, 0.0, 1.0], [1.0, 1.0 - cost, 0.0]])
    game = RLHFGame(
        rewards, np.array([size, weight]), np.full(3, 1 / 3), TotalVariation(lam), "maximum"
    )
    heard = [-epsilon if signed else 0.0, epsilon, 1.0]
    noisy = replace(game, normalization=None).with_report(0, reward=heard)
    return game, noisy


def expected_gains(
    game: Game, report: Game, i: int, epsilon: float, samples: int, seed: int = 0
) -> Floats:
    """Gains (samples,) of a report over the truth, both through the same uniform noise +-eps.

    >>> game = CandidateGame([[1.0, 0.0], [0.0, 0.9]], [1, 1])
    >>> expected_gains(game, game, 0, 0.1, 3)
    array([0., 0., 0.])
    """
    noise = np.random.default_rng(seed).uniform(-epsilon, epsilon, (samples, *_rows(game).shape))
    after, before = (affine_utilities(game, with_noise(said, noise)) for said in (report, game))
    return np.asarray((after - before)[:, i])


def affine_utilities(truth: Game, reported: Game) -> Floats:
    """True utilities (..., n) when the paper's mechanism runs on (noisy) reports, batched.

    >>> game = CandidateGame([[1.0, 0.6, 0.0], [0.0, 0.6, 1.0]], [1, 1])
    >>> affine_utilities(game, game).round(4)
    array([0.2, 0.2])
    """
    return truth.utilities(sw_max(reported), affine_maximizer_payments(reported))


def with_noise(game: Game, noise: ArrayLike) -> Game:
    """The game whose rewards (or values) have `noise` (..., n, m) added, in no domain.

    >>> with_noise(CandidateGame([[1.0, 0.0]], [1]), [[0.1, -0.1]]).values
    array([[ 1.1, -0.1]])
    """
    rows = _rows(game) + as_floats("noise", noise)
    if isinstance(game, CandidateGame):
        return replace(game, values=rows)
    return replace(game, rewards=rows, normalization=None)


def _rows(game: Game) -> Floats:
    return game.values if isinstance(game, CandidateGame) else game.rewards


def _candidates(rows: list[list[float]], *sizes: float) -> CandidateGame:
    return CandidateGame(np.array(rows), np.array(sizes))
