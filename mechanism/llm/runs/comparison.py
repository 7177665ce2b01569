"""Regression beside RLOO as recorded: what each won, what it drew, how long it took."""

import json
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
    fitted = fits_recorded(runs)
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


def fits_recorded(runs: Sequence[Recorded]) -> pd.DataFrame:
    """Return the record of outcomes, of single rewards, for those of the runs that it is of.

    Runs on a GPU have left it: what each fit reached. A seed that was trained anew elsewhere has a
    record of its own, and what stands there is of another training.
    """
    study = RECORDED / "regression"
    command = json.loads((study / "provenance.json").read_text("utf-8"))["command"]
    made = [(r.settings.game, r.settings.seed) for r in runs if r.provenance["command"] == command]
    found = pd.read_csv(study / "outcomes.csv")
    single = found["trained for"].isin([name for names in REWARDS.values() for name in names])
    return found[single & pd.MultiIndex.from_frame(found[["game", "seed"]]).isin(made)]


def scaled_run() -> Recorded:
    """Return the recorded training whose soups were sampled whole and scaled down."""
    (folder,) = RECORDED.glob("small_*_scaled_seed*")
    return read(folder)


def texts_run() -> Recorded:
    """Return the recorded training that fitted whole texts to the pool of `scaled_run`."""
    (folder,) = RECORDED.glob("small_*_texts_seed*")
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


def fitted_to() -> pd.DataFrame:
    """Return what single rewards won where tokens and where whole texts were fitted to one pool.

    Returns
    -------
    DataFrame
        A row a reward and `fit_to`: `won`, `kl`, `net`, `net_se`; `less`, what texts win net
        less than tokens, and its standard error, by prompt, on both rows.
    """
    runs, lines = {"tokens": scaled_run(), "texts": texts_run()}, []
    settings = runs["texts"].settings
    for name, end in candidates.trained_models(settings.rewards).items():
        if name in settings.rewards:
            found = {
                kind: objective.gains(outcomes.tables(run), [name], np.ones(1), settings.lam, end)
                for kind, run in runs.items()
            }
            less = found["tokens"].net - found["texts"].net
            apart = {"less": less.mean(), "less_se": float(candidates.standard_error(less))}
            for kind, got in found.items():
                lines.append({"trained for": name, "fit_to": kind} | vars(got.summary()) | apart)
    columns = ["trained for", "fit_to", "won", "kl", "net", "net_se", "less", "less_se"]
    return pd.DataFrame(lines)[columns]


def repeats(game: str, seed: int) -> pd.DataFrame:
    """Return what the rule releases in each recorded training of one game and seed on one pool.

    Returns
    -------
    DataFrame
        A row a training by regression of tokens and a size vector, by rising number of texts:
        `pool` (prompts x completions), `rounds`, `soups` (all that the rule chose among),
        `verdict` (whether it is the one that counts there), `sizes`, `net`, `net_se`, `errors`.
    """
    found = [read(folder) for folder in RECORDED.glob(f"small_{game}_*")]
    runs = [run for run in found if run.settings.seed == seed and _fits_tokens(run)]
    counted = {run.folder for run in outcomes.seeds_of(game)}
    lines = []
    for run in sorted(runs, key=lambda run: sum(texts_drawn(run))):
        s, table = run.settings, outcomes.tables(run)
        told = {
            "pool": f"{s.train_prompts} x {s.pool_samples}",
            "rounds": s.rounds,
            "soups": sum(map(candidates.is_released, table["candidate"].unique())),
            "verdict": "yes" if run.folder in counted else "no",
        }
        for sizes in candidates.SIZES:
            weights = outcomes.size_weights(sizes)
            got = objective.released_gains(table, s.rewards, weights, s.lam).summary()
            line = {"sizes": f"{sizes[0]:g}, {sizes[1]:g}", "net": got.net, "net_se": got.net_se}
            lines.append(told | line | {"errors": got.net / got.net_se})
    return pd.DataFrame(lines)


def _fits_tokens(run: Recorded) -> bool:
    s = run.settings
    return s.train and s.trainer == "regression" and s.fit_to == "tokens"


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
