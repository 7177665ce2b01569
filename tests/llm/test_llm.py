"""The pipeline of the language-model chapter, at the tiny scale: settings, commands, studies."""

import json
import shlex
import shutil

import jupytext
import numpy as np
import pandas as pd
import pytest
from papermill.translators import PythonTranslator

from mechanism.core.errors import InvalidInputError
from mechanism.llm import command
from mechanism.llm.config import REWARDS, Settings, from_parameters, notebook_settings, preset
from mechanism.llm.presets import PRESETS
from mechanism.llm.studies import learning_rates
from tests.llm.short_run import SHORT
from tools import llm_chapter

# Settings


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_differ_from_each_other(name):
    assert preset(name).preset == name
    assert preset(name) != preset("tiny", preset="tiny") or name == "tiny"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"preset": "tiny", "stepz": 3}, "stepz = 3: no such setting"),
        ({"preset": "tiny", "steps": "many"}, "steps = many: .* Fix: the tiny scale has 30"),
        ({"preset": "small", "lam": 0.0}, "lam = 0.0: .* Fix: the small scale has 0.1"),
        ({"preset": "small", "substitutes": {"a": 3}}, "substitutes.a = 3: .* has {}"),
        ({"preset": "huge"}, "preset = huge: not a scale"),
        ({"preset": "tiny", "game": "chess"}, "game = chess"),
        ({"preset": "tiny", "soup_scales": 0.5}, "scales = 0.5: not a list.*e.g. soup_scales="),
        ({"preset": "tiny", "soup_scales": [0]}, "soup_scales.0 = 0: .*greater than 0"),
        ({"preset": "tiny", "soup_scales": [0.5, 1]}, "soup_scales.1 = 1: .*less than 1"),
        ({"preset": "tiny", "soup_scales": [0.5, 0.5000001]}, "0.5000001.: shares must differ"),
        ({"preset": "small", "soup_scales": [0.5]}, "scales = .0.5.: .*: train must be true"),
        ({"preset": "small", "reports": True}, "reports = True: .*: train must be true"),
        ({"preset": "tiny", "reports": True}, "reports = True: models .* must be regression"),
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


def test_what_papermill_writes_into_a_cell_is_read_as_the_same_settings():
    asked = {"preset": "tiny", "soup_scales": [0.5, 0.25], "steps": "60", "lam": 1}
    settings, names = from_parameters(asked), {}
    exec(PythonTranslator.codify(llm_chapter.typed(settings, asked)), names)
    assert from_parameters({name: names[name] for name in (*asked, "train")}) == settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "make llm PRESET=small"),
        ({"train": True}, "make llm PRESET=small TRAIN=1"),
        ({"train": True, "steps": 60, "dtype": "float32"},
         "make llm PRESET=small TRAIN=1 'SET=dtype=float32 steps=60'"),
        ({"train": True, "reports": True, "soup_scales": (0.5, 0.25)},
         "make llm PRESET=small TRAIN=1 'SET=reports=true soup_scales=[0.5,0.25]'"),
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


def test_a_training_is_keyed_by_its_schedule_where_it_has_one():
    """Trainings of earlier versions, which had none, are found again."""
    from mechanism.llm.training import train

    usual = train.made_from(preset("tiny"))
    assert set(usual) == {*train.SETTINGS, "order"}
    for change in ({"schedule": "linear"}, {"warmup": 0.1}, {"max_grad_norm": 0.0}):
        assert train.made_from(preset("tiny", **change)) == usual | change
    assert train.made_from(preset("tiny", lora_dropout=0.1)).keys() - usual.keys() == {"dropout"}


def test_the_trainer_gets_what_the_settings_say(tmp_path):
    from mechanism.llm.training import train

    given = train.arguments(preset("small", device="cpu"), tmp_path)
    assert (given["lr_scheduler_type"], given["warmup_steps"]) == ("linear", 11)
    assert given["max_grad_norm"] == 0 and given["disable_dropout"]
    plain = train.arguments(preset("tiny"), tmp_path)
    assert (plain["lr_scheduler_type"], plain["warmup_steps"]) == ("constant", 0)


# The chapter


def test_the_chapter_runs_tiny_through_papermill(short_run, tmp_path, monkeypatch):
    """Both games: what `short_run` trained of one is found again, the other is trained there.

    On one core, so that the kernel alone imports what a training needs.
    """
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    stages = tmp_path / "runs" / "stages"
    for stage in short_run[0].glob("*-*/stage.json"):
        shutil.copytree(stage.parent, stages / stage.parent.name)
    monkeypatch.setenv("MECHANISM_RUNS", str(stages.parent))  # else the book would show them
    asked = SHORT | {"preset": "tiny", "control": False, "samples": 64, "support_samples": 64}
    done = llm_chapter.execute(asked, tmp_path)
    cells = [c for c in jupytext.read(done).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells if c.source.strip())
    assert len(list((tmp_path / "runs" / "finished").glob("tiny_*/provenance.json"))) == 2
    trained = sorted(path.parent.name for path in stages.glob("train-*/stage.json"))
    assert len(trained) == 4 and all((short_run[0] / name).exists() for name in trained[1:3])


# Studies that train: a few steps of each


def test_learning_rates_are_compared_and_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_rates, "RATES", learning_rates.RATES[::2])

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
