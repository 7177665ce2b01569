"""Readers: every format's example, odd but sound files, encodings."""

import json

import numpy as np
import pytest

import mechanism
from mechanism.places import data
from mechanism.tool.formats import formats
from tests.tool.test_price import HAND, document, run

RUNS = {
    "ric": (["obtained_score1=3", "obtained_score2=7"], []),
    "trl": (["harmless_reward=3", "humor_reward=7"], ["--lam", "0.5"]),
    "verl": (["harmless=3", "humor=7"], ["--candidate", "step"]),
    "lm_eval": (["arc_easy=3", "gsm8k/exact_match=2"], ["--filter", "strict-match"]),
    "rewardbench": (["helpful_rm=3", "harmless_rm=2"], ["--lam", "0.5"]),
    "alpaca_eval": (["win_rate=3", "length_controlled_winrate=2"], []),
    "ultrafeedback": (["helpfulness=3", "honesty=2"], ["--lam", "0.5", "--missing", "drop"]),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_format_prices_its_example(name):
    sizes, options = RUNS[name]
    found = document("price", data("formats", name), "--sizes", ",".join(sizes), *options)
    assert found["format"] == name and found["welfare"] > 0
    assert all(group["payment"] >= 0 for group in found["groups"].values())
    if name != "alpaca_eval":
        for group in found["groups"].values():
            assert group["payment_low"] <= group["payment"] + 1e-9
            assert group["payment_low"] <= group["payment_high"]


def test_ric_means_are_those_of_the_files():
    import pandas as pd

    table = mechanism.load(data("formats", "ric"), {"obtained_score1": 1, "obtained_score2": 1})
    for j, name in enumerate(table.names):
        frame = pd.read_csv(data("formats", "ric", f"eval_data_{name}.csv"))
        own = frame[["obtained_score1", "obtained_score2"]].mean().to_numpy()
        assert table.means[:, j] == pytest.approx(own, abs=1e-12)


def test_rewardbench_pretty_lines_and_lists_are_one(tmp_path):
    rows = [{"id": j, "scores_chosen": [1.0 + j], "scores_rejected": [0.5 * j]} for j in range(4)]
    (tmp_path / "one.json").write_text("".join(json.dumps(r, indent=1) + "\n" for r in rows))
    (tmp_path / "two.json").write_text("".join(json.dumps(r) + "\n" for r in rows))
    lists = {key: [row[key] for row in rows] for key in rows[0]}
    (tmp_path / "three.json").write_text(json.dumps(lists))
    (tmp_path / "four.json").write_text(json.dumps(rows))
    table = mechanism.load(tmp_path, dict.fromkeys(("one", "two", "three", "four"), 1), lam=1.0)
    rewards = np.concatenate([chunk.rewards for chunk in table.chunks()])
    assert rewards.shape == (4, 4, 2)
    assert (rewards == rewards[:, :1]).all()
    assert sorted(rewards[:, 0, 0]) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("\ufeff" + HAND, "a=5,b=4"),
        (HAND.replace("\n", "\r\n"), "a=5,b=4"),
        (HAND.replace(",", ";").replace("0.6", "0,6"), "a=5,b=4"),
        (HAND.replace(",", "\t"), "a=5,b=4"),
        ("# a source note\n" + HAND, "a=5,b=4"),
        (HAND.replace(",a,", ',"MMLU\n(5-shot)",'), "MMLU (5-shot)=5,b=4"),
        (HAND.replace(",a,", ',"x, y=z",'), "x, y=z=5,b=4"),
    ],
)
def test_odd_but_sound_files(tmp_path, text, sizes):
    path = tmp_path / "odd.csv"
    path.write_bytes(text.encode())
    found = document("price", path, "--sizes", sizes)
    assert [round(g["payment"], 12) for g in found["groups"].values()] == [1.6, 2.0]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(HAND.replace("A,", "Zoë,").encode(encoding))
    found = document("price", path, "--sizes", "a=5,b=4", "--encoding", encoding)
    assert found["groups"]["b"]["without"] == "Zoë"


def test_log_probabilities_make_the_divergence(tmp_path):
    (tmp_path / "t.csv").write_text(
        "candidate,prompt,sample,a,log_prob,log_prob_initial\n"
        "A,p,0,1,-1,-3\nA,p,1,3,-2,-4\nB,p,0,1,-1,-1\nB,p,1,0,-1,-1\n"
    )
    found = document("price", tmp_path / "t.csv", "--sizes", "a=1", "--lam", "0.1")
    assert found["chosen"] == "A" and found["welfare"] == pytest.approx(1 - 0.1 * 2)


def test_every_format_is_listed_with_an_example():
    listed = json.loads(run("formats", "--json").stdout)
    assert [one["name"] for one in listed] == list(formats())
    assert all(one["example"] and one["command"].startswith("mechanism price") for one in listed)
    assert "rewardbench" in run("formats").stdout


def test_costs_are_negated(tmp_path):
    (tmp_path / "t.csv").write_text("candidate,quality,price\nA,1,9\nB,0.9,1\n")
    found = document("price", tmp_path / "t.csv", "--sizes", "price=1", "--negate", "price")
    assert found["chosen"] == "B"
    assert (
        run("price", tmp_path / "t.csv", "--sizes", "quality=1", "--negate", "price").exit_code == 2
    )
    board = data("formats", "alpaca_eval")
    assert run("price", board, "--sizes", "avg_length=1", "--negate", "avg_length").exit_code == 0


def test_version_and_short_help():
    assert run("--version").stdout.startswith("mechanism ")
    assert "price" in run("-h").stdout and "--sizes" in run("price", "-h").stdout
