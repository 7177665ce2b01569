"""Regression beside RLOO as recorded: what each won, what it drew, how long it took."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mechanism.llm.config import REWARDS
from mechanism.llm.models.soups import recipes
from mechanism.llm.runs import outcomes
from mechanism.llm.runs.record import RECORDED, Recorded, read
from mechanism.tables import candidates, objective, verdicts

SHARE = ("game", "trained for", "seed", "trainer", "share", "share_se")


def balances(run: Recorded) -> pd.DataFrame:
    """Return what each training of a run won in its own reward, paid in KL, and net.

    Returns
    -------
    DataFrame
        `game`, `seed`, `trained for`, the fields of `verdicts.Balance`, and `paid back`, which is
        won / (lam KL): below 1 the model is worse than the initial one by its own objective.
    """
    lam, lines = run.settings.lam, []
    ends = candidates.trained_models(run.settings.rewards)
    found = candidates.from_table(outcomes.tables(run), list(ends))
    for name, end in ends.items():
        if end in found.names:
            got = verdicts.balance(found, end, name, lam)
            line = {"game": run.settings.game, "seed": run.settings.seed, "trained for": name}
            lines.append(line | vars(got) | {"paid back": got.won / (lam * got.kl)})
    return pd.DataFrame(lines)


def texts_drawn(run: Recorded) -> tuple[int, int]:
    """Return the completions that training drew once for all models, and for each model."""
    s = run.settings
    if s.trainer == "regression":
        return s.train_prompts * s.pool_samples, s.rounds * s.train_prompts * s.round_samples
    return 0, s.steps * s.batch


def costs(run: Recorded) -> dict[str, Any]:
    """Return what the trainings of a run cost: completions and time, and on what."""
    shared, each = texts_drawn(run)
    stages = pd.Series(run.provenance["stages"], dtype=float)
    train = stages.filter(like="train-")
    return {
        "game": run.settings.game,
        "seed": run.settings.seed,
        "trainer": trainer_of(run),
        "texts for all models": shared,
        "texts for each model": each,
        "minutes for one model": train.median() / 60 if len(train) else None,
        "minutes in all": run.provenance["seconds"] / 60,
        "hardware": run.provenance["hardware"],
    }


def trainings(games: Sequence[str] = tuple(REWARDS)) -> tuple[Recorded, ...]:
    """Return the recorded trainings: by regression, all seeds, then by RLOO, game by game.

    Last those by RLOO with as many completions as regression.
    """
    runs: list[Recorded] = []
    for game in games:
        runs += [*outcomes.seeds_of(game), outcomes.rloo_run(game)]
    return (*runs, *(run for run in outcomes.rloo_equal_runs() if run.settings.game in games))


def trainer_of(run: Recorded) -> str:
    """Return how tables name the trainer of a run: RLOO is there at two budgets."""
    equal = run.folder.name.endswith(outcomes.EQUAL)
    return "rloo, as many completions" if equal else run.settings.trainer


def beside(runs: Sequence[Recorded]) -> pd.DataFrame:
    """Return the balances of several runs, with the trainer of each."""
    return pd.concat(
        [balances(run).assign(trainer=trainer_of(run)) for run in runs], ignore_index=True
    )


def shares(runs: Sequence[Recorded]) -> pd.DataFrame:
    """Return the share of the possible gain that each single reward's model reached, by trainer.

    Returns
    -------
    DataFrame
        `game`, `trained for`, `seed`, `trainer`; `share` and its error: regression after the fits
        to the pool alone (0 rounds) and after each round on policy, from the record of outcomes
        where that has the run; all others from their samples.
    """
    single = [reward for names in REWARDS.values() for reward in names]
    fitted = pd.read_csv(RECORDED / "regression" / "outcomes.csv")
    fitted = fitted[fitted["trained for"].isin(single)]
    told = "regression, " + fitted["rounds"].astype(str) + " rounds"
    lines = fitted.assign(trainer=told)[[*SHARE]].to_dict("records")
    have = set(zip(fitted["game"], fitted["seed"], strict=True))
    for run in runs:
        fits, where = run.settings.trainer == "regression", (run.settings.game, run.settings.seed)
        if not fits or where not in have:
            named = f"regression, {run.settings.rounds} rounds" if fits else trainer_of(run)
            table, lam = outcomes.tables(run), run.settings.lam
            there = set(table["candidate"])
            for reward, end in candidates.trained_models(run.settings.rewards).items():
                if reward in run.settings.rewards and end in there:
                    got = objective.reached(table, [reward], np.ones(1), lam, end)
                    line = run.settings.game, reward, run.settings.seed, named
                    lines.append(dict(zip(SHARE, (*line, got.share, got.share_se), strict=True)))
    return pd.DataFrame(lines)


def scaled_run() -> Recorded:
    """Return the recorded training whose soups were sampled whole and scaled down."""
    (folder,) = RECORDED.glob("small_*_scaled_seed*")
    return read(folder)


def scaled_soups(run: Recorded) -> pd.DataFrame:
    """Return what soups win by the groups' objective, whole and scaled, at each size vector.

    Returns
    -------
    DataFrame
        A row a size vector (`sizes`), `weight` on the first reward and `scale`: `won`, `kl` and
        `net` = won - lam kl, each with its standard error. Rows without a weight (NaN) are what
        the rule releases, chosen on other prompts, among whole soups (scale 1) and among all.
    """
    table, rewards, lam = outcomes.tables(run), run.settings.rewards, run.settings.lam
    points, scales = run.settings.soups, run.settings.soup_scales
    whole = table[~table["candidate"].str.contains(candidates.SCALED, regex=False)]
    among = {1.0: whole, min(scales): table}
    lines = []
    for sizes in candidates.SIZES:
        weights = outcomes.size_weights(sizes)
        found = [
            (sum(mix), mix[0] / sum(mix), objective.gains(table, rewards, weights, lam, name))
            for name, mix in recipes(points, scales).items()
        ]
        for scale, rows in among.items():
            found.append((scale, np.nan, objective.released_gains(rows, rewards, weights, lam)))
        for scale, weight, got in found:
            line = {"sizes": f"{sizes[0]:g}, {sizes[1]:g}", "weight": weight, "scale": scale}
            lines.append(line | vars(got.summary()))
    columns = ["sizes", "weight", "scale", "won", "won_se", "kl", "kl_se", "net", "net_se"]
    return pd.DataFrame(lines)[columns].round({"weight": 9, "scale": 9})


def divergence_by_step(run: Recorded, parts: int = 3) -> pd.DataFrame:
    """Return the mean KL per token of the trainer's own log, a column a part of the training.

    Raises
    ------
    ValueError
        Where the trainer keeps no such log.
    """
    log = run.training
    if log is None or "kl" not in log:
        raise ValueError(f"{run.folder}: this trainer logs no divergence")
    part = pd.cut(log["step"], parts, labels=[f"part {k + 1} of {parts}" for k in range(parts)])
    table = log.groupby(["trained_for", part], observed=True)["kl"].mean().unstack()
    return table.rename_axis(index="trained for", columns=None)
