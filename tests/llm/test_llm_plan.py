"""The plan of a run: every setting accounted for, formulas against real models."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mechanism.cli import app
from mechanism.core.errors import InvalidInputError
from mechanism.llm import command, launch
from mechanism.llm.config import Settings, preset
from mechanism.llm.presets import PRESETS
from mechanism.llm.runs import plan
from mechanism.llm.runs.costs import Architecture
from mechanism.llm.training import lora
from mechanism.tables.trained import unmixed

LLAMA = {
    "hidden_size": 32, "intermediate_size": 88, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 101, "tie_word_embeddings": False,
}  # fmt: skip


def llama(**changes):
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**(LLAMA | changes), max_position_embeddings=64))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("game", ["harmless_humor", "faithful_summary"])
def test_every_setting_is_in_the_plan(name, game):
    found = plan.plan(preset(name, game=game))
    rows = [row.setting for row in found.rows]
    assert set(Settings.model_fields) <= set(rows) and len(rows) == len(set(rows))
    assert found.stages and found.commands
    json.dumps(found.as_dict())


def test_no_value_differs_from_the_papers_without_a_reason():
    for row in plan.plan(preset("paper")).rows:
        assert row.verdict in ("same", "differs", "not stated")
        assert (row.verdict == "same") == (row.paper is not None and row.value == row.paper)
        assert row.verdict == "same" or row.reason


def test_a_changed_setting_turns_up_as_a_deviation():
    rows = {row.setting: row for row in plan.plan(preset("paper", learning_rate=3e-5)).rows}
    assert rows["learning_rate"].verdict == "differs"
    usual = {row.setting: row for row in plan.plan(preset("paper")).rows}
    assert usual["learning_rate"].verdict == "same"


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_as_the_model_has_them(tied):
    model = llama(tie_word_embeddings=tied)
    counted = Architecture.from_config(LLAMA | {"tie_word_embeddings": tied}).parameters
    assert counted == sum(p.numel() for p in model.parameters())


def adapted(configuration):
    """Names and sizes of what an adapter of this configuration trains."""
    from peft import get_peft_model

    wrapped = get_peft_model(llama(), configuration)
    return {name: p.numel() for name, p in wrapped.named_parameters() if p.requires_grad}


def test_adapters_are_on_every_linear_map_but_the_last():
    """Against PEFT's own "all-linear", which knows no layers; in some layers alone, if asked."""
    from peft import LoraConfig

    settings = preset("tiny", lora_rank=4)
    found = adapted(lora.configuration(settings, llama()))
    every = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    assert found == adapted(every)
    assert Architecture.from_config(LLAMA).lora_parameters(4) == sum(found.values())
    upper = adapted(lora.configuration(settings, llama(), layers=[1, 2]))
    assert upper == {name: n for name, n in found.items() if ".layers.0." not in name}


def test_llama_2_has_6_7_billion_parameters():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        whole = LlamaForCausalLM(LlamaConfig())
    assert plan.plan(preset("paper")).parameters == sum(p.numel() for p in whole.parameters())


def test_forward_flops_agree_with_a_count():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.randint(0, 101, (2, 16))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        llama()(ids)
    ours = 2 * Architecture.from_config(LLAMA).forward_flops(16, 16, 16)
    total = counter.get_total_flops()
    halved = Architecture.from_config(LLAMA).forward_flops(2 * 16, 16, 2 * 16)
    assert min(abs(np.log(x / total)) for x in (ours, halved)) < np.log(1.15)


def test_dry_run_prints_the_plan_for_people_and_machines():
    people = CliRunner().invoke(app, ["llm", "dry-run", "--preset", "paper"])
    assert people.exit_code == 0 and "accelerate launch --num_processes 8" in people.output
    machine = CliRunner().invoke(app, ["llm", "dry-run", "--preset", "paper", "--json"])
    assert [each["game"] for each in json.loads(machine.output)] == [
        "harmless_humor", "faithful_summary",
    ]  # fmt: skip


def test_models_for_reports_are_in_the_plan_and_read_both_rewards():
    usual = preset("paper", trainer="regression", control=False)
    found = plan.plan(usual.model_copy(update={"reports": True}))
    flops = {stage.name: stage.flops for stage in found.stages}
    new = flops.keys() - {stage.name for stage in plan.plan(usual).stages}
    assert new == {
        f"{verb} {name}" for verb in ("train", "evaluate") for name in unmixed(False, True)
    }
    assert flops["train SW-Max 5, 5"] > max(flops[f"train {name}"] for name in usual.rewards)


@pytest.mark.parametrize("trainer", ["rloo", "regression"])
def test_several_gpus_share_a_training_or_each_has_its_own(trainer, monkeypatch):
    """Regression fits in one process: the plan offers no other way, and the launcher refuses it."""
    found = plan.plan(preset("paper", trainer=trainer))
    words = " ".join(line for _, lines in found.commands for line in lines)
    assert ("accelerate launch" in words) == (trainer == "rloo")
    assert ("--cluster" in words) == (trainer == "regression")
    monkeypatch.setattr(command, "_available", lambda settings: pytest.fail("is looked at"))
    expected = pytest.fail.Exception if trainer == "rloo" else InvalidInputError
    with pytest.raises(expected, match=r"is looked at|one process fits"):
        launch.main("tiny", "harmless_humor", [f"trainer={trainer}"])
