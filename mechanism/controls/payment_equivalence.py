"""Broken payments, rules and bounds that the payment-equivalence checkers must notice."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mechanism.attack.claim_result import ClaimResult
from mechanism.attack.games import Game, draw_candidate_game
from mechanism.attack.reports import constant_report
from mechanism.attack.type_graph import shortest_paths
from mechanism.controls.planted import faulty_payments, planted
from mechanism.core.divergences import KL, ChiSquared, Divergence, TotalVariation
from mechanism.core.errors import Floats
from mechanism.core.payments import Mechanism, affine_maximizer_payments
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import sw_max
from mechanism.theorems import payment_equivalence

Control = Callable[[int, int], ClaimResult]


def _paying(rule: Callable[[Game], Floats]) -> Mechanism:
    return Mechanism(sw_max, rule)


def one_percent(game: Game) -> Floats:
    """Payments 1 % too large."""
    return 1.01 * affine_maximizer_payments(game)


def without_divergence(game: Game) -> Floats:
    """ASW_-i without its divergence in what is got (candidates: unchanged)."""
    pay = affine_maximizer_payments(game)
    if not isinstance(game, RLHFGame):
        return 0.5 * pay
    return np.asarray(pay - game.divergence_cost(sw_max(game)))


def fee_per_head(game: Game) -> Floats:
    """A fee on the reported size: not a term of the others' reports."""
    return np.asarray(affine_maximizer_payments(game) + 1e-3 * game.sizes)


def fee_on_peaks(game: Game) -> Floats:
    """A fee on how peaked the own reward is."""
    rows = game.rewards if isinstance(game, RLHFGame) else game.values
    return np.asarray(affine_maximizer_payments(game) + 1e-2 * np.ptp(rows, axis=-1))


def other_lam(game: Game) -> Floats:
    """Affine maximizer payments for 1 % more lam; candidates: for sizes 1 % larger."""
    if isinstance(game, RLHFGame):
        return affine_maximizer_payments(replace(game, divergence=_stronger(game.divergence)))
    return affine_maximizer_payments(replace(game, sizes=1.01 * game.sizes))


def _stronger(divergence: Divergence) -> Divergence:
    return replace(divergence, lam=1.01 * divergence.lam)


def _kl_game(rng: np.random.Generator) -> RLHFGame:
    from mechanism.core.samplers import sample_game

    lam = float(10 ** rng.uniform(-1, 1))
    return sample_game(rng, int(rng.integers(2, 6)), int(rng.integers(2, 8)), KL(lam), "maximum")


def wrong_way(lengths: Floats, slack: float) -> Floats | None:
    """Shortest paths with every arrow turned round."""
    return shortest_paths(lengths.T, slack)


def direct_edges(lengths: Floats, slack: float) -> Floats | None:
    """The direct edge in place of the shortest path."""
    return lengths


def _path_controls(check: Callable[..., ClaimResult]) -> dict[str, Control]:
    return (
        {
            "payments 1 % too large": lambda b, s: check(_paying(one_percent), _kl_game, b, s),
            "payments 1 % too large, candidates": lambda b, s: check(
                _paying(one_percent), draw_candidate_game, b, s
            ),
            "divergence left out": lambda b, s: check(_paying(without_divergence), _kl_game, b, s),
            "fee on the own reward": lambda b, s: check(_paying(fee_on_peaks), _kl_game, b, s),
            "payments for 1 % more lam": lambda b, s: check(_paying(other_lam), _kl_game, b, s),
        }
        | planted(check)
        | faulty_payments(check)
    )


def _size_controls(check: Callable[..., ClaimResult]) -> dict[str, Control]:
    return _path_controls(check) | {
        "fee on the own size": lambda b, s: check(_paying(fee_per_head), _kl_game, b, s)
    }


def _tighter(bound: payment_equivalence.Bound) -> payment_equivalence.Bound:
    return lambda change, strength: 0.99 * bound(change, strength)


def _rounded(game: RLHFGame) -> Floats:
    """A rule that jumps: all mass on the best outcome."""
    return np.eye(game.outcomes)[game.scores().argmax()]


def _as_total_variation(game: RLHFGame) -> Floats:
    return np.asarray(sw_max(replace(game, divergence=TotalVariation(game.divergence.lam))))


def _weaker(game: RLHFGame) -> Floats:
    """SW-Max for lam 1 % smaller."""
    weaker = replace(game.divergence, lam=0.99 * game.divergence.lam)
    return np.asarray(sw_max(replace(game, divergence=weaker)))


def _stronger_for_the_large(game: RLHFGame) -> Floats:
    """SW-Max whose lam grows with the size of each group."""
    return np.asarray(sw_max(_strengthened(game)))


def _strengthened(game: RLHFGame) -> RLHFGame:
    lam = game.divergence.lam * (1 + game.sizes.sum() / 10)
    return replace(game, divergence=replace(game.divergence, lam=lam))


def _joined(game: RLHFGame) -> Floats:
    """Its payments, right at each size and the same for all sizes at the constant report."""
    strong = _strengthened(game)
    flat = [strong.with_report(i, reward=constant_report(game, i)) for i in range(game.groups)]
    there = [affine_maximizer_payments(one)[i] for i, one in enumerate(flat)]
    return np.asarray(affine_maximizer_payments(strong) - np.array(there))


def _free(game: Game) -> Floats:
    return np.zeros(game.groups)


def _modulus_controls(
    check: Callable[..., ClaimResult], sharp: payment_equivalence.Bound
) -> dict[str, Control]:
    return {
        "bound 1 % too small": lambda b, s: check(None, b, s, _tighter(sharp)),
        "rule that jumps": lambda b, s: check(Mechanism(_rounded, _free), b, s),
        "total variation in its place": lambda b, s: check(
            Mechanism(_as_total_variation, _free), b, s, sharp
        ),
        "lam 1 % too small": lambda b, s: check(Mechanism(_weaker, _free), b, s, sharp),
    }


def _uniform_chi2(rng: np.random.Generator) -> RLHFGame:
    return replace(_kl_game(rng), divergence=ChiSquared(5.0))


def _freedom(
    factor: float, game: Game, i: int, reports: Floats, sizes: Floats
) -> payment_equivalence.SizeFreedom:
    found = payment_equivalence.size_freedom(game, i, reports, sizes)
    return replace(found, freedom=factor * found.freedom)


def direct_jumps(
    game: Game, i: int, reports: Floats, sizes: Floats
) -> payment_equivalence.SizeFreedom:
    """The direct jump between two sizes in place of the cheapest chain."""
    found = payment_equivalence.size_freedom(game, i, reports, sizes)
    return replace(found, freedom=found.jumps)


CONTROLS: dict[str, dict[str, Control]] = {
    "prop-4.6": _path_controls(payment_equivalence.check_prop_4_6),
    "thm-4.9": _size_controls(payment_equivalence.check_thm_4_9)
    | {
        "model depends on the size at the constant report": lambda b, s: (
            payment_equivalence.check_thm_4_9(
                Mechanism(_stronger_for_the_large, _joined), "rlhf", b, s
            )
        )
    },
    "cor-4.10": _size_controls(payment_equivalence.check_cor_4_10),
    "lemma-C.1": _path_controls(payment_equivalence.check_lemma_C_1),
    "lemma-C.2": {
        "paths the wrong way round": lambda b, s: payment_equivalence.check_lemma_C_2(
            None, "rlhf", b, s, wrong_way
        ),
        "direct edges for paths": lambda b, s: payment_equivalence.check_lemma_C_2(
            None, "rlhf", b, s, direct_edges
        ),
        "payments halved": lambda b, s: payment_equivalence.check_lemma_C_2(
            _paying(lambda game: affine_maximizer_payments(game) / 2), _uniform_chi2, b, s
        ),
    },
    "prop-4.8-kl": _modulus_controls(
        payment_equivalence.check_prop_4_8_kl, payment_equivalence.kl_sharp
    ),
    "prop-4.8-chi2": _modulus_controls(
        payment_equivalence.check_prop_4_8_chi2, payment_equivalence.chi2_sharp
    ),
    "lemma-B.1": {
        name: control
        for name, control in _modulus_controls(
            payment_equivalence.check_lemma_B_1, payment_equivalence.strong_sharp
        ).items()
        if name != "total variation in its place"  # its bound is wide where the modulus is small
    },
    "sharp-moduli": {
        "KL, 1 % tighter": lambda b, s: payment_equivalence.check_sharp_moduli(
            kl=_tighter(payment_equivalence.kl_sharp), budget=b, seed=s
        ),
        "strongly convex f, 1 % tighter": lambda b, s: payment_equivalence.check_sharp_moduli(
            strong=_tighter(payment_equivalence.strong_sharp), budget=b, seed=s
        ),
        "the paper's modulus called sharp": lambda b, s: payment_equivalence.check_sharp_moduli(
            kl=payment_equivalence.kl_paper, budget=b, seed=s
        ),
    },
    "prop-sheets": {
        "no freedom in the size": lambda b, s: payment_equivalence.check_sheets(
            lambda *given: _freedom(0.0, *given), b, s
        ),
        "a tenth more freedom": lambda b, s: payment_equivalence.check_sheets(
            lambda *given: _freedom(1.1, *given), b, s
        ),
        "direct jumps, no chains": lambda b, s: payment_equivalence.check_sheets(
            direct_jumps, b, s
        ),
    },
}
