r"""What changes when rewards are min-max normalised over the candidates, as in the paper.

A reward that spans :math:`s_i` over the candidates is divided by it. The rule then maximises
:math:`\sum_i (w_i / s_i) rm_i - \lambda KL`, which is the rule of fixed units with sizes w_i / s_i;
for equal spans s it is that of the true sizes with :math:`\lambda s` in place of lambda.
"""

import pandas as pd

from mechanism.tables.candidates import INITIAL, Candidates
from mechanism.tables.curves import Curves, size_label

WIDE = (0.05, 0.95)  # quantiles: constants of the samples that single ones hardly move


def spreads(samples: pd.DataFrame, soups: Candidates, lam: float) -> pd.DataFrame:
    """Return a row a reward: its spread over the initial model's samples, and over the soups.

    Parameters
    ----------
    samples : DataFrame
        A sample table; of it only the initial model's rows are read.
    soups : Candidates
        The models that min-max is taken over; their rewards are those compared.
    lam : float
        The strength of the divergence in raw reward units per nat, as trained with.

    Returns
    -------
    DataFrame
        `reward`; `initial, 5 %` and `initial, 95 %` of the samples, and `lam, initial`, lam over
        their distance; `soups, least` and `soups, greatest` mean, and `lam, min-max`, the raw
        reward units per nat to which min-max turns the same number lam.
    """
    first = samples[samples["candidate"] == INITIAL]
    means = soups.rewards.mean(axis=-1)
    lines = []
    for name, row in zip(soups.reward_names, means, strict=True):
        low, high = first[f"reward_{name}"].quantile(list(WIDE))
        least, greatest = float(row.min()), float(row.max())
        line = {"reward": name, "initial, 5 %": low, "initial, 95 %": high}
        line |= {"lam, initial": lam / (high - low)}
        line |= {"soups, least": least, "soups, greatest": greatest}
        lines.append(line | {"lam, min-max": lam * (greatest - least)})
    return pd.DataFrame(lines)


def compare(fixed: Candidates, one: Curves, other: Curves) -> pd.DataFrame:
    """Return a row a size vector: the truth in fixed units, and in the paper's.

    Parameters
    ----------
    fixed : Candidates
        In fixed units; soups and the initial model.
    one, other : Curves
        Of these candidates in fixed units; of the soups alone, min-max normalised.

    Returns
    -------
    DataFrame
        `sizes`; the choice at the truth and its KL in nats, fixed and min-max; `lam in reward
        units` of the min-max rule for each group, lam times the reward's span over the soups;
        `costs`, by how much the min-max choice is worse by the objective of the fixed units.
    """
    names = list(fixed.names)
    soups = fixed.only([name for name in names if name != INITIAL])
    low, high = soups.rewards.mean(axis=-1).min(axis=-1), soups.rewards.mean(axis=-1).max(axis=-1)
    lines = []
    for sizes in one.sizes:
        game = fixed.game(sizes, one.lam)
        welfare = game.sizes @ game.values - one.lam * fixed.kl.mean(axis=-1)
        line: dict[str, object] = {"sizes": size_label(sizes)}
        at = []
        for label, drawn in (("fixed", one), ("min-max", other)):
            rows = drawn.curve(sizes, "alpha")
            name = rows.loc[rows["parameter"] == 1.0, "choice"].iloc[0]
            at.append(names.index(name))
            line |= {f"choice, {label}": name, f"KL, {label}": fixed.kl[at[-1]].mean()}
        for reward, span in zip(fixed.reward_names, other.lam * (high - low), strict=True):
            line |= {f"lam for {reward}": span}
        lines.append(line | {"costs": welfare[at[0]] - welfare[at[1]]})
    return pd.DataFrame(lines)
