"""Regression from one pool: exact targets on trees of tokens, then the tiny model."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mechanism import KL, RLHFGame, sw_max
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import preset
from mechanism.llm.models import policies, soups, tiny
from mechanism.llm.models.sample import Completion
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import exact, record
from mechanism.llm.training import pool as pools
from mechanism.llm.training import regression, rounds, values
from mechanism.llm.training.targets import compare

LAM = 0.1
WEIGHTS = np.array([0.3, 0.7])
NAMES = ("harmless", "humor")


def prefix_sums(tokens, mask, weights):
    """Sum of weights (m,) over the rows that begin as each row's first t tokens do, (m, T + 1)."""
    sums = {}
    keys = [
        [tuple(row[:t]) if t <= int(m.sum()) else None for t in range(len(row) + 1)]
        for row, m in zip(tokens.tolist(), mask, strict=True)
    ]
    for row, weight in zip(keys, weights, strict=True):
        for key in row:
            sums[key] = sums.get(key, 0.0) + weight
    return np.array([[sums[key] for key in row] for row in keys])


@pytest.fixture(scope="module")
def tree():
    """One request of the tiny model with a random tree for q: game, completions."""
    completions = tiny.enumerate_completions()
    rewards = tiny.reward_table([tiny.TinyReward(n) for n in NAMES], tiny.REQUESTS[:1])
    random, nodes = np.random.default_rng(0), {}
    q = np.ones(len(completions.texts))
    for row, (path, live) in enumerate(zip(completions.tokens, completions.mask, strict=True)):
        for t in range(int(live.sum())):
            if (key := tuple(path[:t])) not in nodes:
                logits = random.normal(size=1 + len(tiny.WORDS))
                nodes[key] = np.exp(logits) / np.exp(logits).sum()
            q[row] *= nodes[key][path[t]]
    return RLHFGame(rewards[0], WEIGHTS, q, KL(LAM)), completions


def enumerated(game, completions, policy):
    """A pool of every completion, as if `policy` had drawn it, and the exact values; float64."""
    tokens, mask = completions.tokens, completions.mask
    own, first = (prefix_sums(tokens, mask, p) for p in (policy, game.reference))
    steps = [np.log(part[:, 1:] / part[:, :-1]) * mask for part in (own, first)]
    ratio = steps[0] - steps[1]
    ahead = np.concatenate([ratio[:, ::-1].cumsum(1)[:, ::-1], np.zeros((len(ratio), 1))], 1)
    columns = []
    for coming in (*np.repeat(game.rewards[..., None], ahead.shape[1], 2), ahead):
        sums = [
            prefix_sums(tokens, mask, policy * coming[:, t])[:, t] for t in range(ahead.shape[1])
        ]
        columns.append(np.stack(sums, 1) / own)
    tensor = lambda part: torch.tensor(np.array(part, dtype=float))  # noqa: E731
    drawn = SimpleNamespace(
        mask=tensor(mask), log_ratio=tensor(ratio), rewards=tensor(game.rewards.T)
    )
    return drawn, tensor(np.stack(columns, -1)), steps[1]


def improved(game, completions, wanted, steps):
    """The policy whose tokens have probability q exp(target / lam), normalised at every prefix."""
    tokens, mask = completions.tokens, completions.mask
    raw = np.exp(steps + np.asarray(wanted) / LAM)
    nodes = {}
    for row, live in enumerate(mask):
        for t in range(int(live.sum())):
            nodes.setdefault(tuple(tokens[row, :t]), {})[tokens[row, t]] = raw[row, t]
    policy = np.ones(len(tokens))
    for row, live in enumerate(mask):
        for t in range(int(live.sum())):
            node = nodes[tuple(tokens[row, :t])]
            policy[row] *= node[tokens[row, t]] / sum(node.values())
    return policy


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_at_the_optimum_the_target_is_its_own_log_ratio(tree, trace):
    game, completions = tree
    drawn, value, _ = enumerated(game, completions, sw_max(game))
    wanted = regression.targets(drawn, WEIGHTS, value, LAM, trace)
    np.testing.assert_allclose(wanted, LAM * drawn.log_ratio, atol=1e-9)
    wrong = value.clone()
    wrong[..., -1] = 0  # the divergence to come left out
    assert (regression.targets(drawn, WEIGHTS, wrong, LAM, trace) - wanted).abs().max() > 1e-3


def test_after_as_many_rounds_as_tokens_the_target_is_the_optimum(tree):
    """Soft policy iteration from q: J never falls, and on three tokens the third round is pi*."""
    game, completions = tree
    policy, gaps = np.asarray(game.reference), []
    for _ in range(3):
        gaps.append(compare_one(game, policy))
        drawn, value, steps = enumerated(game, completions, policy)
        wanted = regression.targets(drawn, WEIGHTS, value, LAM, 0.0)
        policy = improved(game, completions, wanted, steps)
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > 0.01 and gaps[1] > 1e-6
    np.testing.assert_allclose(policy, sw_max(game), atol=1e-9)


def test_the_target_of_a_text_is_the_optimum_whoever_drew_it(tree):
    """Every completion once, as a uniform law would draw them, and twice by two prompts: pi*."""
    game, completions = tree
    drawn, _, _ = enumerated(game, completions, np.asarray(game.reference))
    m = len(completions.texts)
    off = torch.zeros_like(drawn.mask)
    off[:, 0] = torch.tensor(np.log(1 / m / game.reference))
    twice = SimpleNamespace(
        prompt=torch.arange(2 * m) // m, log_ratio=torch.cat([off, off]),
        rewards=torch.cat([drawn.rewards, drawn.rewards / 2]),
    )  # fmt: skip
    wanted = regression.text_targets(twice, WEIGHTS, LAM).numpy()
    half = RLHFGame(game.rewards / 2, game.sizes, game.reference, game.divergence)
    best = np.concatenate([np.log(sw_max(g) / g.reference) for g in (game, half)])
    np.testing.assert_allclose(wanted, LAM * best, atol=1e-9)
    twice.log_ratio = 0 * twice.log_ratio  # taken for draws of q
    assert abs(regression.text_targets(twice, WEIGHTS, LAM).numpy() - wanted).max() > 1e-2


def test_stages_of_trainings_by_tokens_are_found_again():
    """What was added later is in the key only where it is used."""
    plain = rounds.made_from(SETTINGS)
    assert not {"fit_to", "round_epochs"} & set(plain)
    changed = SETTINGS.model_copy(update={"fit_to": "texts", "round_epochs": 4})
    assert rounds.made_from(changed) == plain | {"fit_to": "texts", "round_epochs": 4}


def compare_one(game, policy):
    batch = RLHFGame(game.rewards[None], game.sizes, game.reference[None], game.divergence)
    return compare(batch, policy[None]).gap


SETTINGS = preset(
    "tiny", trainer="regression", device="cpu", pool_samples=1200, fit_batch=160, warmup=0.1
)

FITS = {"tokens": {}, "texts": {"fit_to": "texts", "learning_rate": 3e-3, "fit_epochs": 3}}


@pytest.fixture(scope="module")
def initial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("initial")
    tiny.make_initial(folder, 0)
    return folder


def given(settings=SETTINGS):
    """Prompts and rewards of a training."""
    prompts = tiny.prompts()[: len(tiny.REQUESTS)]
    return prompts, tasks.rewards(settings, [*settings.rewards, "random"])


@pytest.mark.parametrize("frozen", [0, 1])
def test_pool_knows_the_probability_of_every_token(initial, frozen):
    """Split at a layer or whole, with an adapter or without: as the enumeration says."""
    settings = SETTINGS.model_copy(update={"frozen_layers": frozen})
    model, tokenizer = rounds.adapted(initial, settings)
    with torch.no_grad():
        for name, part in model.named_parameters():
            if "lora_B" in name:
                part.normal_(std=0.3)
    every = tiny.enumerate_completions()
    drawn = [
        Completion(0, k, tuple(row[live].tolist()), text, True)
        for k, (row, live, text) in enumerate(
            zip(every.tokens, every.mask, every.texts, strict=True)
        )
    ]
    rewards = np.zeros((len(drawn), 1))
    found = pools.read_pool(model, tokenizer, tiny.REQUESTS[:1], drawn, rewards, ("r",), settings)
    own = tiny.exact_log_probs(model, tokenizer, tiny.REQUESTS[:1])[0]
    plain, _ = policies.load(initial, settings)
    first = tiny.exact_log_probs(plain, tokenizer, tiny.REQUESTS[:1])[0]
    np.testing.assert_allclose(found.log_initial.sum(1), first, atol=2e-5)
    np.testing.assert_allclose(found.log_ratio.sum(1), own - first, atol=4e-5)
    assert found.log_ratio.abs().max() > 0.1


@pytest.fixture(scope="module")
def pool(initial, tmp_path_factory):
    """The folder of a pool, which is the same whatever is fitted to it."""
    folder = tmp_path_factory.mktemp("pool")
    rounds.write_pool(SETTINGS, initial, *given(), folder)
    return folder


@pytest.mark.parametrize("fit_to", ["tokens", "texts"])
def test_gap_at_equal_texts_is_no_worse_than_recorded_rloo(
    initial, pool, tmp_path, monkeypatch, fit_to
):
    """As many texts as the recorded training by RLOO drew, and a smaller or equal gap.

    The values of a pool are the same for each reward, and are fitted once here, by a network of a
    quarter of the usual width: the gap grows by a twentieth, and the fit takes a third.
    """
    monkeypatch.setattr(regression, "fit_values", partial(values.fit_values, width=128))
    kept, fit = [], regression.pool_values
    monkeypatch.setattr(regression, "pool_values", lambda *a: kept or kept.extend(fit(*a)) or kept)
    settings = SETTINGS.model_copy(update=FITS[fit_to])
    recorded = record.read(record.RECORDED / "tiny_harmless_humor_trained")
    texts = recorded.settings.steps * recorded.settings.batch
    assert recorded.settings.trainer == "rloo"
    assert settings.pool_samples * settings.train_prompts == texts
    bar = exact.training_gap(recorded.exact, list(NAMES), settings.lam).set_index("reward")["gap"]
    prompts, rewards = given(settings)
    for k, name in enumerate(NAMES):
        folder = tmp_path / name
        folder.mkdir()
        rounds.train(settings, initial, pool, prompts, rewards, np.eye(3)[k], folder)
        model, tokenizer = policies.load(initial, settings)
        reward = [tiny.TinyReward(name)]
        game = tiny.exact_game(model, tokenizer, tiny.REQUESTS, reward, (1.0,), settings.lam)
        trained = soups.attach(model, [folder / "adapter"])
        policy = np.exp(tiny.exact_log_probs(trained, tokenizer, tiny.REQUESTS))
        gap = compare(game, policy).gap
        assert gap <= bar[name], (name, gap, bar[name])
        assert compare(game, np.asarray(game.reference)).gap > 3 * gap


def test_killed_between_rounds_goes_on_to_the_same_adapter(initial, tmp_path, monkeypatch):
    settings = SETTINGS.model_copy(
        update={"pool_samples": 40, "rounds": 1, "round_samples": 40, "fit_epochs": 1}
    )
    prompts, rewards = given(settings)
    rounds.write_pool(settings, initial, prompts, rewards, tmp_path)
    arguments = (settings, initial, tmp_path, prompts, rewards, np.eye(3)[0])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    rounds.train(*arguments, whole)
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "draw_pool", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rounds.train(*arguments, cut)
    assert not (cut / "adapter").exists()
    rounds.train(*arguments, cut)
    first, second = (
        (folder / "adapter" / "adapter_model.safetensors").read_bytes() for folder in (whole, cut)
    )
    assert first == second
    assert (whole / "log.json").read_text() == (cut / "log.json").read_text()


def test_values_find_a_signal_on_prompts_that_they_have_not_seen_and_nothing_in_noise():
    random = torch.Generator().manual_seed(0)
    n, t, prompts = 400, 3, 40
    features = torch.randn(n, t + 1, 5, generator=random)
    mask, prompt = torch.ones(n, t), torch.arange(n) % prompts
    signal = features[..., :1] + 0.1 * torch.randn(n, t + 1, 1, generator=random)
    _, found = values.fit_values(features, signal, mask, prompt, 0)
    noise = torch.randn(n, t + 1, 1, generator=random)
    _, nothing = values.fit_values(features, noise, mask, prompt, 0)
    assert found > 0.8 and nothing < 0.1


def test_values_of_few_prompts_are_fitted_on_completions_of_the_same(monkeypatch):
    """Two prompts that want the opposite: what one says of the other is worse than nothing."""
    random = torch.Generator().manual_seed(1)
    n, t = 1500, 3
    prompt = torch.arange(n) % 2
    features = torch.randn(n, t + 1, 5, generator=random)
    features[..., 1] = prompt[:, None].float()
    signal = features[..., :1] * (1 - 2 * prompt[:, None, None].float())
    _, found = values.fit_values(features, signal, torch.ones(n, t), prompt, 0)
    monkeypatch.setattr(values, "FEW", 0)
    _, across = values.fit_values(features, signal, torch.ones(n, t), prompt, 0)
    assert found > 0.3 > 0 > across, (found, across)


def test_what_cannot_be_trained_is_refused(initial):
    with pytest.raises(InvalidInputError, match="frozen_layers"):
        rounds.adapted(initial, SETTINGS.model_copy(update={"frozen_layers": 2}))
    one = SimpleNamespace(prompt=torch.zeros(4, dtype=torch.long))
    with pytest.raises(InvalidInputError, match="train_prompts"):
        values.fit_values(
            torch.zeros(4, 2, 1), torch.zeros(4, 2, 1), torch.ones(4, 1), one.prompt, 0
        )
