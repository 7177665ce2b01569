r"""The mechanism on real models: 105 fine-tuned Llama-2-7B models as finite candidate sets.

Each of five methods (RS, MORLHF, RiC, MOD, HoE) gives 21 candidates; groups 1, 2, 3 value
helpfulness, harmlessness and humor, min-max normalised over all 105 rows. No divergence from the
initial model was published with the rewards, so none is in the game.

In a candidate game a report matters only through the candidate k that it brings about, and group i
then pays :math:`\max_j ASW_{-i}(j) - ASW_{-i}(k)`. So the best misreport among *all* reports is
found exactly, by trying every candidate that a report can force.
"""

import itertools
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from mechanism import CandidateGame, affine_maximizer_payments, misreports, sw_max
from mechanism.core.errors import Floats

METHODS = ("RS", "MORLHF", "RiC", "MOD", "HoE")
REWARDS = ("helpful", "harmless", "humor")
SIZES = ((1, 1, 1), (3, 2, 1), (4, 5, 3), (3, 1, 4))
ALPHAS = np.arange(1, 61) / 20  # 0.05 to 3; 1 is the truth
BETAS = np.arange(0, 61) / 20
ALPHAS.flags.writeable = BETAS.flags.writeable = False


@cache
def soups_frame(*methods: str) -> pd.DataFrame:
    """Models of the named methods (all 105 by default), min-max normalised over just these.

    >>> len(soups_frame()), len(soups_frame("RS", "MOD"))
    (105, 42)
    """
    source = files("mechanism") / "data" / "soups_helpful_harmless_humor.csv"
    frame = pd.read_csv(str(source), comment="#")
    frame = frame[frame.method.isin(methods or METHODS)]
    raw = frame[list(REWARDS)]
    return frame.assign(**(raw - raw.min()) / (raw.max() - raw.min()))


def model_names(method: str) -> list[str]:
    """Name each model of a method by its preference weights, e.g. "0.8 helpful + 0.2 humor"."""
    frame = soups_frame().query("method == @method")
    return [
        " + ".join(f"{row[f'w_{r}']:g} {r}" for r in REWARDS if row[f"w_{r}"] > 0)
        for _, row in frame.iterrows()
    ]


def soups_game(method: str, sizes: tuple[float, ...]) -> CandidateGame:
    """The 21 models of a method as candidates; groups value helpful, harmless, humor.

    >>> soups_game("RS", (3, 2, 1)).candidates
    21
    """
    rows = soups_frame().query("method == @method")[list(REWARDS)]
    return CandidateGame(rows.to_numpy().T, np.array(sizes, float))


@dataclass(frozen=True, eq=False)
class Strategy:
    """What one group gets along a grid of reports.

    Attributes
    ----------
    parameter : ndarray, shape (k,)
        alpha or beta; 1 is the truth.
    valuation, payment, utility : ndarray, shape (k,)
        w_i v_i of the true reward, what the group pays, and their difference.
    """

    parameter: Floats
    valuation: Floats
    payment: Floats
    utility: Floats


def play(game: CandidateGame, reported: CandidateGame, i: int, parameter: Floats) -> Strategy:
    """Run the mechanism on a batch of reported games; value it by the true game."""
    chosen, payments = sw_max(reported), affine_maximizer_payments(reported)
    valuation = game.sizes[i] * game.values[i][chosen]
    payment = payments[..., i]
    return Strategy(parameter, valuation, payment, valuation - payment)


def play_alpha(game: CandidateGame, i: int = 0, grid: Floats = ALPHAS) -> Strategy:
    """Strategy (1): group i reports alpha w_i members."""
    return play(game, misreports.scale_size(game, i, grid), i, grid)


def play_beta(game: CandidateGame, i: int = 0, grid: Floats = BETAS) -> Strategy:
    """Strategy (2): group i reports beta rm_i + (1 - beta) rm_j of the next group j.

    Group 1 mixes with group 2, as in the paper.
    """
    other = (i + 1) % game.groups
    return play(game, misreports.mix_rewards(game, i, grid, other), i, grid)


@dataclass(frozen=True)
class BestReport:
    """Best of all reports, found by trying every candidate.

    Attributes
    ----------
    free_gain : float
        Gain in w_i v_i without payments, any reward values and any size.
    free_gain_true_size : float
        The same where the reported reward must lie in [0, 1] and the reported size be true.
    paid_gain : float
        Gain in utility with affine maximizer payments, any reward values and any size; 0 is
        what truth gives.
    price : float
        What the report behind `free_gain` costs: the fall of utility, with payments.
    """

    free_gain: float
    free_gain_true_size: float
    paid_gain: float
    price: float


def best_report(game: CandidateGame, i: int) -> BestReport:
    """Exact best misreports of group i in one candidate game.

    A report rm' in [0, 1]^k with size w_i can force candidate k if and only if ASW_-i(k) + w_i
    reaches max_j ASW_-i(j): the best attempt is 1 at k and 0 elsewhere.
    """
    candidates = np.arange(game.candidates)
    own = game.sizes[i] * game.values[i]
    others = np.array([game.welfare(k, without=i) for k in candidates])
    payments = others.max() - others
    truth = int(sw_max(game))
    reachable = payments < game.sizes[i]
    reachable[truth] = True
    favourite = int(np.argmax(np.where(own == own.max(), others, -np.inf)))
    utility = own - payments
    return BestReport(
        float(own.max() - own[truth]),
        float(own[reachable].max() - own[truth]),
        float(utility.max() - utility[truth]),
        float(utility[truth] - utility[favourite]),
    )


def results_frame() -> pd.DataFrame:
    """Every method, size vector and group: chosen model, payment, utility, best misreports.

    Gains are over the truth, in the group's w_i v_i; "free" is without payments, "paid" with.
    """
    lines = []
    for method, sizes in itertools.product(METHODS, SIZES):
        game = soups_game(method, sizes)
        chosen = sw_max(game)
        payments = affine_maximizer_payments(game)
        utilities = game.utilities(chosen, payments)
        for i in range(game.groups):
            alpha, beta, best = play_alpha(game, i), play_beta(game, i), best_report(game, i)
            valuation = game.sizes[i] * game.valuations(chosen)[i]
            lines.append(
                {
                    "method": method,
                    "sizes": "({}, {}, {})".format(*sizes),
                    "group": i + 1,
                    "model": model_names(method)[int(chosen)],
                    "valuation": valuation,
                    "payment": payments[i],
                    "utility": utilities[i],
                    "free_gain_alpha": alpha.valuation.max() - valuation,
                    "free_gain_beta": beta.valuation.max() - valuation,
                    "free_gain_any_reward": best.free_gain_true_size,
                    "free_gain_any_report": best.free_gain,
                    "paid_gain_alpha": alpha.utility.max() - utilities[i],
                    "paid_gain_beta": beta.utility.max() - utilities[i],
                    "paid_gain_any_report": best.paid_gain,
                    "price_of_best_free_report": best.price,
                }
            )
    frame = pd.DataFrame(lines)
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = frame[numbers].round(6) + 0.0
    return frame


def random_attack(budget: int, seed: int) -> pd.DataFrame:
    """Random reports against `best_report`, in every method, size vector and group.

    Returns
    -------
    DataFrame
        Per case the margins: how much less than the exact best free gain the random reports
        gain without payments, and how much less than 0 with them. Negative: refuted.
    """
    rng = np.random.default_rng(seed)
    lines = []
    for method, sizes, i in itertools.product(METHODS, SIZES, range(3)):
        game = soups_game(method, sizes)
        reports = 3 * rng.normal(size=(budget, game.candidates))
        attack = play(game, game.with_report(i, reward=reports), i, np.arange(budget, dtype=float))
        truth = play_alpha(game, i, np.ones(1))
        free = best_report(game, i).free_gain - (attack.valuation.max() - truth.valuation.item())
        paid = truth.utility.item() - attack.utility.max()
        lines.append({"method": method, "sizes": sizes, "group": i + 1, "free": free, "paid": paid})
    return pd.DataFrame(lines)
