"""Check, attack and use mechanism design for LLM fine-tuning with several reward models.

Library beside the book on arXiv:2405.16276. Importing it needs numpy and scipy alone.
"""

from typing import Any

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


def __getattr__(name: str) -> Any:
    """Import the readers of score files when they are asked for: they bring an engine along."""
    if name in ("from_arrays", "load"):
        from importlib import import_module

        return getattr(import_module("mechanism.tool.loading"), name)
    raise AttributeError(f"module 'mechanism' has no attribute {name!r}")
