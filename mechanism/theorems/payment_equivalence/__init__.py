r"""Payment equivalence: the training rule alone fixes the payments, up to the others' reports.

Along a path of types the payment difference lies between the sum of l forwards and minus the sum
backwards. On n equal steps of a straight segment at one size these differ by exactly
:math:`\frac{w}{n}\langle rm' - rm, p' - p\rangle` (the sum telescopes), for any rule whatever:
continuity is not needed.
Source: Propositions 4.6 and 4.8, Theorem 4.9, Corollary 4.10, Lemmas B.1, C.1 and C.2,
arXiv:2405.16276v4. Moduli of continuity are in `moduli` and `continuity`.
"""

from mechanism.theorems.payment_equivalence.brackets import Bracket, check_lemma_C_2, refine
from mechanism.theorems.payment_equivalence.check import (
    INTEGRATED,
    STEPS,
    PathMaker,
    around_constant,
    check_cor_4_10,
    check_lemma_C_1,
    check_prop_4_6,
    check_thm_4_9,
    through_constant,
)
from mechanism.theorems.payment_equivalence.continuity import (
    STRONGLY_CONVEX,
    Tightness,
    check_lemma_B_1,
    check_prop_4_8_chi2,
    check_prop_4_8_kl,
    tightness,
)
from mechanism.theorems.payment_equivalence.moduli import (
    Bound,
    Change,
    Strength,
    chi2_paper,
    chi2_sharp,
    climb,
    kl_paper,
    kl_sharp,
    policies,
    random_changes,
    strong_paper,
    strong_sharp,
    swap_game,
)
from mechanism.theorems.payment_equivalence.sharp_moduli import check_sharp_moduli
from mechanism.theorems.payment_equivalence.sheets import check_sheets
from mechanism.theorems.payment_equivalence.size_jumps import (
    SizeFreedom,
    bregman_gaps,
    min_max_reports,
    rough_arc,
    rough_arc_game,
    size_freedom,
)
from mechanism.theorems.payment_equivalence.weighted import (
    Weighted,
    closed_form,
    factors_of,
    others_welfare,
    weighted,
)

__all__ = [
    "INTEGRATED",
    "STEPS",
    "STRONGLY_CONVEX",
    "Bound",
    "Bracket",
    "Change",
    "PathMaker",
    "SizeFreedom",
    "Strength",
    "Tightness",
    "Weighted",
    "around_constant",
    "bregman_gaps",
    "check_cor_4_10",
    "check_lemma_B_1",
    "check_lemma_C_1",
    "check_lemma_C_2",
    "check_prop_4_6",
    "check_prop_4_8_chi2",
    "check_prop_4_8_kl",
    "check_sharp_moduli",
    "check_sheets",
    "check_thm_4_9",
    "chi2_paper",
    "chi2_sharp",
    "climb",
    "closed_form",
    "factors_of",
    "kl_paper",
    "kl_sharp",
    "min_max_reports",
    "others_welfare",
    "policies",
    "random_changes",
    "refine",
    "rough_arc",
    "rough_arc_game",
    "size_freedom",
    "strong_paper",
    "strong_sharp",
    "swap_game",
    "through_constant",
    "tightness",
    "weighted",
]
