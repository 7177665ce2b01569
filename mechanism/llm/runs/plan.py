"""The whole plan of a run, without network and without torch: settings, costs, commands.

Every setting stands beside the paper's value and its source, from the table
``mechanism/data/llm/paper_settings.csv``; RiC there is the public repository YangRui2015/RiC, from
which the paper's setup comes. A value that differs without a reason is an error, not a row.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from math import gcd
from typing import Any, Literal

import pandas as pd

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings, preset, value_of
from mechanism.llm.hub import sources as hub
from mechanism.llm.runs.costs import ADAPTER_BYTES, Accelerator, architecture
from mechanism.llm.runs.stage_costs import StageCost, stage_costs

Verdict = Literal["same", "differs", "not stated"]
MANY = 8
SCALES = {
    "tiny": "tiny scale: every completion of a random two-layer model can be enumerated",
    "small": "small scale: SmolLM2-135M and rewards from packages alone",
}


@dataclass(frozen=True)
class Row:
    """A setting, its value in this run, the paper's, and what is to be said about the two.

    `paper` is None where the paper and its sources say nothing; `reason` is never empty where the
    values differ.
    """

    setting: str
    value: Any
    paper: Any
    verdict: Verdict
    reason: str
    source: str


@dataclass(frozen=True)
class Plan:
    """What a run will do and take.

    Attributes
    ----------
    settings : Settings
        The run.
    rows : tuple of Row
        Every field of `Settings`, and what is fixed elsewhere.
    parameters, trained : int
        Parameters of the initial model and of one adapter.
    accelerator : Accelerator
        What hours are estimated for, and at which utilisation.
    stages : tuple of StageCost
        In the order of the pipeline.
    downloads : int
        Bytes of all model weights that come from the hub; data sets not counted.
    checkpoints : int
        Bytes of the one checkpoint that training keeps while it runs.
    commands : tuple of (str, tuple of str)
        Heading and command lines: to prepare, for one GPU, for several.
    """

    settings: Settings
    rows: tuple[Row, ...]
    parameters: int
    trained: int
    accelerator: Accelerator
    stages: tuple[StageCost, ...]
    downloads: int
    checkpoints: int
    commands: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def hours(self) -> float:
        """Accelerator hours of all stages."""
        return sum(stage.hours for stage in self.stages)

    @property
    def disk(self) -> int:
        """Bytes of downloads, of all that stages leave, and of a checkpoint."""
        return self.downloads + self.checkpoints + sum(stage.disk for stage in self.stages)

    @property
    def peak(self) -> int:
        """Bytes of the stage that needs the most of the accelerator."""
        return max(stage.peak for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        named = {"preset": self.settings.preset, "game": self.settings.game}
        parts = asdict(self) | {"settings": self.settings.model_dump(mode="json")}
        totals = {"hours": self.hours, "disk": self.disk, "peak": self.peak}
        return json.loads(json.dumps(named | parts | {"totals": totals}))


def plan(settings: Settings, accelerator: Accelerator | None = None) -> Plan:
    """Resolve a run without starting it.

    Raises
    ------
    InvalidInputError
        Where a value differs from the paper's and nothing says why, or a setting is not listed.
    """
    accelerator = accelerator or Accelerator()
    shape = architecture(settings)
    trained = shape.lora_parameters(settings.lora_rank)
    hub_ids = hub.needed(settings) if settings.preset == "paper" else ()
    sources = [hub.source_of(name) for name in hub_ids]
    weights = sum(4 * source.parameters for source in sources if not source.gated)
    weights += sum(2 * source.parameters for source in sources if source.gated)
    return Plan(
        settings, _rows(settings), shape.parameters, trained, accelerator,
        stage_costs(settings, accelerator), weights, 3 * trained * ADAPTER_BYTES,
        _commands(settings),
    )  # fmt: skip


@cache
def paper_settings() -> pd.DataFrame:
    """Return the paper's settings: columns setting, game, paper (JSON or text), source, note."""
    path = str(files("mechanism") / "data" / "llm" / "paper_settings.csv")
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def fixed(settings: Settings) -> dict[str, Any]:
    """Return what a run does that is no setting of its own, by the names of `paper_settings`."""
    from mechanism.llm.training.sft import BATCH
    from mechanism.tables.candidates import SIZE_SCALE

    paper = settings.preset == "paper"
    rewards = [hub.REWARD_IDS[name] if paper else name for name in settings.rewards]
    return {
        "kl_target": None, "top_p": 1.0, "size_scale": SIZE_SCALE, "sft_batch": BATCH,
        "batch": settings.batch, "lora_targets": "all-linear",
        "epochs": round(settings.steps * settings.batch / settings.completions
                        / settings.train_prompts, 2),
        "data": hub.DATA[settings.game] if paper else "packages and this repository",
        "reward_1": rewards[0], "reward_2": rewards[1],
        "reward_scale": "raw logits" if paper else "[0, 1]",
    }  # fmt: skip


def _rows(settings: Settings) -> tuple[Row, ...]:
    values = settings.model_dump(mode="json") | fixed(settings)
    own = preset(settings.preset, game=settings.game)
    usual = own.model_dump(mode="json") | fixed(own)
    table = paper_settings()
    table = table[table["game"].isin(["", settings.game])].set_index("setting")
    unlisted = [name for name in values if name not in table.index]
    if unlisted:
        fix = "add it to mechanism/data/llm/paper_settings.csv, with the paper's value and source"
        raise InvalidInputError("setting", unlisted[0], "not among the paper's settings", fix)
    return tuple(
        _row(settings.preset, name, values[name], usual[name], table.loc[name])
        for name in table.index
    )


def _row(scale: str, name: str, value: Any, usual: Any, listed: Any) -> Row:
    """Compare one setting with the paper; a difference without a reason is refused."""
    paper = value_of(listed["paper"]) if listed["paper"] else None
    changed = f"changed from the preset's {usual}" if value != usual else ""
    if paper is None:
        reason = changed or (listed["note"] if scale == "paper" else SCALES[scale])
        return Row(name, value, None, "not stated", reason, "")
    if value == paper:
        return Row(name, value, paper, "same", changed, listed["source"])
    reason = changed or (SCALES[scale] if scale != "paper" else listed["note"])
    if not reason:
        rule = f"the paper has {paper} ({listed['source']}), and nothing says why not"
        fix = "give the reason in mechanism/data/llm/paper_settings.csv, or use the paper's value"
        raise InvalidInputError(name, value, rule, fix)
    return Row(name, value, paper, "differs", reason, listed["source"])


def changes(settings: Settings) -> dict[str, Any]:
    """Return what differs from the preset of the same scale and game."""
    own = preset(settings.preset, game=settings.game).model_dump(mode="json")
    given = settings.model_dump(mode="json")
    return {name: value for name, value in given.items() if value != own[name]}


def _command(settings: Settings, start: str, **more: Any) -> str:
    """Return a command line that makes this run."""
    sets = [
        f"--set '{name}={json.dumps(value)}'"
        for name, value in (changes(settings) | more).items()
        if name != "train"
    ]
    words = [start, f"--preset {settings.preset}", f"--game {settings.game}"]
    if "train" in changes(settings):
        words.append("--train" if settings.train else "--no-train")
    return " ".join([*words, *sets])


def _commands(settings: Settings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the commands; several GPUs share a step's prompts, so its batch stays the same."""
    prepare = ["make setup" if settings.preset == "tiny" else "make setup setup-llm"]
    if settings.preset == "paper":
        sources = [hub.source_of(name) for name in hub.needed(settings)]
        fetched = [s.command for s in sources if s.id not in settings.substitutes]
        login = ["hf auth login"] if any(s.gated for s in sources) else []
        prepare = ["make setup", *login, *fetched]
    groups = [("prepare", tuple(prepare)), ("one GPU", (_command(settings, "mechanism llm run"),))]
    prompts = settings.batch_prompts * settings.accumulation
    gpus = gcd(MANY, prompts)
    if settings.train and settings.trainer == "regression":
        spread = _command(settings, "mechanism llm run --cluster ADDRESS")
        groups.append(("several GPUs: a Dask worker on each, a model a task", (spread,)))
    elif settings.train and gpus > 1:
        launch = f"accelerate launch --num_processes {gpus} -m mechanism.llm.launch"
        more = {"batch_prompts": prompts // gpus, "accumulation": 1}
        both = (_command(settings, launch, **more), _command(settings, "mechanism llm run", **more))
        groups.append((f"{gpus} GPUs: train and evaluate together, then put together", both))
    return tuple(groups)
