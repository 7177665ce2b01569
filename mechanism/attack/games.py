"""Where games come from: every draw goes through a generator that the caller seeds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

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
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.samplers import sample_candidate_game, sample_game

Game = RLHFGame | CandidateGame
Sampler = Callable[[np.random.Generator], Game]
Games = Literal["rlhf", "candidate"] | Sampler
FAMILIES: dict[str, Callable[[float], Divergence]] = {
    "KL": KL,
    "chi-squared": ChiSquared,
    "total variation": TotalVariation,
    "reverse KL": ReverseKL,
    "squared Hellinger": SquaredHellinger,
    "Jensen-Shannon": JensenShannon,
    "alpha = -1": lambda lam: Alpha(-1.0, lam),
    "alpha = 1.5": lambda lam: Alpha(1.5, lam),
    "alpha = 3": lambda lam: Alpha(3.0, lam),
}
BATCH = 10  # games that share one draw of divergence, shape and normalisation


def draw_games(rng: np.random.Generator, count: int, name: str | None = None) -> RLHFGame:
    """Draw a batch of `count` games of one kind: divergence (or `name`), shape, normalisation, lam.

    2 to 10 groups, 2 to 1000 outcomes (mostly few), lam from 1e-3 to 1e3, references from even to
    skewed (1e-60; less so with 1000 outcomes); one batch in five has tied rewards.

    >>> draw_games(np.random.default_rng(0), 4).batch_shape
    (4,)
    """
    family = FAMILIES[name or str(rng.choice(list(FAMILIES)))]
    normalization: Normalization = "summation" if rng.random() < 0.5 else "maximum"
    outcomes = 1000 if rng.random() < 0.02 else int(2 + rng.geometric(0.15))
    game = sample_game(
        rng,
        groups=int(rng.integers(2, 10, endpoint=True)),
        outcomes=outcomes,
        divergence=family(float(10 ** rng.uniform(-3, 3))),
        normalization=normalization,
        batch=(count,),
        skew=float(rng.choice([0.5, 1.0, 5.0, 20.0])) if outcomes < 1000 else 1.0,
    )
    if rng.random() > 0.2:
        return game
    quarters = np.ceil(4 * normalize(game.rewards, "maximum")) / 4
    return replace(game, rewards=normalize(quarters, normalization))


def pick(game: RLHFGame, k: int | tuple[int, ...]) -> RLHFGame:
    """Game k of a batch; a tuple where the batch has several leading axes."""

    def at(array: Floats, axes: int) -> Floats:
        return np.asarray(np.broadcast_to(array, (*game.batch_shape, *array.shape[-axes:]))[k])

    parts = at(game.rewards, 2), at(game.sizes, 1), at(game.reference, 1)
    return RLHFGame(*parts, game.divergence, game.normalization)


PLAIN = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)


def draw_path_game(rng: np.random.Generator) -> RLHFGame:
    """Default games: every named divergence, lam 1e-3 to 1e3, n 2..10, m 2..300, skewed q."""
    lam, kind = float(10 ** rng.uniform(-3, 3)), int(rng.integers(len(PLAIN) + 1))
    alpha = float(rng.choice([-0.5, 0.3, 1.5, 3.0]))
    divergence: Divergence = PLAIN[kind](lam) if kind < len(PLAIN) else Alpha(alpha, lam)
    outcomes = min(300, 2 + int(3 * rng.pareto(1.3)))
    how: Literal["summation", "maximum"] = "summation" if rng.random() < 0.5 else "maximum"
    skew = float(rng.choice([1.0, 1.0, 4.0, 8.0]))
    return sample_game(rng, int(rng.integers(2, 11)), outcomes, divergence, how, skew=skew)


def draw_rlhf_game(rng: np.random.Generator) -> RLHFGame:
    """Default sampler: every named divergence, lam from 1e-3 to 1e3, n 2..10, m 2..1000, ties."""
    lam, alpha = float(10 ** rng.uniform(-3, 3)), float(rng.choice([-0.5, 0.3, 1.5, 3.0]))
    plain = (KL, ChiSquared, TotalVariation, ReverseKL, SquaredHellinger, JensenShannon)
    kind = int(rng.integers(len(plain) + 1))
    divergence: Divergence = plain[kind](lam) if kind < len(plain) else Alpha(alpha, lam)
    outcomes = min(1000, 2 + int(3 * rng.pareto(1.2)))
    how: Literal["summation", "maximum"] = "summation" if rng.random() < 0.5 else "maximum"
    skew = float(rng.choice([1.0, 1.0, 4.0, 40.0]))
    groups = int(rng.integers(2, 11))
    game = sample_game(rng, groups, outcomes, divergence, how, skew=skew)
    if rng.random() < 0.8:
        return game
    levels = np.floor(3 * game.rewards / game.rewards.max(axis=-1, keepdims=True))
    return replace(game, rewards=normalize(levels, how))


def draw_candidate_game(rng: np.random.Generator) -> CandidateGame:
    """Default sampler of candidate games: n 2..10, k 2..40, half of them with divergences."""
    groups, candidates = int(rng.integers(2, 11)), min(40, 2 + int(4 * rng.pareto(1.5)))
    costly = float(rng.choice([0.0, 1.0]))
    return sample_candidate_game(rng, groups, candidates, divergence_scale=costly)


def sampler(games: Games, rlhf: Sampler = draw_rlhf_game) -> Sampler:
    """Turn "rlhf", "candidate" or a callable rng -> game into a sampler; "rlhf" is `rlhf`."""
    if callable(games):
        return games
    if games not in ("rlhf", "candidate"):
        fix = 'pass "rlhf", "candidate" or a function of a random generator'
        raise InvalidInputError("games", repr(games), "unknown sampler", fix)
    return rlhf if games == "rlhf" else draw_candidate_game
