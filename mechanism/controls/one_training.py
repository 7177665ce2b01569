"""Controls of one-run: lotteries whose price is not that of their law, or that are not fair."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanism.attack.claim_result import ClaimResult
from mechanism.core.errors import Floats, as_floats
from mechanism.theorems.one_training import Lottery, check_one_run

Control = Callable[[int, int], ClaimResult]


@dataclass(frozen=True)
class WrongMu(Lottery):
    """Price for a probability that is 2 % too high."""

    def rebate(self, shares: ArrayLike) -> Floats:
        """R of the other probability."""
        return Lottery(1.02 * self.mu, self.exponent).rebate(shares)


@dataclass(frozen=True)
class NotUniform(Lottery):
    """Draw the square of a uniform number, price it as the uniform law."""

    def share(self, uniforms: ArrayLike) -> Floats:
        """Shares with too much weight on small ones."""
        return as_floats("uniforms", uniforms) ** 2


@dataclass(frozen=True)
class UniformAtTheConstantPrice(Lottery):
    """Draw the uniform law, give back 1 / mu: the constant price belongs to e = 1 - mu."""

    def rebate(self, shares: ArrayLike) -> Floats:
        """1 / mu."""
        return np.full_like(as_floats("shares", shares), 1.0 / self.mu)


@dataclass(frozen=True)
class NeighboursRun(Lottery):
    """Give the rebate where the neighbour was shrunk, not the group itself."""

    def kept(self, share: Floats, others: Floats, size: ArrayLike) -> Floats:
        """Factor by the neighbour's share."""
        factor = super().kept(np.asarray(others[..., 0]), others, size)
        return np.broadcast_to(factor, np.shape(share))


@dataclass(frozen=True)
class OwnSizeLeftOut(Lottery):
    """Charge and give back the value of one agent in place of the whole group's."""

    def kept(self, share: Floats, others: Floats, size: ArrayLike) -> Floats:
        """Factor per agent."""
        return np.asarray(super().kept(share, others, size) / as_floats("size", size))


@dataclass(frozen=True)
class OneGroupAtMost(Lottery):
    """Shrink no second group: the draws are not independent."""

    def chance(self, others: Floats) -> float:
        """0 where another group was shrunk."""
        return 0.0 if (others < 1.0).any() else self.mu


@dataclass(frozen=True)
class ReducedBill(Lottery):
    """Charge 1 % less where nothing was shrunk."""

    def kept(self, share: Floats, others: Floats, size: ArrayLike) -> Floats:
        """Factor 0.99 at a whole share."""
        factor = super().kept(share, others, size)
        return np.where(share < 1.0, factor, 0.99 * factor)


def _of(lottery: Lottery, games: str = "rlhf") -> Control:
    def control(budget: int, seed: int) -> ClaimResult:
        return check_one_run(games, budget, seed, lottery)  # type: ignore[arg-type]

    return control


CONTROLS: dict[str, dict[str, Control]] = {
    "one-run": {
        "mu wrong by 2 %": _of(WrongMu(0.2)),
        "mu wrong by 2 %, uniform, candidates": _of(WrongMu(0.2, 1.0), "candidate"),
        "s not uniform": _of(NotUniform(0.2, 1.0)),
        "uniform s at the constant price": _of(UniformAtTheConstantPrice(0.2, 1.0)),
        "payment from a neighbour's run": _of(NeighboursRun(0.2)),
        "own size left out": _of(OwnSizeLeftOut(0.2)),
        "one group at most is shrunk": _of(OneGroupAtMost(0.2)),
        "1 % off the whole price": _of(ReducedBill(0.2)),
    }
}
