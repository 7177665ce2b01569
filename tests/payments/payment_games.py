"""Random enumerable games that the tests of payments share."""

import numpy as np

from mechanism import KL, RLHFGame
from mechanism.core.samplers import sample_game
from mechanism.payments import study as studies

LAM = 0.1


SIZES = np.array([0.3, 0.7])


def make_game(outcomes=80, prompts=8, seed=0, lam=LAM):
    rng = np.random.default_rng(seed)
    game = sample_game(rng, 2, outcomes, KL(lam), "maximum", batch=(prompts,))
    return RLHFGame(game.rewards, SIZES, game.reference, KL(lam))


def drawn(game, policy, count, repeats, seed=0):
    shape = (repeats, len(policy), count)
    index = studies.draw(policy, np.random.default_rng(seed).random(shape))
    return index, studies.gather(game.rewards, index)
