"""Other ways to the same optimum: cvxpy with Clarabel, and SLSQP and trust-constr of scipy."""

import time
import warnings
from collections.abc import Iterator

import numpy as np
from cvxpy.error import SolverError
from scipy.optimize import BFGS, Bounds, LinearConstraint, minimize

from benchmarks.solving import LAM
from benchmarks.timing import Row, rounds_of, seconds_of, spread
from mechanism import RLHFGame, sw_max
from mechanism.attack.games import FAMILIES
from mechanism.core.errors import Floats
from mechanism.core.samplers import sample_game
from mechanism.oracles import optimum_cvxpy

CONIC = [10, 100, 1000, 10_000]
PATIENCE = 0.04  # seconds of one solve by cvxpy after which the next size is left out


def rows() -> Iterator[Row]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # that a solution of theirs may be inaccurate
        for name, family in FAMILIES.items():
            yield from conic(name, family)
            for method in ("SLSQP", "trust-constr"):
                yield from smooth(name, family, method)


def drawn(family, m: int, batch: tuple[int, ...] = ()) -> RLHFGame:
    return sample_game(
        np.random.default_rng(m), 5, m, family(LAM), "maximum", batch=batch, skew=0.5
    )


def conic(name: str, family) -> Iterator[Row]:
    """cvxpy over ours: a single call, and a game of a batch of 1000 at m = 1000."""
    for m in CONIC:
        game = drawn(family, m)

        def slow(game: RLHFGame = game) -> None:
            optimum_cvxpy(game.scores(), game.reference, game.divergence)

        try:
            times = rounds_of({"cvxpy": slow, "ours": lambda game=game: sw_max(game)}, 3)
        except SolverError:  # Clarabel gives up, as on some games of 10,000 outcomes
            return
        yield Row("cvxpy", name, float(np.median(times["cvxpy"])), m, 5, 1)
        yield Row("single call", name, float(np.median(times["ours"])), m, 5, 1,
                  "times faster than cvxpy", **spread(times["cvxpy"] / times["ours"]),
                  target=">= 300" if m == 1000 else "")  # fmt: skip
        if m == 1000:
            games = drawn(family, m, (1000,))
            batch = rounds_of({"ours": lambda games=games: sw_max(games)}, 3)["ours"] / 1000
            yield Row("game of a batch", name, float(np.median(batch)), m, 5, 1000,
                      "times faster than cvxpy", **spread(times["cvxpy"] / batch),
                      target=">= 1000")  # fmt: skip
        if times["cvxpy"].min() > PATIENCE:
            return


def smooth(name: str, family, method: str) -> Iterator[Row]:
    """A general solver with exact gradients, started at the initial model."""
    for m in (10, 100):
        game = drawn(family, m)
        start = time.perf_counter()
        found = optimum_scipy(game, method)
        taken = time.perf_counter() - start
        ours = seconds_of(lambda game=game: sw_max(game), 20)
        short = float(game.welfare(sw_max(game)) - game.welfare(found)) / (
            np.abs(game.scores()).max() + LAM
        )
        yield Row(method, name, taken, m, 5, 1, "times slower than ours", **spread([taken / ours]))
        yield Row("shortfall", name, taken, m, 5, 1, f"of {method}, of max |S| + lam",
                  **spread([short]))  # fmt: skip


def optimum_scipy(game: RLHFGame, method: str) -> Floats:
    """SW-Max of one game by a solver that knows nothing of its form."""
    scores, q, divergence = game.scores(), game.reference, game.divergence
    floor = 1e-300

    def loss(p: Floats) -> tuple[float, Floats]:
        p = np.maximum(p, floor)
        slope = divergence.df(p / q)
        return float(divergence.value_of(p, q) - scores @ p), np.nan_to_num(slope - scores)

    m = len(q)
    simplex = LinearConstraint(np.ones((1, m)), 1.0, 1.0)
    hessian = BFGS() if method == "trust-constr" else None
    found = minimize(
        loss, q, jac=True, method=method, bounds=Bounds(0, 1, keep_feasible=True),
        constraints=simplex, options={"maxiter": 300}, hess=hessian,
    )  # fmt: skip
    policy = np.clip(found.x, 0.0, 1.0)
    return np.asarray(policy / policy.sum())
