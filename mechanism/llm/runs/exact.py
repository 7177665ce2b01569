"""On the tiny scale every candidate's distribution is known: the exact answers beside the samples.

`exact_table` lists each completion with its reward and its log-probability under each candidate;
from it come the exact candidate set, the exact game of fine-tuning, and the errors of the samples.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mechanism import KL, CandidateGame, RLHFGame, affine_maximizer_payments, sw_max
from mechanism.core.errors import Floats
from mechanism.llm.config import Settings
from mechanism.llm.training.targets import compare
from mechanism.tables.candidates import (
    INITIAL,
    RANDOM,
    SIZE_SCALE,
    SIZES,
    Candidates,
    from_table,
    trained_models,
)

PREFIX = "log_prob "
Soup = tuple[Sequence[Path], Sequence[float]]  # adapters and their weights; none for the initial


def exact_table(settings: Settings, initial: Path, soups_of: Mapping[str, Soup]) -> pd.DataFrame:
    """Return one row per prompt and completion.

    Columns `prompt`, `text`, `reward_<name>`, and `log_prob <candidate>` in nats.
    """
    from mechanism.llm.models import policies, soups, tiny
    from mechanism.llm.rewards import tasks

    names = [*settings.rewards, RANDOM]
    tokenizer = policies.load_tokenizer(initial)
    asked = tasks.prompts(settings, "held-out", settings.held_out_prompts, tokenizer)
    requests = [prompt.text for prompt in asked]
    texts = tiny.enumerate_completions().texts
    table = pd.DataFrame(
        {"prompt": np.repeat(range(len(asked)), len(texts)), "text": texts * len(asked)}
    )
    rewards = tiny.reward_table(tasks.rewards(settings, names), requests)
    for index, name in enumerate(names):
        table[f"reward_{name}"] = rewards[:, index].ravel()
    for candidate, (adapters, weights) in soups_of.items():
        model, tokenizer = policies.load(initial, settings)
        if adapters:
            model = soups.attach(model, adapters)
            soups.use_soup(model, weights)
        table[PREFIX + candidate] = tiny.exact_log_probs(model, tokenizer, requests).ravel()
    return table


def candidate_names(table: pd.DataFrame) -> list[str]:
    """Return the candidates that a table knows the distribution of."""
    return [name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX)]


def policies_of(table: pd.DataFrame) -> Floats:
    """Return the distribution of every candidate, shape (k, P, m)."""
    columns = [PREFIX + name for name in candidate_names(table)]
    shape = (len(columns), table["prompt"].nunique(), -1)
    return np.exp(table[columns].to_numpy(float).T).reshape(shape)


def rewards_of(table: pd.DataFrame, rewards: Sequence[str]) -> Floats:
    """Return raw rewards of every completion, shape (P, n, m)."""
    columns = [f"reward_{name}" for name in rewards]
    shape = (len(columns), table["prompt"].nunique(), -1)
    return table[columns].to_numpy(float).T.reshape(shape).swapaxes(0, 1)


def exact_candidates(table: pd.DataFrame, rewards: Sequence[str]) -> Candidates:
    """Return the candidate set with exact mean rewards and exact KL on each prompt."""
    probabilities = policies_of(table)
    names = candidate_names(table)
    first = probabilities[names.index(INITIAL)]
    values = np.einsum("kpm,pnm->nkp", probabilities, rewards_of(table, rewards))
    kl = (probabilities * (np.log(probabilities) - np.log(first))).sum(-1)
    return Candidates(tuple(names), tuple(rewards), values, kl, kl)


def exact_games(
    table: pd.DataFrame, rewards: Sequence[str], sizes: Sequence[float], lam: float
) -> RLHFGame:
    """Return the game of fine-tuning itself, a batch over prompts; raw rewards, scaled sizes."""
    reference = policies_of(table)[candidate_names(table).index(INITIAL)]
    scaled = SIZE_SCALE * np.asarray(sizes, dtype=float)
    return RLHFGame(rewards_of(table, rewards), scaled, reference, KL(lam))


def deviations(samples: pd.DataFrame, table: pd.DataFrame, rewards: Sequence[str]) -> pd.DataFrame:
    """Compare sampled means with exact ones: one row per candidate and quantity.

    `z` is the difference over the standard error of the mean within prompts (prompts are fixed
    here, so only the noise of drawing counts), 0 where both vanish.
    """
    exact = exact_candidates(table, rewards)
    sampled = from_table(samples, rewards)
    lines = []
    errors = _within(samples, rewards)
    for name in sampled.names:
        own, row = sampled.names.index(name), exact.names.index(name)
        parts = {r: (sampled.rewards[i, own], exact.rewards[i, row]) for i, r in enumerate(rewards)}
        for quantity, (found, truth) in (parts | {"kl": (sampled.kl[own], exact.kl[row])}).items():
            error = float(errors.loc[name, quantity])
            off = float(found.mean() - truth.mean())
            lines.append(
                {
                    "candidate": name,
                    "quantity": quantity,
                    "sampled": found.mean(),
                    "exact": truth.mean(),
                    "standard_error": error,
                    "z": off / error if error > 1e-12 else 0.0 if abs(off) < 1e-6 else np.inf,
                }
            )
    return pd.DataFrame(lines)


def _within(samples: pd.DataFrame, rewards: Sequence[str]) -> pd.DataFrame:
    """Standard error of the mean over fixed prompts, from the spread within each prompt."""
    columns = {f"reward_{name}": name for name in rewards}
    table = samples.rename(columns=columns).assign(
        kl=samples["log_prob"] - samples["log_prob_initial"]
    )
    grouped = table.groupby(["candidate", "prompt"])[[*rewards, "kl"]]
    squares = grouped.sem() ** 2
    prompts = samples["prompt"].nunique()
    return squares.groupby("candidate").sum() ** 0.5 / prompts


def mechanism_deviations(
    samples: pd.DataFrame,
    table: pd.DataFrame,
    rewards: Sequence[str],
    lam: float,
    replicates: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare what the mechanism makes of the samples with what it makes of the exact means.

    The candidates are the soups, rewards raw. One row per size vector, group and quantity
    (valuation times size, payment, utility, all of the truth). `z` is the difference over a
    bootstrap standard error: samples are redrawn within prompts, alike for all candidates, which
    drew from the same random stream; the choice is made anew in every replicate.
    """
    found, truth = from_table(samples, rewards).soups(), exact_candidates(table, rewards).soups()
    parts = _soup_samples(samples, found.names, rewards)  # (n + 1, k, P, S)
    count = parts.shape[-1]
    random = np.random.default_rng(seed)
    picks = random.multinomial(count, np.full(count, 1 / count), (replicates, parts.shape[2]))
    means = np.einsum("qkps,bps->bqk", parts, picks / count) / parts.shape[2]
    lines = []
    for sizes in SIZES:
        weights = SIZE_SCALE * np.asarray(sizes)
        sampled = _figures(found.rewards.mean(-1), found.kl.mean(-1), weights, lam)
        exact = _figures(truth.rewards.mean(-1), truth.kl.mean(-1), weights, lam)
        spread = _figures(means[:, :-1], means[:, -1], weights, lam).std(axis=1, ddof=1)
        for i, name in enumerate(rewards):
            for q, quantity in enumerate(("valuation", "payment", "utility")):
                line = {"sizes": sizes, "group": name, "quantity": quantity}
                line |= {"sampled": sampled[q, i], "exact": exact[q, i]}
                lines.append(line | {"standard_error": spread[q, i]})
    frame = pd.DataFrame(lines)
    return frame.assign(z=(frame["sampled"] - frame["exact"]) / frame["standard_error"])


def _soup_samples(samples: pd.DataFrame, names: Sequence[str], rewards: Sequence[str]) -> Floats:
    """Return rewards and log-ratio of every sample of the named candidates, (n + 1, k, P, S)."""
    kept = samples[samples["candidate"].isin(names)]
    kept = kept.assign(
        kl=kept["log_prob"] - kept["log_prob_initial"],
        candidate=pd.Categorical(kept["candidate"], categories=list(names)),
    ).sort_values(["candidate", "prompt", "sample"])
    columns = [*(f"reward_{name}" for name in rewards), "kl"]
    return (
        kept[columns]
        .to_numpy(float)
        .T.reshape(len(columns), len(names), kept["prompt"].nunique(), -1)
    )


def _figures(values: Floats, kl: Floats, weights: Floats, lam: float) -> Floats:
    """Return w v, payment and utility of the truth, (3, ..., n), for values (..., n, k)."""
    game = CandidateGame(values, weights, lam * kl)
    chosen, payments = sw_max(game), affine_maximizer_payments(game)
    utilities = game.utilities(chosen, payments)
    return np.stack([utilities + payments, payments, utilities])


def training_gap(table: pd.DataFrame, rewards: Sequence[str], lam: float) -> pd.DataFrame:
    """Return how far each trained model is from the optimum of its own reward.

    One row per reward: `optimum` J* and `reached` J of E r - lam KL, `gap` J* - J, and `kl` =
    KL(pi || pi*) in nats; the identity gap = lam KL(pi || pi*) ties the two together.
    """
    ends, models = trained_models(rewards), policies_of(table)
    lines = []
    for name in rewards:
        game = exact_games(table, [name], [1 / SIZE_SCALE], lam)
        found = compare(game, models[candidate_names(table).index(ends[name])])
        line = {"reward": name, "optimum": found.optimum, "reached": found.reached}
        lines.append(line | {"kl": found.kl_to_optimum, "gap": found.gap})
    return pd.DataFrame(lines)
