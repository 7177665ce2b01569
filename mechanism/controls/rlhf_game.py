"""Controls of sharp-D.1: constants that are too small, too large, or of the wrong kind."""

from collections.abc import Callable

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.core.errors import Floats
from mechanism.core.normalization import Normalization
from mechanism.theorems.rlhf_game import check_sharp_d_1, sharp_constant

Control = Callable[[int, int], ClaimResult]


def one_percent_less(policy: Floats, normalization: Normalization | None) -> Floats:
    """The constant times 0.99."""
    return np.asarray(0.99 * sharp_constant(policy, normalization))


def of_the_lemma(policy: Floats, normalization: Normalization | None) -> Floats:
    """1, as in Lemma D.1, for every model."""
    return np.ones(policy.shape[:-1])


def mean_for_median(policy: Floats, normalization: Normalization | None) -> Floats:
    """Under summation the distance from the mean of the probabilities, not from their median."""
    if normalization != "summation":
        return sharp_constant(policy, normalization)
    return np.asarray(np.abs(policy - policy.mean(axis=-1, keepdims=True)).sum(axis=-1))


CONTROLS: dict[str, dict[str, Control]] = {
    "sharp-D.1": {
        "1 % less": lambda budget, seed: check_sharp_d_1(one_percent_less, budget, seed),
        "1 for every model": lambda budget, seed: check_sharp_d_1(of_the_lemma, budget, seed),
        "mean for median": lambda budget, seed: check_sharp_d_1(mean_for_median, budget, seed),
    }
}
