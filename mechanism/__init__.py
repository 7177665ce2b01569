"""Check, attack and use mechanism design for LLM fine-tuning with several reward models.

Library beside the book on arXiv:2405.16276. Importing it needs numpy and scipy alone.
"""

from mechanism.core import misreports
from mechanism.core.custom_divergence import FDivergence
from mechanism.core.divergences import (
    KL,
    Alpha,
    ChiSquared,
    JensenShannon,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from mechanism.core.errors import InvalidInputError
from mechanism.core.normalization import normalize
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import CandidateGame, RLHFGame
from mechanism.core.sw_max import SWMaxSolution, solve, sw_max

__all__ = [
    "KL",
    "Alpha",
    "CandidateGame",
    "ChiSquared",
    "FDivergence",
    "InvalidInputError",
    "JensenShannon",
    "Mechanism",
    "RLHFGame",
    "ReverseKL",
    "SWMaxSolution",
    "SquaredHellinger",
    "TotalVariation",
    "affine_maximizer_payments",
    "misreports",
    "normalize",
    "solve",
    "sw_max",
]
