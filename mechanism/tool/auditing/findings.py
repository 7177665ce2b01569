"""What an audit finds, as plain records."""

from dataclasses import asdict, dataclass
from typing import Any

from mechanism.tool.auditing.coalition import FalseNames, Pair
from mechanism.tool.auditing.custom_rule import RuleAudit
from mechanism.tool.auditing.rescaling import ScaleAttack
from mechanism.tool.auditing.uncertainty import Noise

WAYS = ("reward", "size", "reward and size")


@dataclass(frozen=True)
class Lie:
    """The best misreport of one kind.

    Attributes
    ----------
    way : {"reward", "size", "reward and size"}
        What is misreported.
    free_gain : float
        Most that w_i v_i can rise without payments.
    outcome : str or None
        The candidate that brings it.
    welfare_cost : float
        What the lie takes from affine social welfare; with payments the group itself bears it.
    paid_gain : float
        Most that utility can rise with payments; at most rounding above 0.
    """

    way: str
    free_gain: float
    outcome: str | None
    welfare_cost: float
    paid_gain: float


@dataclass(frozen=True)
class GroupAudit:
    """What was found about one group.

    Attributes
    ----------
    lies : tuple of Lie
        One a way to misreport.
    least_reward_change : float or None
        Least d such that moving rewards by at most d (inside [0, 1]) changes the outcome.
    least_reward_outcome : str or None
        What is chosen then.
    least_size_factors : tuple of (float or None)
        Nearest size factors below and above 1 that change the outcome.
    least_size_outcomes : tuple of (str or None)
    scale : ScaleAttack or None
        What moving the ends of its own min-max scale can do.
    noise : Noise or None
        Theorem 4.12 from the bootstrap; None without prompts.
    """

    lies: tuple[Lie, ...]
    least_reward_change: float | None
    least_reward_outcome: str | None
    least_size_factors: tuple[float | None, float | None]
    least_size_outcomes: tuple[str | None, str | None]
    scale: ScaleAttack | None
    noise: Noise | None


@dataclass(frozen=True)
class Audit:
    """What an audit of a table found.

    Attributes
    ----------
    chosen : str or None
    groups : dict of str to GroupAudit
    false_names : dict of str to tuple of FalseNames
    pairs : tuple of Pair
    rule : RuleAudit or None
        The audit of a payment rule of the user's own.
    delta : float
        Optimisation gap of the training that was allowed for.
    method, coverage : str
        How misreports were searched, and over what.
    warnings, notes : tuple of str
    """

    chosen: str | None
    groups: dict[str, GroupAudit]
    false_names: dict[str, tuple[FalseNames, ...]]
    pairs: tuple[Pair, ...]
    rule: RuleAudit | None
    delta: float
    method: str
    coverage: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
