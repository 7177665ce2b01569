"""Every setting of a language-model run, validated in one place.

A run is fixed by its `Settings`. `preset(name, **changes)` starts from one of three scales:
`tiny` (seconds; every sequence can be enumerated), `small` (SmolLM2-135M, from packages alone) and
`paper` (Llama-2-7B). Notebook parameters pass through `from_parameters`, since papermill itself
accepts names that nobody reads.
"""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from mechanism.core.errors import InvalidInputError
from mechanism.llm.presets import PRESETS

Scale = Literal["tiny", "small", "paper"]
Game = Literal["harmless_humor", "faithful_summary"]
REWARDS: dict[str, tuple[str, str]] = {
    "harmless_humor": ("harmless", "humor"),
    "faithful_summary": ("faithful", "summary"),
}
MOST = 10_000_000  # more of anything is a slip of the keyboard, and memory would end before it
Positive = Annotated[int, Field(gt=0, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # numpy's generators take no larger one
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Step = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Settings(BaseModel):
    r"""One run: which game, which model, how it is trained, sampled and priced.

    The trained objective of reward r is SW-Max's own, `E_pi r - lam KL(pi || initial)`.

    >>> preset("tiny", seed=3).seed
    3
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Scale
    game: Game = "harmless_humor"
    train: bool = Field(description="Train a model per reward; otherwise use samples alone.")
    control: bool = Field(True, description="Also train for the random reward (negative control).")
    seed: Seed = 0
    lam: Rate = Field(0.1, description="Weight of the KL divergence, in reward units per nat.")

    initial: str = Field(
        min_length=1, description="Initial model: 'tiny', 'smollm2', a hub id or a folder."
    )
    system: str = Field("", description="System message before each prompt; empty for none.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "float32", description="Of the weights; auto: bfloat16 where the processor is fast in it."
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    substitutes: dict[str, str] = Field(
        default_factory=dict, description="Folders that stand in for hub ids."
    )

    prompt_tokens: Positive = Field(256, description="Longer prompts are left out.")
    max_new_tokens: Positive
    temperature: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.0
    train_prompts: Positive
    held_out_prompts: Positive
    samples: Positive = Field(description="Completions per prompt and candidate when evaluating.")
    support_prompts: Positive = Field(description="Held-out prompts of the training-free route.")
    support_samples: Positive = Field(description="Completions per prompt on that route.")
    sample_batch: Positive = 64

    sft_steps: Count = 0
    sft_learning_rate: Step = 1.4e-4
    trainer: Literal["regression", "rloo", "grpo"] = "rloo"
    pool_samples: Annotated[int, Field(ge=2, le=MOST)] = Field(
        12, description="Regression: completions of the initial model to each training prompt."
    )
    rounds: Count = Field(0, description="Regression: fits to completions of the model itself.")
    round_samples: Annotated[int, Field(ge=2, le=MOST)] = Field(
        12, description="Regression: completions to each training prompt in such a round."
    )
    round_epochs: Positive = Field(1, description="Regression: passes over them in such a round.")
    fit_epochs: Positive = Field(2, description="Regression: passes over the pool.")
    fit_batch: Positive = Field(48, description="Regression: completions of one step.")
    fit_to: Literal["tokens", "texts"] = Field(
        "tokens", description="Regression: what is fitted, the log-ratio of tokens or of texts."
    )
    trace: Annotated[float, Field(ge=0, le=1)] = Field(
        0.9, description="Regression: weight of later surprises, lambda of GAE."
    )
    frozen_layers: Count = Field(0, description="Regression: lower layers without an adapter.")
    reports: bool = Field(False, description="Regression: also SW-Max, groups alone, misreports.")
    steps: Positive
    batch_prompts: Positive
    completions: Annotated[int, Field(ge=2, le=MOST)] = Field(
        description="Completions per prompt and step."
    )
    accumulation: Positive = 1
    learning_rate: Step
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="How the learning rate goes on after the warm-up; to 0 but for one."
    )
    warmup: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.0, description="Share of the steps in which the learning rate rises from 0."
    )
    max_grad_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0, description="Gradients are scaled down to this norm; 0 leaves them, without bias."
    )
    lora_rank: Annotated[int, Field(gt=0, le=4096)] = 16
    lora_alpha: Positive = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.0, description="Of supervised fine-tuning alone."
    )
    checkpoint_every: Positive = 10

    soups: Annotated[int, Field(ge=2, le=101)] = 11
    soup_scales: tuple[Share, ...] = Field((), description="Soups also at these shares of change.")
    bootstrap: Positive = 1000

    @field_validator("reports", "soup_scales")
    @classmethod
    def _of_what_is_trained(cls, value: Any, others: ValidationInfo) -> Any:
        if value and not others.data.get("train", True):
            raise ValueError("without training nothing comes of it: train must be true")
        return value

    @field_validator("soup_scales")
    @classmethod
    def _named_apart(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len({f"{scale:g}" for scale in value}) < len(value):
            raise ValueError("shares must differ in the six digits that name their soups")
        return value

    @field_validator("reports")
    @classmethod
    def _from_a_pool(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("trainer", "regression") != "regression":
            raise ValueError("models for reports are fitted to a pool: trainer must be regression")
        return value

    @property
    def rewards(self) -> tuple[str, str]:
        """Names of the two rewards: group 1's, group 2's."""
        return REWARDS[self.game]

    @property
    def batch(self) -> int:
        """Completions of one optimiser step."""
        return self.batch_prompts * self.completions * self.accumulation

    def only(self, *names: str) -> dict[str, Any]:
        """Return the named settings, for the key of a stage that depends on these alone."""
        chosen = self.model_dump(mode="json")
        return {name: chosen[name] for name in names}


def preset(name: str, **changes: Any) -> Settings:
    """Return the settings of a scale, with changes.

    Raises
    ------
    InvalidInputError
        Where a name is unknown or a value breaks its rule; it names the setting and the rule.
    """
    if name not in PRESETS:
        raise InvalidInputError("preset", name, "not a scale", f"use one of {', '.join(PRESETS)}")
    summary = {"max_new_tokens": 48} if name == "paper" else {}
    extra = summary if changes.get("game") == "faithful_summary" else {}
    try:
        return Settings.model_validate({"preset": name} | PRESETS[name] | extra | changes)
    except ValidationError as error:
        raise _plain(error, name) from None


def from_parameters(parameters: dict[str, Any]) -> Settings:
    """Return the settings that a notebook's parameters ask for; None means the preset's own.

    >>> from_parameters({"preset": "tiny", "steps": None}).preset
    'tiny'
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    return preset(str(given.pop("preset", "tiny")), **given)


def value_of(text: str) -> Any:
    """Return what a written value means: JSON where it is that, else the text itself.

    >>> value_of("60"), value_of("rloo")
    (60, 'rloo')
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def assignment(argument: str, text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE, which was given as `argument`.

    Raises
    ------
    InvalidInputError
        Where there is no "=".
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInputError(argument, text, "not of the form NAME=VALUE", "e.g. steps=60")
    return name, value_of(value)


NOT_PARAMETERS = {"In", "Out", "exit", "quit", "get_ipython", "open"}  # IPython's own names


def notebook_settings(names: Mapping[str, Any]) -> tuple[Settings, ...]:
    """Return the settings of each game that a notebook's global names ask for; called first.

    Papermill makes a global of any name that it is given, known or not. Here a name that is no
    setting is refused; `run` and names with an underscore, of modules and of functions are ignored.
    Without `game`, both games are asked for.

    >>> [s.game for s in notebook_settings({"preset": "tiny", "steps": 5})]
    ['harmless_humor', 'faithful_summary']
    """
    given = {
        name: value
        for name, value in names.items()
        if not (name.startswith("_") or name in NOT_PARAMETERS or name == "run")
        and not (isinstance(value, ModuleType) or callable(value))
    }
    games = [given.pop("game")] if given.get("game") else list(REWARDS)
    return tuple(from_parameters(given | {"game": game}) for game in games)


def _plain(error: ValidationError, scale: str) -> InvalidInputError:
    """Say the first fault in the project's own words; to mend it, what the scale has."""
    fault = error.errors()[0]
    name = ".".join(map(str, fault["loc"])) or "settings"
    if fault["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return InvalidInputError(name, fault["input"], "no such setting", f"use one of {known}")
    field = str(fault["loc"][0])
    default = Settings.model_fields[field].get_default(call_default_factory=True)
    usual = ({"preset": scale} | PRESETS[scale]).get(field, default)
    rule, fix = fault["msg"].removeprefix("Value error, "), f"the {scale} scale has {usual!r}"
    if fault["type"] == "tuple_type":
        rule, fix = "not a list", f"e.g. {name}=[0.5]"
    return InvalidInputError(name, fault["input"], rule, fix)
