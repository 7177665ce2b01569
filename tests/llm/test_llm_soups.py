"""Soups and log-probabilities of trained adapters, against slow oracles."""

import json

import numpy as np
import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import (
    preset,
)
from mechanism.llm.models import sample, soups
from mechanism.llm.studies import merging
from tests.llm.short_run import SHORT


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


@pytest.mark.parametrize("weights", [(0.3, 0.7), (1.0, 0.0), (0.0, 1.0), (0.2, 0.3)])
def test_a_soup_adds_the_weighted_changes(parts, weights):
    """Weights that sum to less than one scale a soup down."""
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
