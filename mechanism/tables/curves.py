r"""Figure 2 as numbers: what a group gets as its report moves, with bootstrap intervals.

Strategy "alpha": the size is reported as :math:`\alpha w_i` (0: left out, the model of the others,
payment 0). Strategy "beta": the reward is reported as :math:`\beta\,rm_i + (1-\beta)\,rm_j` of the
next group. 1 is the truth in both. `valuation` is :math:`w_i v_i` of the true reward and size, as
in the paper.

Intervals are percentiles of a paired bootstrap over prompts: one replicate draws P prompts with
replacement and uses them at every report, both strategies and all sizes, so that differences
between reports have intervals too (`gain`). For candidates each replicate recomputes mean rewards,
KL, the min-max normalisation over candidates and the chosen candidate. For samples it averages the
drawn prompts' results anew and keeps the normalisation, whose ends are the extremes of all samples.
The intervals cover the choice of prompts and the noise of the samples within each; not the training
seed, nor the bias that comes from finitely many samples, nor that of choosing a maximum of noisy
values.
Source: Section 5 and Figure 2, arXiv:2405.16276v4; percentile bootstrap, Efron (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats, InvalidInputError, group_index
from mechanism.tables.candidates import SIZES
from mechanism.tables.reports import (
    Source,
    play,
    play_candidates,
    point_stakes,
    replicated,
)
from mechanism.tables.support import Support

ALPHAS = np.arange(0, 61) / 20
BETAS = np.arange(10, 41) / 20
ALPHAS.flags.writeable = BETAS.flags.writeable = False
QUANTITIES = ("valuation", "payment", "utility", "gain")
TIE = 1e-12  # of the utility, whose greatest value is a size of at most 1
Strategy = Literal["alpha", "beta"]


@dataclass(frozen=True, eq=False)
class Curves:
    """Valuation, payment and utility of one group against its reports.

    Attributes
    ----------
    frame : DataFrame
        One row a report: `sizes` (a label such as "(3, 7)"), `strategy` ("alpha" or "beta"),
        `parameter`; `choice` (the chosen candidate) and `stability` (share of replicates that
        choose it), or `ess` (median over prompts); `valuation`, `payment`, `utility` and `gain`
        (utility less that of the truth), each with `_low` and `_high`.
    sizes : tuple of tuples
        True sizes, before `SIZE_SCALE`.
    lam : float
        Strength of the divergence.
    group : int
        Whose reports vary, from 0.
    level : float
        Nominal coverage of the intervals.
    replicates, seed : int
        Of the bootstrap.
    """

    frame: pd.DataFrame
    sizes: tuple[tuple[float, ...], ...]
    lam: float
    group: int
    level: float
    replicates: int
    seed: int

    def curve(self, sizes: Sequence[float], strategy: Strategy) -> pd.DataFrame:
        """Return the rows of one curve, by rising parameter."""
        label = size_label(sizes)
        rows = self.frame[(self.frame["sizes"] == label) & (self.frame["strategy"] == strategy)]
        if rows.empty:
            have = ", ".join(self.frame["sizes"].unique())
            fix = f"sizes are {have}; strategies alpha and beta"
            raise InvalidInputError("sizes", f"{label}, {strategy}", "no such curve", fix)
        return rows.reset_index(drop=True)

    @property
    def worst_gain(self) -> float:
        """Largest gain over the truth of any other report on any curve; at most 0 where DSIC."""
        return float(self.summary()["worst_gain"].max())

    def summary(self) -> pd.DataFrame:
        """One row a curve: the truth, the worst margins, and whether the curve ever falls.

        `stability` is that of the truthful choice. `worst_gain` is the largest gain over the truth
        of another report, at parameter `worst_at`; `tied` is the share of reports that do as well;
        `valuation_fall` and `payment_fall` are the largest falls below the value at a lower
        parameter (for alpha none is possible beyond rounding: the model's w_i v_i is the slope
        of a convex function of alpha).
        """
        lines = []
        for (label, strategy), rows in self.frame.groupby(["sizes", "strategy"], sort=False):
            truth, others = rows[rows["parameter"] == 1.0], rows[rows["parameter"] != 1.0]
            worst = others.loc[others["gain"].idxmax()]
            kept = rows[["valuation", "payment"]]
            falls = (kept.cummax() - kept).max()
            lines.append(
                {
                    "sizes": label,
                    "strategy": strategy,
                    **truth[[*QUANTITIES[:3], "stability"]].iloc[0],
                    "worst_gain": worst["gain"],
                    "worst_at": worst["parameter"],
                    "tied": (others["gain"] > -TIE).mean(),
                    "least_payment": rows["payment"].min(),
                    "valuation_fall": falls["valuation"],
                    "payment_fall": falls["payment"],
                }
            )
        return pd.DataFrame(lines)


def curves(
    source: Source,
    lam: float,
    sizes: Sequence[Sequence[float]] = SIZES,
    group: int = 0,
    alphas: Floats = ALPHAS,
    betas: Floats = BETAS,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Curves:
    """Run the mechanism along both strategies for every vector of sizes.

    Parameters
    ----------
    source : Candidates or Support
        Trained candidates, or samples of the initial model.
    lam : float
        Strength of the divergence, normalised reward units per nat.
    sizes : sequence of sequences
        True sizes, before `SIZE_SCALE`.
    group : int
        Whose reports vary, from 0; the others are truthful.
    alphas, betas : ndarray
        Rising grids of reports that contain 1, the truth; alphas >= 0.
    replicates, level, seed
        Of the bootstrap.

    Raises
    ------
    InvalidInputError
        Where a grid lacks the truth or does not rise, or an argument breaks its rule.
    """
    group = group_index(group, len(source.reward_names))
    grids = {"alpha": _grid("alphas", alphas), "beta": _grid("betas", betas)}
    if grids["alpha"][0] < 0:
        raise InvalidInputError("alphas[0]", grids["alpha"][0], "must be >= 0", "0 leaves out")
    if not 0 < level < 1 or replicates < 1:
        rule = "level must be in (0, 1), replicates >= 1"
        raise InvalidInputError("level, replicates", (level, replicates), rule, "0.95, 1000")
    prompts = source.prompts
    draws = np.random.default_rng(seed).multinomial(
        prompts, np.full(prompts, 1 / prompts), replicates
    )
    parts = [
        _lines(source, one, strategy, grid, lam, group, draws / prompts, level)
        for one in sizes
        for strategy, grid in grids.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    kept = tuple(tuple(map(float, one)) for one in sizes)
    return Curves(frame, kept, lam, group, level, replicates, seed)


def size_label(sizes: Sequence[float]) -> str:
    """Name a vector of sizes.

    >>> size_label((3.0, 7.0))
    '(3, 7)'
    """
    return f"({', '.join(f'{size:g}' for size in sizes)})"


def _lines(
    source: Source, sizes: Sequence[float], strategy: str, grid: Floats, lam: float, group: int,
    weights: Floats, level: float,
) -> pd.DataFrame:  # fmt: skip
    """One curve with its intervals; `weights` (R, P) are the bootstrap's shares of prompts."""
    own = point_stakes(source, sizes, lam, group)
    point = play(source, own, getattr(own, strategy)(grid), lam)
    columns: dict[str, object] = {
        "sizes": size_label(sizes), "strategy": strategy, "parameter": grid
    }  # fmt: skip
    if isinstance(source, Support):
        parts = point.valuation, point.payment
        middle = [part.mean(axis=0) for part in parts]
        drawn = [weights @ part for part in parts]
        columns |= {"choice": None, "stability": np.nan, "ess": np.median(point.choice, axis=0)}
    else:
        again = replicated(source, sizes, lam, group, weights)
        played = play_candidates(again, getattr(again, strategy)(grid))
        middle, drawn = [point.valuation, point.payment], [played.valuation, played.payment]
        names = np.array(source.names, dtype=object)[point.choice.astype(int)]
        same = (played.choice == point.choice).mean(axis=0)
        columns |= {"choice": names, "stability": same, "ess": np.nan}
    ends = (1 - level) / 2, (1 + level) / 2
    pairs = zip(_quantities(grid, *middle), _quantities(grid, *drawn), strict=True)
    for name, (value, replicates) in zip(QUANTITIES, pairs, strict=True):
        low, high = np.quantile(replicates, ends, axis=0)
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)


def _quantities(grid: Floats, valuation: Floats, payment: Floats) -> tuple[Floats, ...]:
    utility = valuation - payment
    truth = utility[..., grid == 1.0]
    return valuation, payment, utility, utility - truth


def _grid(argument: str, grid: Floats) -> Floats:
    values = np.asarray(grid, dtype=float)
    if values.ndim != 1 or len(values) < 2 or not (np.diff(values) > 0).all():
        raise InvalidInputError(argument, grid, "must be a rising grid of 2 or more", "sort it")
    if not (values == 1.0).any():
        raise InvalidInputError(argument, grid, "must contain 1, the truth", "add 1.0")
    return values
