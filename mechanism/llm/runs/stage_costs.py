"""The stages of a run and what each of them costs; formulas in `costs`.

Every prompt is taken to be as long as allowed and every completion to run to its limit, so tokens,
FLOPs and hours are upper bounds for the settings. Framework overhead and memory that the allocator
holds back are not counted.
"""

from dataclasses import dataclass

from mechanism.llm.config import Settings
from mechanism.llm.hub import sources as hub
from mechanism.llm.models.soups import recipes
from mechanism.llm.runs.costs import (
    ADAPTER_BYTES,
    BYTES,
    Accelerator,
    Architecture,
    architecture,
)
from mechanism.tables.candidates import INITIAL, RANDOM
from mechanism.tables.trained import unmixed

ROW_BYTES = 100  # a row of a packed sample table at 32 tokens: 60 to 99 in the recorded runs
EMBEDDER = 22_700_000  # parameters of all-MiniLM-L6-v2, the rewards of the small scale


@dataclass(frozen=True)
class StageCost:
    """One stage: what it does and what it takes on one accelerator.

    Attributes
    ----------
    tokens : int
        Tokens that pass through the language model, counted once each time.
    flops : int
        All FLOPs of the stage, reward models included.
    memory : tuple of (str, int)
        Parts of the peak and their bytes; not all peak at once, `peak` adds what does.
    peak : int
        Bytes on the accelerator at the worst moment.
    hours : float
        Estimated hours on the accelerator.
    disk : int
        Bytes it leaves behind.
    """

    name: str
    tokens: int
    flops: int
    memory: tuple[tuple[str, int], ...]
    peak: int
    hours: float
    disk: int


@dataclass(frozen=True)
class Costs:
    """Prices the stages of one run."""

    settings: Settings
    shape: Architecture
    accelerator: Accelerator

    @property
    def weights(self) -> int:
        """Bytes of the language model."""
        return self.shape.parameters * BYTES[self.settings.dtype]

    @property
    def length(self) -> int:
        """Tokens of the longest prompt and completion together."""
        return self.settings.prompt_tokens + self.settings.max_new_tokens

    @property
    def checkpointing(self) -> bool:
        """Whether layers are recomputed in training: everywhere but on a CPU."""
        return self.settings.device != "cpu"

    def reward_parameters(self, name: str) -> int:
        """Parameters of the reward models behind a name: the control reads the first reward's."""
        if self.settings.preset != "paper":
            return EMBEDDER if self.settings.preset == "small" else 0
        both = self.settings.rewards
        read = (name,) if name in both else both[:1] if name == RANDOM else both
        return sum(hub.SOURCES[hub.REWARD_IDS[each]].parameters for each in read)

    def adapter(self) -> tuple[int, int]:
        """Bytes of an adapter's weights, and of its gradients and Adam's two moments."""
        count = self.shape.lora_parameters(self.settings.lora_rank) * ADAPTER_BYTES
        return count, 3 * count

    def generation(self, count: int, batch: int, rank: int) -> tuple[int, float]:
        """FLOPs, and bytes read one token after another, of `count` completions."""
        s, batches = self.settings, -(-count // batch)
        flops = self.shape.forward_flops(
            count * self.length, self.length, count * s.max_new_tokens, rank
        )
        middle = s.prompt_tokens + s.max_new_tokens // 2
        cache = self.shape.cache_bytes(min(batch, count) * middle, s.dtype)
        return flops, batches * s.max_new_tokens * (self.weights + cache)

    def sft(self) -> StageCost:
        """Supervised fine-tuning: forward and backward over prompt and answer, then a merge."""
        from mechanism.llm.training.sft import BATCH, LONGEST

        s, each = self.settings, BATCH * LONGEST
        tokens = s.sft_steps * each
        flops = self.shape.training_flops(tokens, LONGEST, tokens, s.lora_rank, self.checkpointing)
        logits = 2 * each * self.shape.vocabulary * 4
        return self._trained("sft", tokens, flops, 0.0, each, logits, 0, 0, self.weights)

    def train(self, reward: str) -> StageCost:
        """RLOO: draw, score under policy and initial model, reward, then forward and backward."""
        s, shape, rank = self.settings, self.shape, self.settings.lora_rank
        count = s.steps * s.batch
        tokens, wanted = count * self.length, count * s.max_new_tokens
        drawn, read = self.generation(count, s.batch, rank)
        scored = shape.forward_flops(tokens, self.length, wanted, rank)
        scored += shape.forward_flops(tokens, self.length, wanted)
        rewarded = 2 * self.reward_parameters(reward) * tokens
        trained = shape.training_flops(tokens, self.length, wanted, rank, self.checkpointing)
        each = s.batch_prompts * s.completions
        logits = 2 * each * (s.max_new_tokens + 1) * shape.vocabulary * 4
        cache = shape.cache_bytes(s.batch * self.length, s.dtype)
        return self._trained(
            f"train {reward}", 4 * tokens, drawn + scored + rewarded + trained, read,
            each * self.length, logits, cache, 4 * self.reward_parameters(reward), 0,
        )  # fmt: skip

    def evaluate(
        self, name: str, prompts: int, samples: int, attached: int = 0, active: int = 0
    ) -> StageCost:
        """Draw from a candidate, score under it and the initial model, reward.

        Of the `attached` adapters `active` ones make the soup, whose factors are stacked copies.
        """
        s, count, rank = self.settings, prompts * samples, active * self.settings.lora_rank
        drawn, read = self.generation(count, s.sample_batch, rank)
        tokens, wanted = count * self.length, count * s.max_new_tokens
        scored = self.shape.forward_flops(tokens, self.length, wanted, rank)
        if active:
            scored += self.shape.forward_flops(tokens, self.length, wanted)
        models = sum(self.reward_parameters(reward) for reward in (*s.rewards, RANDOM))
        batch = min(s.sample_batch, count)
        cache = self.shape.cache_bytes(batch * self.length, s.dtype)
        logits = 2 * batch * (s.max_new_tokens + 1) * self.shape.vocabulary * 4
        parts = (
            ("weights", self.weights), ("adapters", (attached + active) * self.adapter()[0]),
            ("keys and values", cache), ("logits", logits), ("reward models", 4 * models),
        )  # fmt: skip
        flops = drawn + scored + 2 * models * tokens
        peak = sum(size for _, size in parts) - min(cache, logits)
        disk = count * ROW_BYTES * max(1, s.max_new_tokens // 32)
        hours = self.accelerator.hours(flops, read)
        return StageCost(name, (3 if active else 2) * tokens, flops, parts, peak, hours, disk)

    def _trained(
        self, name: str, tokens: int, flops: int, read: float, micro: int, logits: int, cache: int,
        reward: int, merged: int,
    ) -> StageCost:  # fmt: skip
        """Put together a training stage; `micro` tokens pass backward at once."""
        adapter, optimiser = self.adapter()
        s = self.settings
        saved = self.shape.activation_bytes(micro, s.dtype, s.lora_rank, self.checkpointing)
        parts = (
            ("weights", self.weights), ("adapter", adapter), ("gradients and Adam", optimiser),
            ("activations", saved), ("logits", logits), ("keys and values", cache),
            ("reward models", reward),
        )  # fmt: skip
        peak = sum(size for _, size in parts) - min(cache, saved + logits)
        hours = self.accelerator.hours(flops, read)
        return StageCost(name, tokens, flops, parts, peak, hours, merged + adapter)


def stage_costs(settings: Settings, accelerator: Accelerator) -> tuple[StageCost, ...]:
    """Return the cost of every stage, in the order in which the pipeline makes them."""
    costs = Costs(settings, architecture(settings), accelerator)
    parts = (("weights", costs.weights),)
    stages = [StageCost(INITIAL, 0, 0, parts, costs.weights, 0.0, costs.weights)]
    if settings.sft_steps:
        stages.append(costs.sft())
    if settings.train:
        alone = unmixed(settings.control, settings.reports)
        trained = [*settings.rewards, *alone]
        stages += [costs.train(name) for name in trained]
        held = (settings.held_out_prompts, settings.samples)
        stages.append(costs.evaluate("evaluate initial", *held))
        for name, weights in recipes(settings.soups, settings.soup_scales).items():
            active = sum(weight > 0 for weight in weights)
            stages.append(costs.evaluate(f"evaluate {name}", *held, 2, active))
        stages += [costs.evaluate(f"evaluate {name}", *held, 1, 1) for name in alone]
    drawn = (settings.support_prompts, settings.support_samples)
    return (*stages, costs.evaluate("support", *drawn))
