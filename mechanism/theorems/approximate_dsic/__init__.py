r"""Theorem 4.12: on noisy inputs a misreport gains at most 2 w_i eps; Lemma D.2; the sharp bound.

Noise on rewards moves the total reward by h, and only the spread max h - min h matters. What the
provider loses by it is a Bregman divergence of the optimal value C(S) = max_p <S, p> - D_f(p || q):

.. math:: G(h) = ASW(\psi(S)) - ASW(\psi(S + h)) = C(S) - C(S + h) + \langle h, \nabla C(S+h)\rangle

with :math:`\partial G/\partial h(x) = a(x)(h(x) - \bar h)`, a = q/f''(p/q): the worst noise takes
two values only. `sharp_loss` is the greatest G over all games for a given spread.
Source: Lemma D.2 and Theorem 4.12, arXiv:2405.16276v4; the sharp bounds are our own.
"""

from mechanism.theorems.approximate_dsic.bounds import (
    Bound,
    noise_loss,
    paper_bound,
    sharp_loss,
    two_outcome_loss,
    two_valued_noise,
    worst_two_outcomes,
)
from mechanism.theorems.approximate_dsic.check import check_lemma_d_2, check_thm_4_12
from mechanism.theorems.approximate_dsic.sharp import check_sharp_noise
from mechanism.theorems.approximate_dsic.tight_games import (
    sharp_divergence,
    tight_game,
    tight_noise,
)
from mechanism.theorems.approximate_dsic.witnesses import (
    affine_utilities,
    dependent_noise_witness,
    expected_gains,
    ir_witness,
    with_noise,
)

__all__ = [
    "Bound",
    "affine_utilities",
    "check_lemma_d_2",
    "check_sharp_noise",
    "check_thm_4_12",
    "dependent_noise_witness",
    "expected_gains",
    "ir_witness",
    "noise_loss",
    "paper_bound",
    "sharp_divergence",
    "sharp_loss",
    "tight_game",
    "tight_noise",
    "two_outcome_loss",
    "two_valued_noise",
    "with_noise",
    "worst_two_outcomes",
]
