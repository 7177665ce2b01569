"""Write the example score files of `mechanism/data/formats`: one of every format that is read.

Layouts follow the tools' own code (each reader names its source); texts and scores are invented.
Run again after a change: `python -m tools.example_scores`. Same seed, same bytes.
"""

import csv
import json
from pathlib import Path

import duckdb
import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "mechanism" / "data" / "formats"
SEED = 7
THINGS = ("a kettle", "the tide", "a bicycle", "bread", "a lighthouse", "moss", "chess", "a violin")
WAYS = ("Explain {}.", "Make a joke about {}.", "Write two lines on {}.")
PROMPTS = tuple(way.format(thing) for thing in THINGS for way in WAYS)
NOTE = """Example score files, one folder a format. Layouts follow the tools' own code, named in
the docstrings of `mechanism.tool.formats`; texts and scores are invented
(`tools/example_scores.py`).
"""


def scores(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Rewards that differ by prompt, on the first axis, and within it."""
    easy = rng.normal(size=(shape[0],) + (1,) * (len(shape) - 1))
    return np.asarray(0.5 * easy + rng.normal(size=shape)).round(4)


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    """Write a CSV as pandas does: line feeds, quotes where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def write_lines(path: Path, rows: list[dict[str, object]], indent: int | None = None) -> None:
    """Write JSON documents one after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, indent=indent) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def ric(rng: np.random.Generator) -> None:
    """Five soups of two rewards: the first falls and the second rises along the line."""
    noise = scores(rng, len(PROMPTS), 2)
    for weight in (0.0, 0.3, 0.5, 0.7, 1.0):
        other = round(1 - weight, 1)
        bend = 1.2 * weight * other
        own = scores(rng, len(PROMPTS), 2) * 0.3
        rows = [
            [j, prompt, f"An answer, {weight:g} and {other:g}.",
             round(weight + bend + 0.3 * noise[j, 0] + own[j, 0], 4),
             round(other + bend + 0.3 * noise[j, 1] + own[j, 1], 4)]
            for j, prompt in enumerate(PROMPTS)
        ]  # fmt: skip
        name = f"eval_data_pref{weight}_{other}.csv"
        header = ["", "prompt", "response", "obtained_score1", "obtained_score2"]
        write_csv(FOLDER / "ric" / name, header, rows)


def trl(rng: np.random.Generator) -> None:
    """Two steps, six prompts, eight completions each; extras beside the rewards."""
    rows = []
    for step in (10, 20):
        draws = scores(rng, 6, 8, 2)
        for j in range(6):
            for s in range(8):
                harmless, humor = draws[j, s]
                advantage = round(float(draws[j, s].mean() - draws[j].mean()), 4)
                rows.append((step, PROMPTS[j], f"Completion {s}.", float(harmless), float(humor),
                             20 + s, advantage))  # fmt: skip
    folder = FOLDER / "trl" / "completions"
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t (step BIGINT, prompt VARCHAR, completion VARCHAR,"
            " harmless_reward DOUBLE, humor_reward DOUBLE, length BIGINT, advantage DOUBLE)"
        )
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        for step in (10, 20):
            path = folder / f"completions_{step:05d}.parquet"
            connection.execute(
                f"COPY (SELECT * FROM t WHERE step = {step}) TO '{path}' (FORMAT parquet)"
            )


def verl(rng: np.random.Generator) -> None:
    """Validation dumps of three steps on the same prompts."""
    base = scores(rng, len(PROMPTS), 2)
    for step, (harmless, humor) in {0: (0.0, 0.0), 20: (0.6, 0.5), 40: (0.3, 1.1)}.items():
        noise = scores(rng, len(PROMPTS), 2) * 0.4
        rows = []
        for j, prompt in enumerate(PROMPTS):
            a = round(float(base[j, 0] * 0.3 + harmless + noise[j, 0]), 4)
            b = round(float(base[j, 1] * 0.3 + humor + noise[j, 1]), 4)
            rows.append({"input": prompt, "output": f"At step {step}.", "gts": None,
                         "score": round((a + b) / 2, 4), "step": step, "harmless": a, "humor": b,
                         "truncated": False})  # fmt: skip
        write_lines(FOLDER / "verl" / f"{step}.jsonl", rows)


def lm_eval(rng: np.random.Generator) -> None:
    """Three models on two tasks; one task has two filters."""
    date = "2026-01-05T10-00-00.000000"
    for model, (arc, gsm) in {
        "org__small": (0.4, 0.3), "org__tuned": (0.55, 0.6), "org__merged": (0.7, 0.45),
    }.items():  # fmt: skip
        folder = FOLDER / "lm_eval" / model
        rows: list[dict[str, object]] = []
        for j in range(30):
            right = float(rng.random() < arc)
            rows.append({"doc_id": j, "target": "0", "resps": [["-1.0", "False"]],
                         "filter": "none", "filtered_resps": [["-1.0", "False"]],
                         "metrics": ["acc"], "acc": right})  # fmt: skip
        write_lines(folder / f"samples_arc_easy_{date}.jsonl", rows)
        rows = []
        for kind, ease in (("strict-match", 0.8), ("flexible-extract", 1.1)):
            for j in range(30):
                right = float(rng.random() < gsm * ease)
                rows.append({"doc_id": j, "target": "4", "resps": [["4"]], "filter": kind,
                             "filtered_resps": ["4"], "metrics": ["exact_match"],
                             "exact_match": right})  # fmt: skip
        write_lines(folder / f"samples_gsm8k_{date}.jsonl", rows)


def rewardbench(rng: np.random.Generator) -> None:
    """Two reward models of different scale: one a line, one pretty-printed."""
    for name, scale, indent in (("helpful_rm", 10.0, None), ("harmless_rm", 0.1, 2)):
        draws = scores(rng, len(PROMPTS), 4)
        rows: list[dict[str, object]] = [
            {"id": j, "subset": "chat", "scores_chosen": [round(float(scale * (row[0] + 0.5)), 5)],
             "scores_rejected": [round(float(scale * x), 5) for x in row[1:]]}
            for j, row in enumerate(draws)
        ]  # fmt: skip
        write_lines(FOLDER / "rewardbench" / f"{name}.json", rows, indent)


def alpaca_eval(rng: np.random.Generator) -> None:
    """Eight models; the last column is empty for some."""
    header = ["", "win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total",
              "discrete_win_rate", "mode", "avg_length", "length_controlled_winrate",
              "lc_standard_error"]  # fmt: skip
    rows: list[list[object]] = []
    for j in range(8):
        rate = round(float(15 + 9 * j + rng.normal()), 4)
        length = int(1300 + 150 * rng.integers(0, 8))
        wins = round(8.05 * rate)
        controlled = round(rate - (length - 1700) / 60 + float(rng.normal()), 4)
        rows.append([f"model-{j + 1}", rate, 1.4, wins, 805 - wins, 0, 805, rate, "community",
                     length, controlled, "" if j % 2 else 0.8])  # fmt: skip
    write_csv(FOLDER / "alpaca_eval" / "leaderboard.csv", header, rows)


def ultrafeedback(rng: np.random.Generator) -> None:
    """Twelve instructions, four responses, ratings as texts; two are N/A."""
    models = ("model-1", "model-2", "model-3", "model-4")
    aspects = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    rows: list[dict[str, object]] = []
    for j in range(12):
        completions = []
        for k, model in enumerate(models):
            marks = np.clip(np.round(3 + k * 0.4 + rng.normal(size=4)), 1, 5).astype(int)
            notes = {
                aspect: {"Rating": str(mark), "Rationale": "Invented."}
                for aspect, mark in zip(aspects, marks, strict=True)
            }
            if (j, k) in ((3, 1), (8, 2)):
                notes["honesty"]["Rating"] = "N/A"
            completions.append({"model": model, "response": "Invented.", "annotations": notes})
        rows.append({"source": "invented", "instruction": PROMPTS[j], "models": list(models),
                     "completions": completions})  # fmt: skip
    write_lines(FOLDER / "ultrafeedback" / "rows.jsonl", rows)


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "README.md").write_text(NOTE, encoding="utf-8")
    writers = (ric, trl, verl, lm_eval, rewardbench, alpaca_eval, ultrafeedback)
    for number, write in enumerate(writers):
        write(np.random.default_rng([SEED, number]))


if __name__ == "__main__":
    main()
