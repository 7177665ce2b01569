"""Where games come from: one stratified draw for every checker, from a generator that is seeded.

A stratum is a divergence, a normalisation and a size class of the outcomes. `Strata` goes through
all of them in random order, again and again, and turns the classes of lam and of the number of
groups so that every divergence meets each of these too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mechanism.attack.spending import Spending
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    Divergence,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.normalization import Normalization, normalize
from mechanism.core.payments import affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_candidate_game, sample_game

Game = RLHFGame | CandidateGame
Sampler = Callable[[np.random.Generator], Game]
Games = Literal["rlhf", "candidate"] | Sampler
Family = Callable[[float], Divergence]
FAMILIES: dict[str, Family] = {
    "KL": KL,
    "chi-squared": ChiSquared,
    "total variation": TotalVariation,
    "reverse KL": ReverseKL,
    "squared Hellinger": SquaredHellinger,
    "Jensen-Shannon": JensenShannon,
    "alpha = -1": lambda lam: Alpha(-1.0, lam),
    "alpha = 0.3": lambda lam: Alpha(0.3, lam),
    "alpha = 1.5": lambda lam: Alpha(1.5, lam),
    "alpha = 3": lambda lam: Alpha(3.0, lam),
}
NORMALIZATIONS: tuple[Normalization, ...] = ("summation", "maximum")
OUTCOMES = {"small": (2, 4), "medium": (5, 30), "large": (31, 300)}  # classes of m
CANDIDATES = {"small": (2, 4), "medium": (5, 12), "large": (13, 40)}  # classes of k
STRENGTHS = {"weak": (1e-3, 0.1), "middle": (0.1, 10.0), "strong": (10.0, 1e3)}  # classes of lam
GROUPS = {"two": (2, 2), "some": (3, 5), "many": (6, 10)}  # classes of n
SKEWS = (1.0, 1.0, 4.0, 20.0)
BATCH = 10  # games that share one setting


@dataclass(frozen=True)
class Setting:
    """What the games of one stratum share.

    Attributes
    ----------
    divergence : Divergence
    normalization : "summation" or "maximum"
    outcomes, groups : int
        m and n.
    skew : float
        How uneven the initial model is; 1 is even.
    tied : bool
        Whether rewards have four levels only.
    """

    divergence: Divergence
    normalization: Normalization
    outcomes: int
    groups: int
    skew: float = 1.0
    tied: bool = False

    def draw(self, rng: np.random.Generator, batch: tuple[int, ...] = ()) -> RLHFGame:
        """Games of this setting."""
        game = sample_game(
            rng, self.groups, self.outcomes, self.divergence, self.normalization, batch, self.skew
        )
        if not self.tied:
            return game
        levels = np.ceil(4 * normalize(game.rewards, "maximum")) / 4
        return replace(game, rewards=normalize(levels, self.normalization))


class Strata(Iterator[Setting]):
    """Settings without end: every stratum once in each cycle, in random order.

    Parameters
    ----------
    rng : Generator
    families : sequence of callables
        Families whose divergences are of one class take turns.
    normalizations : sequence of str
    outcomes : sequence of "small", "medium", "large"

    Examples
    --------
    >>> strata = Strata(np.random.default_rng(0))
    >>> len(strata), next(strata).groups <= 10
    (42, True)
    """

    def __init__(
        self,
        rng: np.random.Generator,
        families: Sequence[Family] = tuple(FAMILIES.values()),
        normalizations: Sequence[Normalization] = NORMALIZATIONS,
        outcomes: Sequence[str] = tuple(OUTCOMES),
    ) -> None:
        self.rng, self.turn = rng, -1
        named: dict[str, list[Family]] = {}
        for family in families:
            named.setdefault(type(family(1.0)).__name__, []).append(family)
        self.cells = [
            (kinds, how, size) for kinds in named.values() for how in normalizations
            for size in outcomes
        ]  # fmt: skip
        self.order = np.arange(len(self.cells))

    def __len__(self) -> int:
        """Number of strata."""
        return len(self.cells)

    def __next__(self) -> Setting:
        """Setting of the next stratum."""
        self.turn += 1
        cycle, place = divmod(self.turn, len(self.cells))
        if place == 0:
            self.order = self.rng.permutation(len(self.cells))
        kinds, how, size = self.cells[self.order[place]]
        column, row = list(OUTCOMES).index(size), NORMALIZATIONS.index(how)
        strength = list(STRENGTHS.values())[(column + row + cycle) % 3]
        crowd = list(GROUPS.values())[(2 * column + row + cycle) % 3]
        return Setting(
            kinds[cycle % len(kinds)](_log_uniform(self.rng, *strength)),
            how,
            round(_log_uniform(self.rng, *OUTCOMES[size])),
            int(self.rng.integers(*crowd, endpoint=True)),
            float(self.rng.choice(SKEWS[: 3 if size == "large" else 4])),
            bool(self.rng.random() < 0.2),
        )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


class Draws(Iterator[Game]):
    """Games of one stratum after the other, until no further piece of work fits the budget.

    A checker spends the budget itself, with `spend`. A sampler of one's own has no strata.

    Examples
    --------
    >>> draws = Draws("rlhf", np.random.default_rng(0), 3)
    >>> len([draws.spend(1) for _ in draws])
    3
    """

    TRIES = 4  # games of a stratum among which the one with the largest payment is taken

    def __init__(
        self,
        games: Games,
        rng: np.random.Generator,
        budget: int,
        strata: Strata | None = None,
        piece: int = 0,
    ) -> None:
        self.rng, self.runs, self.piece, self.drawn = rng, Spending(budget), piece, 0
        self.kind = _kinds(games, rng, strata)

    def spend(self, evaluations: int) -> None:
        """Count runs of the mechanism."""
        self.runs.spend(evaluations)

    @property
    def spent(self) -> int:
        """Runs so far."""
        return self.runs.spent

    def __next__(self) -> Game:
        """Draw the next game."""
        return self._some(1)[0]

    def ranked(self) -> Iterator[tuple[Game, int]]:
        """Games with a group each: in turn the largest payment of `TRIES` games, and any group.

        The ranking uses the paper's payments, which are no run of a mechanism that is tested.
        """
        try:
            while True:
                some = self._some(self.TRIES)
                payments = [affine_maximizer_payments(game) for game in some]
                k = int(np.argmax([pay.max() for pay in payments]))
                largest, any_group = int(payments[k].argmax()), self.rng.integers(some[k].groups)
                yield some[k], largest if self.drawn % 2 else int(any_group)
        except StopIteration:
            return

    def _some(self, count: int) -> list[Game]:
        """Games of one kind."""
        if self.drawn and not self.runs.room(self.piece):
            raise StopIteration
        self.drawn += 1
        draw = self.kind()
        return [draw(self.rng) for _ in range(count)]


def _kinds(games: Games, rng: np.random.Generator, strata: Strata | None) -> Callable[[], Sampler]:
    """What draws the next kind of games, of which the sampler then draws any number."""
    if games == "rlhf":
        settings = strata or Strata(rng)

        def setting() -> Sampler:
            return next(settings).draw

        return setting
    if games == "candidate":
        kinds = _candidate_kinds(rng)

        def candidates() -> Sampler:
            kind = next(kinds)
            return lambda rng: _candidates(rng, *kind)

        return candidates
    if not callable(games):
        fix = 'pass "rlhf", "candidate" or a function of a random generator'
        raise InvalidInputError("games", repr(games), "unknown sampler", fix)
    return lambda: games


def sampler(games: Games, rng: np.random.Generator, strata: Strata | None = None) -> Sampler:
    """Sampler that goes through the strata of "rlhf" or "candidate", or one's own."""
    kinds = _kinds(games, rng, strata)
    return lambda rng: kinds()(rng)


def draw_rlhf_game(rng: np.random.Generator) -> RLHFGame:
    """Draw one game of a random stratum.

    >>> draw_rlhf_game(np.random.default_rng(0)).batch_shape
    ()
    """
    return next(Strata(rng)).draw(rng)


def draw_candidate_game(rng: np.random.Generator) -> CandidateGame:
    """Draw one candidate game: n 2..10, k 2..40, with divergences or without."""
    return _candidates(rng, *next(_candidate_kinds(rng)))


def _candidate_kinds(
    rng: np.random.Generator,
) -> Iterator[tuple[tuple[int, int], tuple[int, int], float]]:
    kinds = [
        (size, crowd, cost) for size in CANDIDATES.values() for crowd in GROUPS.values()
        for cost in (0.0, 1.0)
    ]  # fmt: skip
    while True:
        for k in rng.permutation(len(kinds)):
            yield kinds[k]


def _candidates(
    rng: np.random.Generator, size: tuple[int, int], crowd: tuple[int, int], cost: float
) -> CandidateGame:
    groups, count = (int(rng.integers(*ends, endpoint=True)) for ends in (crowd, size))
    return sample_candidate_game(rng, groups, count, divergence_scale=cost)


def draw_games(rng: np.random.Generator, count: int, name: str | None = None) -> RLHFGame:
    """Draw a batch of `count` games of one setting, of a random stratum or of the family `name`.

    >>> draw_games(np.random.default_rng(0), 4).batch_shape
    (4,)
    """
    strata = Strata(rng) if name is None else Strata(rng, (FAMILIES[name],))
    return next(strata).draw(rng, (count,))


def pick(game: RLHFGame, k: int | tuple[int, ...]) -> RLHFGame:
    """Game k of a batch; a tuple where the batch has several leading axes."""

    def at(array: Floats, axes: int) -> Floats:
        return np.asarray(np.broadcast_to(array, (*game.batch_shape, *array.shape[-axes:]))[k])

    parts = at(game.rewards, 2), at(game.sizes, 1), at(game.reference, 1)
    return RLHFGame(*parts, game.divergence, game.normalization)
