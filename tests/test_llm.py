"""The pipeline of the language-model chapter, at the tiny scale, against exact answers."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import jupytext
import numpy as np
import pandas as pd
import psutil
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm import command
from mechanism.llm.config import (
    PRESETS,
    REWARDS,
    Settings,
    from_parameters,
    notebook_settings,
    preset,
)
from mechanism.llm.models import sample, soups
from mechanism.llm.runs import exact, record
from mechanism.llm.stages import Store, stage_key
from mechanism.llm.studies import learning_rates, merging
from mechanism.tables import candidates, verdicts
from mechanism.tables.candidates import SIZES
from tools import llm_chapter

SHORT = {"steps": 12, "checkpoint_every": 3, "soups": 3, "samples": 8, "support_samples": 8}


# Settings


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_differ_from_each_other(name):
    assert preset(name).preset == name
    assert preset(name) != preset("tiny", preset="tiny") or name == "tiny"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"preset": "tiny", "stepz": 3}, "stepz = 3: no such setting"),
        ({"preset": "tiny", "steps": "many"}, "steps = many"),
        ({"preset": "tiny", "lam": 0.0}, "lam = 0.0"),
        ({"preset": "huge"}, "preset = huge: not a scale"),
        ({"preset": "tiny", "game": "chess"}, "game = chess"),
    ],
)
def test_a_wrong_setting_is_named(given, words):
    with pytest.raises(InvalidInputError, match=words):
        from_parameters(given)


def test_a_notebook_refuses_a_parameter_that_nobody_reads():
    names = {"preset": "tiny", "run": True, "In": [], "_x": 1, "np": np, "print": print}
    assert [s.game for s in notebook_settings(names)] == ["harmless_humor", "faithful_summary"]
    assert [s.game for s in notebook_settings(names | {"game": "harmless_humor"})] == [
        "harmless_humor"
    ]
    with pytest.raises(InvalidInputError, match="lambda_ = 3"):
        notebook_settings(names | {"lambda_": 3})


def test_the_chapter_names_only_known_parameters():
    cells = jupytext.read(llm_chapter.CHAPTER).cells
    cell = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
    names: dict = {}
    exec(cell.source, names)
    given = {name for name in names if not name.startswith("_")}
    assert given - {"run"} <= set(Settings.model_fields)


def test_make_llm_checks_before_it_runs(tmp_path):
    assert llm_chapter.parameters_of(["preset=tiny", "steps=6"]) == {"preset": "tiny", "steps": 6}
    with pytest.raises(InvalidInputError, match="NAME=VALUE"):
        llm_chapter.parameters_of(["steps"])
    with pytest.raises(InvalidInputError, match="no such setting"):
        llm_chapter.execute({"preset": "tiny", "step": 6}, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "make llm PRESET=small"),
        ({"train": True}, "make llm PRESET=small TRAIN=1"),
        ({"train": True, "steps": 60, "dtype": "float32"},
         "make llm PRESET=small TRAIN=1 'SET=dtype=float32 steps=60'"),
    ],
)  # fmt: skip
def test_a_record_names_the_command_that_makes_it(changes, words):
    settings = preset("small", **changes)
    assert command._command(settings) == words
    given = shlex.split(words)[3:]
    parts = [p.removeprefix("SET=") for p in given if not p.startswith("TRAIN=")]
    parameters = llm_chapter.parameters_of(" ".join(parts).split())
    asked = from_parameters({"preset": "small", "train": "TRAIN=1" in given} | parameters)
    assert asked == settings


def test_a_shown_run_is_the_one_that_was_asked_for():
    asked = notebook_settings({"preset": "tiny"})
    assert [run.settings.game for run in command.obtain(asked, False)] == list(REWARDS)
    other = notebook_settings({"preset": "tiny", "lam": 0.5})
    with pytest.raises(InvalidInputError, match=r"lam = 0.5: the tiny_.* that there is has 0.3"):
        command.obtain(other, False)


# Stages


def test_a_stage_is_whole_or_absent(tmp_path):
    store, calls = Store(tmp_path), []

    def fails(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    def works(folder):
        calls.append(sorted(p.name for p in folder.iterdir()))
        (folder / "whole").write_text("y")

    with pytest.raises(KeyboardInterrupt):
        store.run("a", {"seed": 0}, [], fails)
    assert not any((p / "stage.json").exists() for p in tmp_path.iterdir() if p.is_dir())
    first = store.run("a", {"seed": 0}, [], works)
    again = store.run("a", {"seed": 0}, [], works)
    assert calls == [[]]  # the half-made folder was cleared, and the finished one found
    assert first == again and (first.path / "whole").exists()
    other = store.run("a", {"seed": 1}, [], works)
    assert len(calls) == 2 and other.path != first.path


def test_a_resumable_stage_finds_what_it_left(tmp_path):
    store, found = Store(tmp_path), []

    def build(folder):
        found.append((folder / "checkpoint").exists())
        (folder / "checkpoint").write_text("x")
        if len(found) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run("a", {}, [], build, resumable=True)
    store.run("a", {}, [], build, resumable=True)
    assert found == [False, True]


def test_a_stage_key_follows_its_inputs(tmp_path):
    first = Store(tmp_path).run("a", {"seed": 0}, [], lambda folder: None)
    assert stage_key({"x": 1}, [first]) != stage_key({"x": 1}, [])
    assert stage_key({"x": 1, "y": 2}, []) == stage_key({"y": 2, "x": 1}, [])


# One short run, made once for the tests below

RUN = """
import sys
from pathlib import Path
from mechanism.llm.runs import pipeline, record
from mechanism.llm.config import preset
settings = preset("tiny", control=False, **{changes})
done = pipeline.run(settings, Path(sys.argv[1]), lambda text: None)
record.write(done, Path(sys.argv[1]) / "record", "a test")
"""


def start(folder, log):
    code = RUN.replace("{changes}", repr(SHORT))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def undisturbed(folder):
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with (folder / "log").open("w") as log:
        code = start(folder, log).wait()
    assert code == 0, (folder / "log").read_text()[-3000:]
    return time.monotonic() - begun


def killed_and_resumed(folder, seconds):
    """Kill the run after `seconds`, then let it end; return whether it was still running."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        process = start(folder, log)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    was_running = process.wait() == -signal.SIGKILL
    undisturbed(folder)
    return was_running


def assert_same_numbers(one, two):
    for table in ("samples", "support", "exact"):
        left, right = (
            getattr(record.read(one / "record"), table),
            getattr(record.read(two / "record"), table),
        )
        pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, undisturbed(folder)


def test_a_killed_run_ends_with_the_same_numbers(short_run, tmp_path):
    folder, seconds = short_run
    moment = np.random.default_rng(20261124).uniform(0.4, 0.8)
    killed_and_resumed(tmp_path, moment * seconds)
    assert_same_numbers(folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_a_run_killed_anywhere_ends_with_the_same_numbers(short_run, tmp_path, number):
    folder, seconds = short_run
    moment = np.random.default_rng(number).uniform(0.05, 0.95)
    killed_and_resumed(tmp_path, moment * seconds)
    assert_same_numbers(folder, tmp_path)


def test_killing_in_training_leaves_a_checkpoint_that_is_used(short_run, tmp_path):
    """Stop when a checkpoint is there; the resumed training does not start at step 0."""
    folder, _ = short_run
    with (tmp_path / "log").open("w") as log:
        process = start(tmp_path, log)
        while process.poll() is None and not list(
            tmp_path.glob("train-*.part/checkpoints/checkpoint-*/trainer_state.json")
        ):
            time.sleep(0.02)
        process.kill()
        process.wait()
    left = list(tmp_path.glob("train-*.part/seconds.json"))
    assert left, "no checkpoint was left behind"
    undisturbed(tmp_path)
    assert_same_numbers(folder, tmp_path)


def test_a_killed_command_leaves_no_worker_behind(tmp_path):
    """Both games train side by side, each in a process that must end with the command."""
    sets = [f"--set={name}={value}" for name, value in SHORT.items()]
    code = "from mechanism.cli import app; app()"
    words = [sys.executable, "-c", code, "llm", "run", "--preset", "tiny", *sets]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MECHANISM_RUNS": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None and len(list(tmp_path.glob("stages/train-*.part"))) < 2:
            time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_samples_agree_with_the_exact_distribution(short_run):
    run = record.read(short_run[0] / "record")
    off = exact.deviations(run.samples, run.exact, run.settings.rewards)
    assert off["z"].abs().max() < 4  # standard errors of drawing, 15 comparisons
    games = exact.exact_games(run.exact, run.settings.rewards, (3, 7), 0.3)
    assert np.allclose(games.reference.sum(-1), 1, atol=1e-9)


def test_wrong_log_probabilities_are_noticed(short_run):
    run = record.read(short_run[0] / "record")
    broken = run.samples.assign(log_prob=run.samples["log_prob"] - 1.0)
    off = exact.deviations(broken, run.exact, run.settings.rewards)
    assert off["z"].abs().max() > 4


@pytest.mark.parametrize("game", REWARDS)
def test_payments_from_samples_agree_with_the_exact_ones(game):
    run = record.read(record.RECORDED / f"tiny_{game}_trained")
    names, lam = run.settings.rewards, run.settings.lam
    found = exact.mechanism_deviations(run.samples, run.exact, names, lam)
    assert len(found) == 18 and found["z"].abs().max() < 4
    for column in ("sampled", "exact"):
        table = found.pivot(index=["sizes", "group"], columns="quantity", values=column)
        assert np.allclose(table.valuation - table.payment, table.utility)
        assert (table > -1e-12).all(axis=None)
    one = candidates.from_table(run.samples, names).soups()
    rows = one.rewards.mean(-1), 0.1 * np.array(SIZES[0]), one.kl.mean(-1)
    welfare = rows[1] @ rows[0] - lam * rows[2]
    others = welfare - rows[1][0] * rows[0][0]
    slow = others.max() - others[welfare.argmax()]
    assert found.sampled[1] == pytest.approx(slow)
    for broken in (
        run.samples.assign(log_prob=run.samples.log_prob_initial),
        run.samples.assign(**{f"reward_{names[0]}": run.samples[f"reward_{names[0]}"] * 0.8}),
    ):
        off = exact.mechanism_deviations(broken, run.exact, names, lam)
        assert off["z"].abs().max() > 4


def test_the_gap_of_training_is_lam_times_the_divergence_from_the_optimum(short_run):
    run = record.read(short_run[0] / "record")
    gap = exact.training_gap(run.exact, run.settings.rewards, run.settings.lam)
    assert np.allclose(gap["gap"], run.settings.lam * gap["kl"], atol=1e-9)
    assert (gap["gap"] > 0).all()


def test_swap_and_identical_groups(short_run):
    run = record.read(short_run[0] / "record")
    found = candidates.from_table(run.samples, run.settings.rewards).soups()
    for sizes in candidates.SIZES:
        assert verdicts.swap_error(found, sizes, run.settings.lam) < 1e-12
        assert np.abs(verdicts.identical_groups(found, sizes)).max() < 1e-12


def test_every_process_gets_prompts_of_its_own(monkeypatch):
    """Passes over all prompts, none repeated before all were seen, however many processes."""
    from mechanism.llm.training.train import prompt_order

    settings = preset("tiny", steps=10, batch_prompts=2, accumulation=3)
    alone = prompt_order(settings, 50)
    assert len(alone) == 60 and sorted(alone[:50]) == list(range(50))
    monkeypatch.setenv("WORLD_SIZE", "8")
    together = prompt_order(settings, 50)
    assert len(together) == 8 * 60 and together[:60] == alone
    assert all(np.bincount(together[: 50 * k]).tolist() == [k] * 50 for k in range(1, 9))
    assert prompt_order(settings.model_copy(update={"seed": 1}), 50) != together


# Soups and log-probabilities, against slow oracles


@pytest.fixture(scope="module")
def parts(short_run):
    from mechanism.llm.models import policies

    folder = short_run[0]
    settings = preset("tiny", **SHORT)
    (initial,) = [p for p in folder.glob("initial-*") if p.is_dir()]
    adapters = [
        next(p for p in folder.glob(f"train-{name}-*") if p.is_dir()) / "adapter"
        for name in settings.rewards
    ]
    return settings, initial, adapters, policies


def logits(model, tokenizer):
    import torch

    ids = tokenizer(["story and joke"], return_tensors="pt", add_special_tokens=False).input_ids
    with torch.inference_mode():
        return model(ids).logits.double().numpy()


def dense(model, adapters, weights):
    """Add sum_j c_j scale B_j A_j to the weights themselves, by the definition."""
    import json

    import torch
    from safetensors.torch import load_file

    changes = {}
    for path, weight in zip(adapters, weights, strict=True):
        config = json.loads((path / "adapter_config.json").read_text())
        scale = config["lora_alpha"] / config["r"]
        tensors = load_file(path / "adapter_model.safetensors")
        for name in [n for n in tensors if "lora_A" in n]:
            a, b = tensors[name], tensors[name.replace("lora_A", "lora_B")]
            key = name.removeprefix("base_model.model.").replace(".lora_A", "")
            changes[key] = changes.get(key, 0) + weight * scale * (b @ a)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in changes:
                parameter += changes.pop(name)
    assert not changes
    return model


@pytest.mark.parametrize("weights", [(0.3, 0.7), (1.0, 0.0), (0.0, 1.0)])
def test_a_soup_adds_the_weighted_changes(parts, weights):
    settings, initial, adapters, policies = parts
    model, tokenizer = policies.load(initial, settings)
    plain = logits(model, tokenizer)
    wrapped = soups.attach(model, adapters)
    soups.use_soup(wrapped, weights)
    found = logits(wrapped, tokenizer)
    expected = logits(dense(policies.load(initial, settings)[0], adapters, weights), tokenizer)
    assert np.abs(found - expected).max() < 1e-4  # float32 sums in another order
    assert np.abs(found - plain).max() > 1e-2


def test_interpolating_the_factors_apart_is_another_model(parts):
    settings, initial, adapters, policies = parts
    model, tokenizer = policies.load(initial, settings)
    wrapped = soups.attach(model, adapters)
    names = ["adapter0", "adapter1"]
    wrapped.add_weighted_adapter(names, [0.5, 0.5], "apart", combination_type="linear")
    wrapped.set_adapter("apart")
    apart = logits(wrapped, tokenizer)
    expected = logits(dense(policies.load(initial, settings)[0], adapters, (0.5, 0.5)), tokenizer)
    assert np.abs(apart - expected).max() > 1e-3


def test_soup_weights():
    assert soups.soup_weights(11).shape == (11, 2)
    for weights in (soups.soup_weights(11), soups.soup_weights(13, 3)):
        assert np.allclose(weights.sum(1), 1) and (weights >= 0).all()
        assert len(np.unique(weights.round(9), axis=0)) == len(weights)
    with pytest.raises(InvalidInputError, match="13 points"):
        soups.soup_weights(5, 3)


def test_log_probs_do_not_depend_on_the_batch(parts):
    from mechanism.llm.models import tiny

    settings, initial, _, policies = parts
    model, tokenizer = policies.load(initial, settings)
    asked = [p.text for p in tiny.prompts() if p.split == "held-out"]
    drawn = sample.draw(model, tokenizer, asked, 6, settings, 0)
    together = sample.log_probs(model, tokenizer, asked, drawn, settings)
    single = settings.model_copy(update={"sample_batch": 1})
    assert np.allclose(
        together, sample.log_probs(model, tokenizer, asked, drawn, single), atol=1e-5
    )
    table = tiny.exact_log_probs(model, tokenizer, asked)
    texts = tiny.enumerate_completions().texts
    exactly = [table[c.prompt, texts.index(c.text)] for c in drawn]
    assert np.allclose(together, exactly, atol=1e-5)


# The chapter


def test_the_chapter_runs_tiny_through_papermill(tmp_path, monkeypatch):
    monkeypatch.setenv("MECHANISM_RUNS", str(tmp_path / "runs"))  # else the book would show them
    done = llm_chapter.execute({"preset": "tiny"}, tmp_path)
    cells = [c for c in jupytext.read(done).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells if c.source.strip())
    assert len(list((tmp_path / "runs" / "finished").glob("tiny_*/provenance.json"))) == 2


# Studies that train: a few steps of each


def test_the_balance_of_a_training_is_that_of_slow_sums(short_run):
    run = record.read(short_run[0] / "record")
    found = candidates.from_table(run.samples, run.settings.rewards)
    got = learning_rates.balance(found, "soup 1.00", "harmless", 0.3)
    nets = []
    for prompt in sorted(set(run.samples.prompt)):
        rows = run.samples[run.samples.prompt == prompt]
        own, first = rows[rows.candidate == "soup 1.00"], rows[rows.candidate == "initial"]
        ratio = own.log_prob - own.log_prob_initial
        won = own.reward_harmless.mean() - first.reward_harmless.mean()
        nets.append(won - 0.3 * ratio.mean())
    assert got.net == pytest.approx(np.mean(nets))
    assert got.net_se == pytest.approx(np.std(nets, ddof=1) / np.sqrt(len(nets)))
    assert got.net == pytest.approx(got.won - 0.3 * got.kl)


def test_learning_rates_are_compared_and_recorded(tmp_path):
    def study():
        return learning_rates.record(
            tmp_path / "results", tmp_path / "stages", lambda text: None, "tiny", 3
        )

    table = study()
    assert table.rate.tolist() == list(learning_rates.RATES)
    assert table.kl.iloc[0] > table.kl.iloc[-1]  # a larger rate goes farther
    read = learning_rates.recorded(tmp_path / "results")
    pd.testing.assert_frame_equal(read, table, rtol=1e-5)
    written = json.loads((tmp_path / "results" / "provenance.json").read_text())
    assert written["settings"]["steps"] == 3 and "learning_rate" not in written["settings"]
    assert len(written["seconds_each"]) == len(table)


def test_merging_changes_what_rounding_explains(parts):
    """In float32 merging and batch size change next to nothing; a smaller scale does less."""
    from mechanism.llm.models import tiny

    settings, initial, adapters, _ = parts
    lines = merging.measure(settings, initial, adapters[0], tiny.REQUESTS, samples=3)
    assert [line["scale"] for line in lines] == list(merging.SCALES)
    effects = [line["effect"] for line in lines]
    assert effects == sorted(effects, reverse=True) and effects[-1] > 1e-3
    assert all(max(line["error"], line["noise"]) < 1e-4 for line in lines)
    rounded = settings.model_copy(update={"dtype": "bfloat16"})
    broken = merging.measure(rounded, initial, adapters[0], tiny.REQUESTS, samples=3)
    assert all(1e-4 < line["error"] < line["effect"] for line in broken[:2])


def test_what_rounding_loses_of_a_change(parts):
    """Merging a soup loses a share of its change in bfloat16, and next to nothing in float32."""
    settings, initial, adapters, policies = parts
    lost = {}
    for dtype in ("float32", "bfloat16"):
        changed = settings.model_copy(update={"dtype": dtype})
        wrapped = soups.attach(policies.load(initial, changed)[0], adapters)
        soups.use_soup(wrapped, (0.5, 0.5))
        lost[dtype] = merging.weight_error(wrapped, "soup")
    assert lost["float32"] < 1e-4 < 1e-2 < lost["bfloat16"] < 1
