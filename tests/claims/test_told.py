"""What the pages and the registry say where they were once wrong, or silent."""

import re
from pathlib import Path

import numpy as np
import pytest

from mechanism import KL, RLHFGame, misreports, sw_max
from mechanism.attack.reports import constant_report, own_row, random_type
from mechanism.attack.type_graph import type_graph
from mechanism.claims import CLAIMS, check
from mechanism.core.samplers import sample_game
from mechanism.theorems import necessary_payments
from mechanism.theorems.misreport import flat_kl, gains

BOOK = Path(__file__).parents[2] / "book"
PAGES = {path.stem: path.read_text("utf-8") for path in BOOK.rglob("*.md")}
REFUTED = {  # page: what it may not say
    "misreport": r"(strict|> 0)[^.|]*(under|by) (a|one) fixed order|order of ties[^.|]*same work",
    "gradient": r"truth is optimal(?!.{0,20} among)",
    "cycle_monotonicity": r"no violating cycle of two types, though",
}
SHARPER = {  # page: what one of its cells asserts
    "misreport": ("lost = (first_by_h(game)", "assert lost > "),
    "gradient": ("size=2.0", "assert doubled > "),
    "cycle_monotonicity": ('"Nash welfare": (nash_welfare', "assert max(cycles.values()) < "),
    "affine_maximizer": ("KL(0.2)", "assert (each > ", "np.diff(line) < 0"),
}

CORES = [page for page in PAGES if re.search(r"\b(proof|p)\.core\b|minimal_core", PAGES[page])]


def prose(page):
    return re.sub(r"```\{code-cell\}.*?```", "", PAGES[page], flags=re.S)


def cells(page):
    return re.findall(r"```\{code-cell\}.*?```", PAGES[page], flags=re.S)


@pytest.mark.parametrize("page", REFUTED)
def test_pages_do_not_say_what_is_refuted(page):
    assert not re.search(REFUTED[page], re.sub(r"\s+", " ", prose(page)))


@pytest.mark.parametrize("page", SHARPER)
def test_a_sharper_truth_is_asserted_by_a_cell(page):
    assert any(all(part in cell for part in SHARPER[page]) for cell in cells(page))


def test_assumptions_that_are_not_used_are_named():
    text = re.sub(r"\s+", " ", prose("payment_equivalence"))
    assert "neither continuity, nor the third assumption, nor SW-Max is used" in text
    assert "needs no continuity" in prose("necessary_payments")
    label = PAGES["cycle_monotonicity"].split("prop-nash-pairs", 1)[1]
    assert "$f''(1) > 0$" in label.split("```")[0]


@pytest.mark.parametrize("page", CORES)
def test_a_minimal_core_belongs_to_the_reduced_system(page):
    assert "reduced system" in prose(page)


def test_lemma_c_1_is_restated():
    claim = CLAIMS["lemma-C.1"]
    assert "straight" in claim.statement and "onnected domain" not in claim.statement
    (row,) = re.findall(r"^\| Lemma C\.1 \|.*$", PAGES["discrepancies"], flags=re.M)
    assert "Straight segments are enough, and that is what is checked" in row


def tied_game():
    rewards = [[0.4, 0.3, 0.2, 0.1], [0.05, 0.4, 0.5, 0.05]]
    return RLHFGame(rewards, [1, 1], [0.25] * 4, flat_kl(1.0), "summation")


def test_a_fixed_order_of_models_loses_and_a_monotone_one_does_not():
    game = tied_game()
    report = misreports.theorem_4_2(game, 0, 0.01)
    share = np.linspace(0, 1, 101)[:, None]

    def optimal(one):
        p = sw_max(one)
        free = p[1] + p[2] - 0.5
        return p + (share * free - (p[1] - 0.25)) * np.array([0, 1, -1, 0])

    models = optimal(game), optimal(report)
    for one, tied in zip((game, report), models, strict=True):
        np.testing.assert_allclose(one.welfare(tied), one.welfare(sw_max(one)), atol=1e-12)
    height = [(p[:, 1] - p[:, 2]) * (p[:, 1] + p[:, 2] - 0.66080) for p in models]
    first = [p[h.argmax()] for p, h in zip(models, height, strict=True)]
    assert (first[1] - first[0]) @ game.rewards[0] == pytest.approx(-0.0156, abs=1e-4)
    for k in (0, 100):  # all to the third outcome, all to the second: monotone both
        assert (models[1][k] - models[0][k]) @ game.rewards[0] > 1e-4
    assert "f strictly convex, or monotone ties" in CLAIMS["thm-4.2-2"].assumptions


def test_truth_is_optimal_among_rewards_and_not_among_sizes():
    game = RLHFGame([[1, 0, 0], [1 / 3] * 3], [1, 1], [1 / 3] * 3, KL(1.0), "summation")
    assert gains(game, game.with_report(0, size=2.0), 0) == pytest.approx(0.211, abs=5e-4)
    for claim in ("prop-zero-one", "prop-kl-complete"):
        assert re.search(r"report of the reward|among rewards", CLAIMS[claim].statement)


def test_the_cheapest_rule_is_a_linear_program(monkeypatch):
    """Affine payments less a constant are no cheapest rule on a finite set of types."""
    solved, program = [], necessary_payments.check.cheapest_payment

    def seen(lengths, k):
        solved.append((program(lengths, k), least_by_paths(lengths, k)))
        return solved[-1][0]

    monkeypatch.setattr(necessary_payments.check, "cheapest_payment", seen)
    assert check("thm-4.11-lower", budget=600, seed=3).status == "holds"
    assert len(solved) >= 15
    np.testing.assert_allclose(*np.array(solved).T, atol=1e-7)
    rng, below = np.random.default_rng(0), []
    for _ in range(20):
        game = sample_game(rng, 3, 4, KL(0.3), "maximum")
        drawn = [random_type(rng, game, 0) for _ in range(20)]
        types = [(constant_report(game, 0), 1.0), (own_row(game, 0), 5.0), *drawn]
        rewards, sizes = np.array([r for r, _ in types]), np.array([w for _, w in types])
        batch = game.with_report(0, reward=rewards, size=sizes)
        paid = necessary_payments.affine_payments(batch)[:, 0]
        lengths = type_graph(game, 0, rewards, sizes).lengths
        below.append(paid[1] - paid.min() - program(lengths, 1))
    assert min(below) > -1e-9 and max(below) > 0.3


def least_by_paths(lengths, k):
    """Floyd and Warshall: the dual of the linear program."""
    best = lengths.copy()
    for j in range(len(best)):
        best = np.minimum(best, best[:, j : j + 1] + best[j : j + 1])
    return max(0.0, -best[k].min())
