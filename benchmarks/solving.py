"""The core: one game of m outcomes, payments of n groups, many small games; the floor of each."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks.timing import Row, peak, rounds_of, spread
from mechanism import RLHFGame, affine_maximizer_payments, sw_max
from mechanism.attack.games import FAMILIES
from mechanism.core.errors import Floats
from mechanism.core.samplers import sample_game

LAM = 0.2
OUTCOMES = [10**k for k in range(1, 8)]
GROUPS = [2, 5, 10, 20, 50]
TARGETS = {"KL": "<= 2", "Jensen-Shannon": "<= 10"} | {
    name: "<= 10" if name.startswith("alpha") else "<= 5"
    for name in FAMILIES
    if name not in ("KL", "Jensen-Shannon")
}
PIECE = 1 << 15
LAST: dict[str, Callable[[Floats, Floats], Floats]] = {
    "KL": lambda d, out: np.exp(-d, out=out),
    "chi-squared": lambda d, out: np.maximum(np.subtract(1.5, d, out=out), 0.0, out=out),
    "total variation": lambda d, out: np.less(d, 0.9, out=out, casting="unsafe"),
    "reverse KL": lambda d, out: np.divide(1.0, np.add(d, 0.5, out=out), out=out),
    "squared Hellinger": lambda d, out: np.divide(1.0, np.square(d + 0.5, out=out), out=out),
    "Jensen-Shannon": lambda d, out: np.divide(1.0, np.expm1(d + 0.5, out=out), out=out),
    "alpha = -1": lambda d, out: np.divide(1.0, np.sqrt(d + 0.5, out=out), out=out),
    "alpha = 0.3": lambda d, out: np.power(np.add(d, 0.5, out=out), -1 / 0.7, out=out),
    "alpha = 1.5": lambda d, out: np.square(np.maximum(1.5 - d, 0.0, out=out), out=out),
    "alpha = 3": lambda d, out: np.sqrt(np.maximum(1.5 - d, 0.0, out=out), out=out),
}


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    yield from one_game()
    yield from floors()
    yield from many_games()
    yield from payments()


def vector(m: int) -> Floats:
    return np.random.default_rng(0).random(m)


def one_game() -> Iterator[Row]:
    """One solve beside `torch.softmax` of the same float64 vector."""
    for m in OUTCOMES:
        scores = vector(m)
        tensor = torch.tensor(scores)
        reference = np.full(m, 1 / m)
        for name, family in FAMILIES.items():
            game = RLHFGame(scores[None], [1.0], reference, family(LAM))

            def solve(game: RLHFGame = game) -> None:
                sw_max(game)

            def softmax(tensor: torch.Tensor = tensor) -> None:
                torch.softmax(tensor, 0)

            times = rounds_of({"ours": solve, "softmax": softmax}, 3 if m > 10**6 else 15)
            large = m == 10**6
            memory = peak(solve)
            yield Row(
                "solve", name, float(np.median(times["ours"])), m, 1, 1, "times torch.softmax",
                **spread(times["ours"] / times["softmax"]), target=TARGETS[name] if large else "",
                memory=memory / 1e6,
            )  # fmt: skip
            if large:
                yield Row("memory", name, float(np.median(times["ours"])), m, 1, 1,
                          "arrays of the input's size", **spread([memory / scores.nbytes]),
                          target="<= 4", memory=memory / 1e6)  # fmt: skip
        times = rounds_of({"softmax": softmax}, 15)
        yield Row("softmax", "torch.softmax", float(np.median(times["softmax"])), m, 1, 1)


def floors() -> Iterator[Row]:
    """The last step alone, p from a known multiplier, beside softmax: no solver can do less."""
    m = 10**6
    gaps, reference, out = vector(m), np.full(m, 1 / m), np.empty(m)
    tensor = torch.tensor(gaps)
    for name, last in LAST.items():

        def formula(last: Callable[[Floats, Floats], Floats] = last) -> None:
            for start in range(0, m, PIECE):
                piece = out[start : start + PIECE]
                last(gaps[start : start + PIECE], piece)
                np.multiply(piece, reference[start : start + PIECE], out=piece)

        times = rounds_of({"ours": formula, "softmax": lambda: torch.softmax(tensor, 0)}, 15)
        yield Row("floor", name, float(np.median(times["ours"])), m, 1, 1, "times torch.softmax",
                  **spread(times["ours"] / times["softmax"]))  # fmt: skip
    for name, pass_ in {
        "copy of an array": lambda: np.copyto(out, gaps),
        "exp of an array": lambda: np.exp(gaps, out=out),
        "power of an array": lambda: np.power(gaps, 1.4, out=out),
    }.items():
        times = rounds_of({"ours": pass_}, 15)
        yield Row("machine", name, float(np.median(times["ours"])), m)


def many_games() -> Iterator[Row]:
    """10^5 games of 10 outcomes beside one batched softmax."""
    rng = np.random.default_rng(1)
    for name, family in FAMILIES.items():
        game = sample_game(rng, 1, 10, family(LAM), "maximum", batch=(10**5,))
        tensor = torch.tensor(game.scores())
        times = rounds_of(
            {"ours": lambda game=game: sw_max(game), "softmax": lambda t=tensor: t.softmax(-1)}, 7
        )
        yield Row("batch", name, float(np.median(times["ours"])), 10, 1, 10**5,
                  "times batched softmax", **spread(times["ours"] / times["softmax"]),
                  target="<= 2" if name == "KL" else "")  # fmt: skip


def payments() -> Iterator[Row]:
    """Payments of n groups in solves of the same game: n + 1 optima are in them."""
    rng = np.random.default_rng(2)
    for name, family in FAMILIES.items():
        for n in GROUPS:
            game = sample_game(rng, n, 1000, family(LAM), "maximum", skew=0.5)

            def pay(game: RLHFGame = game) -> None:
                affine_maximizer_payments(game)

            def solve(game: RLHFGame = game) -> None:
                sw_max(game)

            times = rounds_of({"ours": pay, "one": solve}, 7)
            yield Row("payments", name, float(np.median(times["ours"])), 1000, n, 1,
                      "of n + 1 solves", **spread(times["ours"] / times["one"] / (n + 1)),
                      target="<= 1.5" if n == 5 else "")  # fmt: skip
