r"""Which training rules can be made truthful by some payment: cycle monotonicity.

A rule is implementable if and only if :math:`\sum_j l(t_j, t_{j+1}) \ge 0` round every cycle of a
group's types. In numbers: on a finite set of types the least regret that any payment can reach is
minus the least cycle mean. `search` looks for violated cycles of Nash social welfare and
MaxMin-RLHF; `v_payment` builds the payment where none is found.
Source: Definition E.1 and Proposition E.2 (Rochet, 1987), arXiv:2405.16276v4.
"""

from mechanism.theorems.cycle_monotonicity.check import (
    FAMILIES,
    Rule,
    check_prop_E_2,
    draw_two_groups,
    random_graph,
    size_cycle,
    truth_slack,
    v_payments,
)
from mechanism.theorems.cycle_monotonicity.cycles import (
    Finding,
    Loop,
    SurveyRow,
    hand_example,
    search,
    survey,
    triangle_loop,
    v_payment,
)
from mechanism.theorems.cycle_monotonicity.other_rules import (
    BISECTIONS,
    NEWTON_STEPS,
    RULES,
    RuleName,
    maxmin_rlhf,
    nash_welfare,
    solve_slowly,
)
from mechanism.theorems.cycle_monotonicity.regret import (
    check_least_regret,
    enumerated_mean,
)

__all__ = [
    "BISECTIONS",
    "FAMILIES",
    "NEWTON_STEPS",
    "RULES",
    "Finding",
    "Loop",
    "Rule",
    "RuleName",
    "SurveyRow",
    "check_least_regret",
    "check_prop_E_2",
    "draw_two_groups",
    "enumerated_mean",
    "hand_example",
    "maxmin_rlhf",
    "nash_welfare",
    "random_graph",
    "search",
    "size_cycle",
    "solve_slowly",
    "survey",
    "triangle_loop",
    "truth_slack",
    "v_payment",
    "v_payments",
]
