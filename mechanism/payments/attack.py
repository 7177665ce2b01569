"""Which of DSIC, IR and non-negativity an estimated payment keeps: a search for the best misreport.

The model is the exact SW-Max model of what is reported; the payment is an estimate of what that
report should pay, from samples that are drawn once. With one draw the group knows the samples (the
worst case); with many, payments are expectations over the draw. Utilities are means over prompts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import differential_evolution

from mechanism.attack.best_response import BestResponse
from mechanism.attack.reports import project_report
from mechanism.core import misreports
from mechanism.core.errors import Floats, as_floats
from mechanism.core.payments import Mechanism
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.payments.rules import Rule

ALPHAS = (0.05, 0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0)
BETAS = (0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class Kept:
    """What the search found against one payment rule; arrays (n,), reward units.

    Attributes
    ----------
    method : str
    responses : tuple of BestResponse
        The best report of each group; `gain` is never below 0, since truth can be told.
    utility : ndarray
        Truthful utilities: below 0, IR is broken.
    payment : ndarray
        Least payment of each group over all reports that were tried.
    evaluations : int
        Runs of the mechanism, all groups together.
    """

    method: str
    responses: tuple[BestResponse, ...]
    utility: Floats
    payment: Floats
    evaluations: int

    @property
    def gain(self) -> Floats:
        """Largest gain over the truth that was found, shape (n,)."""
        return np.array([response.gain for response in self.responses])


def attack(
    game: RLHFGame, rule: Rule, method: str = "", directions: ArrayLike | None = None,
    budget: int = 300, seed: int = 0,
) -> Kept:  # fmt: skip
    """Search every group's reports against a payment rule: strategies alpha and beta, then scipy.

    Differential evolution moves alpha in [0.05, 3], beta in [0.5, 2] and steps of up to 1 along
    `directions` (and the others' total reward), its reports clipped to the range of rewards.

    Parameters
    ----------
    game : RLHFGame
        Batched over prompts.
    rule : callable
        Reported game to payments (n,).
    method : str
        Name that goes into the result.
    directions : array_like, shape (d, P, m), optional
        Extra changes of the reward, e.g. the indicator of the drawn samples.
    budget : int
        Runs of the mechanism for each group, about.
    seed : int
    """
    mechanism = Mechanism(sw_max, rule)
    truth = mechanism.utilities(game, game).mean(axis=0)
    groups = [
        _Search(game, i, mechanism, float(truth[i]), _directions(game, i, directions))
        for i in range(game.groups)
    ]
    responses = tuple(search.run(budget, seed) for search in groups)
    least = np.array([search.least for search in groups])
    return Kept(method, responses, truth, least, sum(r.evaluations for r in responses))


def _directions(game: RLHFGame, i: int, more: ArrayLike | None) -> Floats:
    """Changes of the reward (d, P, m), each at most 1 in size."""
    others = game.scores() - game.sizes[i] * game.rewards[:, i]
    rows = others[None]
    if more is not None:
        rows = np.concatenate([rows, as_floats("directions", more)])
    top = np.abs(rows).max(axis=(-2, -1), keepdims=True)
    return rows / np.where(top > 0, top, 1.0)


class _Search:
    """Search of one group's reports; remembers the best report and the least payment."""

    def __init__(
        self, game: RLHFGame, i: int, mechanism: Mechanism, truth: float, directions: Floats
    ) -> None:
        self.game, self.i, self.mechanism = replace(game, normalization=None), i, mechanism
        self.truth, self.directions = truth, directions
        self.best, self.gain, self.least, self.count = game, 0.0, np.inf, 0
        self.try_report(self.game)

    def run(self, budget: int, seed: int) -> BestResponse:
        for alpha in ALPHAS:
            self.try_report(misreports.scale_size(self.game, self.i, alpha))
        for beta in BETAS:
            self.try_report(misreports.mix_rewards(self.game, self.i, beta, self.other))
        bounds = [(np.log(0.05), np.log(3.0)), (0.5, 2.0)] + [(-1.0, 1.0)] * len(self.directions)
        population = 4 * len(bounds)
        start = np.zeros(len(bounds))
        start[1] = 1.0
        differential_evolution(
            self.loss, bounds, maxiter=max(1, (budget - self.count) // population - 1),
            popsize=4, polish=False, tol=0, seed=seed, x0=start,
        )  # fmt: skip
        method = "alpha and beta grids, differential evolution"
        return BestResponse(self.game, self.i, self.best, self.gain, self.count, method)

    @property
    def other(self) -> int:
        return (self.i + 1) % self.game.groups

    def loss(self, z: Floats) -> float:
        reported = misreports.mix_rewards(self.game, self.i, z[1], self.other)
        row = reported.rewards[:, self.i] + np.tensordot(z[2:], self.directions, axes=1)
        row = project_report(self.game, self.i, row)
        size = np.exp(z[0]) * self.game.sizes[self.i]
        return -self.try_report(self.game.with_report(self.i, reward=row, size=size))

    def try_report(self, reported: RLHFGame) -> float:
        payments = np.asarray(self.mechanism.payment_rule(reported))
        model = self.mechanism.training_rule(reported)
        utility = self.game.utilities(model, payments).mean(axis=0)[self.i]
        gain = float(utility) - self.truth
        self.count += 1
        self.least = min(self.least, float(payments[self.i]))
        if gain > self.gain:
            self.best, self.gain = reported, gain
        return gain
