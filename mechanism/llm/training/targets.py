r"""What each training rule maximises, exactly: the fixed point of its expected update on a tree.

A completion is a path from the empty text to a leaf, with the reward :math:`S = \sum_i w_i rm_i`
at the leaf. SW-Max chooses the next token by :math:`\pi(a|h) \propto \pi_0(a|h) \exp(Q(a) /
\lambda)`, where Q is the *net* value of going on: expected reward less lam times the divergence
still to come. A rule that differentiates each token's KL with its prefix held fixed has the same
form with the *gross* value, the expected reward alone. So `tree_policy` plans both backwards from
the leaves; dividing rewards by a deviation sigma is planning with lam sigma instead of lam, and
a baseline that is the mean of all n texts of a request, the text itself included, shrinks the
reward's gradient by 1 - 1/n: planning with lam n / (n - 1).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mechanism import KL, ReverseKL, RLHFGame, TotalVariation, sw_max
from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.generator import Divergence
from mechanism.llm.models.tiny import WORDS, enumerate_completions

OFFSET = 1e-4  # TRL adds it to a deviation before dividing by it
ITERATIONS = 500
TARGETS = ("exact", "improved", "gross", "reverse", "batch", "group")

Ahead = Literal["gross", "net", "initial"]


def target(name: str, game: RLHFGame, completions: int = 16) -> Floats:
    """Return the policy (P, m) that a rule tends to, for a batch of `tiny.exact_game`.

    Parameters
    ----------
    name : str
        "exact": SW-Max. "improved": each token by what the initial model may expect after it, one
        step of soft policy iteration from there. "gross": per-token KL, prefix fixed.
        "reverse": KL(pi0 || pi) instead.
        "batch", "group": "gross" with rewards divided by their deviation over the batch, or over
        the completions of one request, as if there were very many of them.
    game : RLHFGame
        Batch shape (P,), outcomes in the order of `enumerate_completions`.
    completions : int
        Texts a request in a batch, whose mean is the baseline of GRPO: of all below "improved".
    """
    reference, lam = game.reference, float(game.divergence.lam)
    shrink = 1 - 1 / completions
    scores = shrink * game.scores()
    if name == "exact":
        return np.asarray(sw_max(game))
    if name == "improved":
        return tree_policy(game.scores(), reference, KL(lam), ahead="initial")
    if name == "gross":
        return tree_policy(scores, reference, KL(lam))
    if name == "reverse":
        return tree_policy(scores, reference, ReverseKL(lam))
    if name in ("batch", "group"):
        return _scaled(game.scores(), reference, lam, shrink, over_batch=name == "batch")
    raise InvalidInputError("name", name, "no such target", f"use one of {', '.join(TARGETS)}")


def tree_policy(
    scores: Floats, reference: Floats, divergence: Divergence, ahead: Ahead = "gross"
) -> Floats:
    """Return the policy that best trades value against divergence at every prefix, shape (P, m).

    Parameters
    ----------
    scores, reference : ndarray, shape (P, m)
        S and the initial model over all completions.
    divergence : Divergence
        Between next-token distributions, lam included.
    ahead : {"gross", "net", "initial"}
        What a token leads to: the reward that the policy then earns; that less the divergence it
        then pays, which with KL makes the whole SW-Max's own; or the reward of the initial model.
    """
    tokens = enumerate_completions().tokens
    length, batch, size = tokens.shape[1], len(scores), 1 + len(WORDS)
    leaves = np.zeros((2, batch, *(size,) * length))
    leaves[:, :, *tokens.T] = scores, reference
    value, mass = leaves
    words = (slice(None), *(slice(1, None),) * (length - 1))
    value, mass = value[words], mass[words]
    steps: list[Floats] = []
    for t in reversed(range(length)):
        chances = mass / mass.sum(axis=-1, keepdims=True)
        node = RLHFGame(value[..., None, :], np.ones(1), chances, divergence)
        policy = np.asarray(sw_max(node), dtype=float)
        steps.append(policy)
        after = chances if ahead == "initial" else policy
        best = node.welfare(after) if ahead == "net" else node.valuations(after)[..., 0]
        if t > 0:
            ended = (slice(None), *(slice(1, None),) * (t - 1), *(0,) * (length - t + 1))
            value = np.concatenate([leaves[0][ended][..., None], best], axis=-1)
            mass = np.concatenate([leaves[1][ended][..., None], mass.sum(axis=-1)], axis=-1)
    return _paths(steps[::-1], tokens)


def _paths(steps: list[Floats], tokens: NDArray[np.int_]) -> Floats:
    """Multiply the next-token probabilities along each completion, up to its end."""
    product = np.ones((len(steps[0]), len(tokens)))
    going = np.ones(len(tokens), dtype=bool)
    for t, step in enumerate(steps):
        prefix = np.maximum(tokens[:, :t] - 1, 0).T
        product *= np.where(going, step[:, *prefix, tokens[:, t]], 1.0)
        going = going & (tokens[:, t] > 0)
    return product


def _scaled(
    scores: Floats, reference: Floats, lam: float, shrink: float, over_batch: bool
) -> Floats:
    """Plan with rewards over their deviation under the plan itself, iterated to a fixed point.

    The baseline shrinks what is divided; the deviation is that of the rewards themselves.
    """
    policy = reference
    for _ in range(ITERATIONS):
        before = policy
        mean = (policy * scores).sum(axis=-1, keepdims=True)
        if over_batch:
            mean = mean.mean(axis=0, keepdims=True)
        variance = (policy * (scores - mean) ** 2).sum(axis=-1, keepdims=True)
        if over_batch:
            variance = variance.mean(axis=0, keepdims=True)
        scaled = shrink * scores / (np.sqrt(variance) + OFFSET)
        policy = tree_policy(scaled, reference, KL(lam))
        if np.abs(policy - before).max() < 1e-12:
            break
    return policy


@dataclass(frozen=True)
class Comparison:
    """A policy against SW-Max's optimum; means over the requests.

    Attributes
    ----------
    initial, reached, optimum : float
        J of the initial model, of the policy and of pi*, reward units.
    gap : float
        optimum - reached, reward units; equal to lam kl_to_optimum.
    kl_to_optimum, kl_to_initial, kl_of_optimum : float
        KL(pi || pi*), KL(pi || pi0) and KL(pi* || pi0), nats.
    tv_to_optimum : float
        Total variation distance from pi*, in [0, 1].
    effective_lam : float
        The lam whose optimum has the same mean reward; infinite where the policy gains nothing.
    """

    initial: float
    reached: float
    optimum: float
    gap: float
    kl_to_optimum: float
    kl_to_initial: float
    kl_of_optimum: float
    tv_to_optimum: float
    effective_lam: float


def compare(game: RLHFGame, policy: Floats) -> Comparison:
    """Compare a policy (P, m) with the optimum of a batch of games with KL."""
    best, lam = np.asarray(sw_max(game)), float(game.divergence.lam)
    reached, optimum = game.welfare(policy), game.welfare(best)
    return Comparison(
        initial=float(game.welfare(game.reference).mean()),
        reached=float(reached.mean()),
        optimum=float(optimum.mean()),
        gap=float((optimum - reached).mean()),
        kl_to_optimum=float(KL(1.0).value(policy, best).mean()),
        kl_to_initial=float(game.divergence_cost(policy).mean() / lam),
        kl_of_optimum=float(game.divergence_cost(best).mean() / lam),
        tv_to_optimum=float(TotalVariation(0.5).value(policy, best).mean()),
        effective_lam=effective_lam(game, policy),
    )


def effective_lam(game: RLHFGame, policy: Floats) -> float:
    """Return the lam whose SW-Max optimum has the policy's mean reward, in reward units per nat.

    Among all optima pi*_lam it is also the nearest one in KL(policy || pi*_lam).
    """
    from scipy.optimize import brentq

    scores = game.scores()
    wanted = (policy * scores).sum(axis=-1).mean()

    def excess(log_lam: float) -> float:
        lam = float(np.exp(log_lam))
        at = np.asarray(sw_max(RLHFGame(game.rewards, game.sizes, game.reference, KL(lam))))
        return float((at * scores).sum(axis=-1).mean() - wanted)

    low, high = np.log(1e-4), np.log(1e4)
    if excess(high) >= 0:
        return float("inf")
    return 0.0 if excess(low) <= 0 else float(np.exp(brentq(excess, low, high)))
