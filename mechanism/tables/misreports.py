r"""Does lying pay? Group 1's misreports, each with a model that was trained for it.

The true reward values every model. Without payments a report is worth :math:`w_1 v_1`; with them
:math:`w_1 v_1 - \mathrm{pay}_1`, where the payment is what the model of the other group alone has
over this one in the others' welfare, :math:`w_2 v_2 - \lambda KL`. That pivot is the same for every
report, so that it has no part in gains over the truth. All models answer the same prompts from the
same random numbers, so that differences are taken sample by sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.core.rlhf_game import RLHFGame
from mechanism.core.sw_max import optimal_policies
from mechanism.tables.candidates import SIZE_SCALE, standard_error
from mechanism.tables.trained import TRUE, reports, sw_max_model, without

ERRORS = 2.0  # standard errors beyond which a difference counts
QUANTITIES = ("valuation", "payment", "utility")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Every sample of some models on the same prompts: k models, P prompts, S samples each.

    Attributes
    ----------
    names : tuple of str
        The models.
    rewards : ndarray, shape (n, k, P, S)
        Raw rewards.
    log_ratio : ndarray, shape (k, P, S)
        log(model / initial model), nats.
    """

    names: tuple[str, ...]
    rewards: Floats
    log_ratio: Floats

    def welfare(self, weights: ArrayLike, lam: float) -> Floats:
        """Weighted rewards less lam log-ratio, sample by sample, shape (k, P, S)."""
        return np.tensordot(np.asarray(weights, float), self.rewards, 1) - lam * self.log_ratio

    def row(self, name: str) -> int:
        """Return where a model stands."""
        return self.names.index(name)


def drawn(samples: pd.DataFrame, names: Sequence[str], rewards: Sequence[str]) -> Drawn:
    """Take all samples of the named models out of a sample table.

    Raises
    ------
    InvalidInputError
        Where a model is missing, or has another number of samples than the others.
    """
    kept = samples[samples["candidate"].isin(names)]
    counts = kept.groupby("candidate").size().reindex(list(names)).fillna(0)
    if counts.min() == 0 or counts.nunique() > 1:
        fix = "draw as many completions from each"
        raise InvalidInputError("samples", counts.to_dict(), "must be alike and above 0", fix)
    kept = kept.assign(
        ratio=kept["log_prob"] - kept["log_prob_initial"],
        candidate=pd.Categorical(kept["candidate"], categories=list(names)),
    ).sort_values(["candidate", "prompt", "sample"])
    columns = [*(f"reward_{name}" for name in rewards), "ratio"]
    shape = (len(columns), len(names), kept["prompt"].nunique(), -1)
    parts = kept[columns].to_numpy(float).T.reshape(shape)
    return Drawn(tuple(names), parts[:-1], parts[-1])


def error_of(parts: Floats, fixed_prompts: bool) -> Floats:
    """Standard error of the mean of (..., P, S): over prompts, or over samples where they are all.

    >>> error_of(np.array([[0.0, 2.0], [4.0, 6.0]]), True).round(4)
    np.float64(0.7071)
    """
    if not fixed_prompts:
        return standard_error(parts.mean(axis=-1))
    squares = parts.var(axis=-1, ddof=1) / parts.shape[-1]
    return np.asarray(np.sqrt(squares.sum(axis=-1)) / parts.shape[-2])[()]


def available(samples: pd.DataFrame, sizes: tuple[float, float] = TRUE) -> bool:
    """Whether a sample table has the truth's model and one of a misreport at these sizes."""
    there = set(samples["candidate"])
    false = {report.model for report in reports(sizes) if report.value not in (0, 1)}
    return sw_max_model(sizes) in there and bool(false & there)


def trained_reports(
    samples: pd.DataFrame, rewards: Sequence[str], lam: float,
    sizes: tuple[float, float] = TRUE, fixed_prompts: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Return what every report brings group 1 whose model is in a sample table.

    Parameters
    ----------
    samples : DataFrame
        As in `candidates.check_table`.
    rewards : sequence of str
        Group 1's and group 2's, raw.
    lam : float
        Weight of the divergence.
    sizes : tuple of float
        True ones.
    fixed_prompts : bool
        Whether errors are over samples alone, since there are no other prompts.

    Returns
    -------
    DataFrame
        A row a report: `kind`, `value`, `model`; `valuation`, `payment`, `utility`, and the gains
        of the first and the last over the truth, `valuation_gain` and `utility_gain`; each with
        `_se`. Payment and utility are nan where the model of the other group was not trained.
    """
    there = set(samples["candidate"])
    listed = [report for report in reports(sizes) if report.model in there]
    found = drawn(samples, list(dict.fromkeys(r.model for r in listed)), rewards)
    first, second = (SIZE_SCALE * size for size in sizes)
    own, others = found.welfare((first, 0.0), 0.0), found.welfare((0.0, second), lam)
    pivot = others[found.row(without(sizes, 0))] if without(sizes, 0) in there else np.nan
    truth, lines = found.row(sw_max_model(sizes)), []
    for report in listed:
        k = found.row(report.model)
        gain, others_gain = own[k] - own[truth], others[k] - others[truth]
        parts = {
            "valuation": own[k], "payment": pivot - others[k],
            "utility": own[k] + others[k] - pivot,
            "valuation_gain": gain, "utility_gain": gain + others_gain,
        }  # fmt: skip
        line = {"kind": report.kind, "value": report.value, "model": report.model}
        for name, part in parts.items():
            line |= {name: float(part.mean()), f"{name}_se": float(error_of(part, fixed_prompts))}
        lines.append(line)
    return pd.DataFrame(lines)


@dataclass(frozen=True, eq=False)
class Lying:
    """Whether lying pays without payments, and does not with them.

    Attributes
    ----------
    table : DataFrame
        Of `trained_reports`.
    """

    table: pd.DataFrame

    @cached_property
    def lies(self) -> pd.DataFrame:
        """The reports that are not the truth, with both gains in standard errors."""
        rows = self.table[self.table["value"] != 1]
        return rows.assign(
            without=rows["valuation_gain"] / rows["valuation_gain_se"],
            paid=rows["utility_gain"] / rows["utility_gain_se"],
        )

    @property
    def best(self) -> pd.Series:
        """The lie that brings most without payments."""
        return self.lies.loc[self.lies["valuation_gain"].idxmax()]

    @property
    def pays_without(self) -> bool:
        """Whether that lie gains beyond two standard errors without payments."""
        return bool(self.best["without"] > ERRORS)

    @property
    def pays_with(self) -> bool:
        """Whether some lie gains beyond two standard errors with payments."""
        return bool(self.lies["paid"].max() > ERRORS)

    @property
    def worse(self) -> int:
        """Number of lies that fall below the truth with payments, beyond two standard errors."""
        return int((self.lies["paid"] < -ERRORS).sum())

    @property
    def holds(self) -> bool:
        """Whether lying pays without payments, and nothing gains with them."""
        return self.pays_without and not self.pays_with

    @property
    def words(self) -> str:
        """Return the verdict in a sentence."""
        best, total = self.best, len(self.lies)
        said = (
            f"{'Yes' if self.holds else 'No'}: without payments {best['kind']} = {best['value']:g}"
            f" brings {best['valuation_gain']:+.4f} ({best['without']:+.1f} standard errors);"
            f" with them it brings {best['utility_gain']:+.4f} ({best['paid']:+.1f})"
        )
        most = self.lies["paid"].max()
        return (
            f"{said}. Of {total} lies the best has {most:+.1f} with payments, and {self.worse} fall"
            " below the truth by more than two."
        )


def exact_reports(
    game: RLHFGame, sizes: tuple[float, float] = TRUE, steps: int = 61
) -> pd.DataFrame:
    """Return the curves of `trained_reports` for models that are exactly optimal.

    Parameters
    ----------
    game : RLHFGame
        Of the two groups at `sizes`, a batch over prompts.
    steps : int
        Reports of each kind: alpha from 0 to 3, beta from 0.5 to 1.5.
    """
    rows, lines = game.rewards, []
    first, second = (SIZE_SCALE * size for size in sizes)
    pivot = optimal_policies(second * rows[:, 1], game.reference, game.divergence)[1].mean()
    for kind, grid in (("alpha", np.linspace(0, 3, steps)), ("beta", np.linspace(0.5, 1.5, steps))):
        share = grid[:, None, None] * first
        rest = second + (0.0 if kind == "alpha" else first - share)
        scores = share * rows[:, 0] + rest * rows[:, 1]
        models, best = optimal_policies(scores, game.reference, game.divergence)
        paid = np.vecdot(scores, models) - best  # the divergence, from the value of the optimum
        own = first * np.vecdot(models, rows[:, 0]).mean(axis=-1)
        others = (second * np.vecdot(models, rows[:, 1]) - paid).mean(axis=-1)
        columns = {"valuation": own, "payment": pivot - others, "utility": own + others - pivot}
        lines.append(pd.DataFrame({"kind": kind, "value": grid} | columns))
    return pd.concat(lines, ignore_index=True)
