"""What the `paper` scale takes from the Hugging Face hub, and whether it is on this machine.

Nothing here opens a connection: every id is resolved to a folder, either one that stands in for it
(`Settings.substitutes`, hub id -> folder) or the snapshot that `hf download` left in the cache.
`check_available` refuses before any work starts. `data` reads the texts, `rewards` the models.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings

LLAMA = "meta-llama/Llama-2-7b-hf"
LOCAL_INITIALS = ("tiny", "smollm2")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class Source:
    """A repository on the hub.

    Attributes
    ----------
    id : str
        Its name on the hub.
    kind : {"model", "dataset"}
        What it holds.
    files : tuple of str
        Patterns below its folder that must be there: of a dataset the training and the held-out
        files, in this order.
    parameters : int
        Of a model, rounded: for the plan alone, counted when the model is loaded.
    revision : str, optional
        Branch; the default one if None.
    gated : bool
        Whether a licence must be accepted on the hub's site first.
    excluded : str, optional
        Pattern of files that nobody needs: second copies of the weights.
    """

    id: str
    kind: Literal["model", "dataset"] = "model"
    files: tuple[str, ...] = ("config.json",)
    parameters: int = 0
    revision: str | None = None
    gated: bool = False
    excluded: str | None = None

    @property
    def command(self) -> str:
        """The command that downloads it into the cache."""
        parts = ["hf download", self.id]
        if self.kind == "dataset":
            parts.append("--repo-type dataset")
            parts += [f"--include '{pattern}'" for pattern in self.files]
        if self.excluded:
            parts.append(f"--exclude '{self.excluded}'")
        if self.revision:
            parts.append(f"--revision {self.revision}")
        return " ".join(parts)


SOURCES = {
    source.id: source
    for source in (
        Source(LLAMA, parameters=6_738_415_616, gated=True, excluded="*.bin"),
        Source("Anthropic/hh-rlhf", "dataset", ("*/train.jsonl*", "*/test.jsonl*")),
        # the main branch is a loading script, which datasets no longer runs; this one has its data
        Source(
            "openai/summarize_from_feedback",
            "dataset",
            ("comparisons/train/*.parquet", "comparisons/validation/*.parquet"),
            revision="refs/convert/parquet",
        ),
        Source("Ray2333/gpt2-large-harmless-reward_model", parameters=774_000_000),
        Source("mohameddhiab/humor-no-humor", parameters=67_000_000),
        Source("CogComp/bart-faithful-summary-detector", parameters=140_000_000),
        Source("Tristan/gpt2_reward_summarization", parameters=124_000_000),
        Source("OpenAssistant/reward-model-deberta-v3-large-v2", parameters=435_000_000),
    )
}
DATA = {"harmless_humor": "Anthropic/hh-rlhf", "faithful_summary": "openai/summarize_from_feedback"}
REWARD_IDS = {
    "harmless": "Ray2333/gpt2-large-harmless-reward_model",
    "humor": "mohameddhiab/humor-no-humor",
    "faithful": "CogComp/bart-faithful-summary-detector",
    "summary": "Tristan/gpt2_reward_summarization",
    "preference": "OpenAssistant/reward-model-deberta-v3-large-v2",
}


def source_of(hub_id: str) -> Source:
    """Return what is known of a hub id; one that is not listed is taken for a model."""
    return SOURCES.get(hub_id, Source(hub_id))


def needed(settings: Settings) -> tuple[str, ...]:
    """Return every hub id that a run reads.

    >>> from mechanism.llm.config import preset
    >>> needed(preset("paper"))[:2]
    ('meta-llama/Llama-2-7b-hf', 'Anthropic/hh-rlhf')
    """
    initial = () if settings.initial in LOCAL_INITIALS else (settings.initial,)
    paper = settings.preset == "paper"
    data = (DATA[settings.game],) if paper or settings.sft_steps else ()
    rewards = (REWARD_IDS[name] for name in settings.rewards) if paper else ()
    return (*initial, *data, *rewards)


def cache_folder() -> Path:
    """Return the folder where `hf download` puts repositories (set by HF_HOME or HF_HUB_CACHE)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def locate(hub_id: str, substitutes: Mapping[str, str]) -> Path | None:
    """Return the complete folder of a hub id on this machine, or None; never asks the network."""
    given = substitutes.get(hub_id, hub_id)
    if hub_id in substitutes or Path(given).is_dir():
        folder = Path(given)
    else:
        found = _snapshot(source_of(hub_id))
        if found is None:
            return None
        folder = found
    return folder if not _missing(folder, source_of(hub_id)) else None


def _snapshot(source: Source) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                source.id, repo_type=source.kind, revision=source.revision,
                cache_dir=cache_folder(), local_files_only=True,
            )
        )  # fmt: skip
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _missing(folder: Path, source: Source) -> list[str]:
    """Return what a folder lacks; an interrupted download leaves dangling links."""
    lacks = [pattern for pattern in source.files if not _any(folder, pattern)]
    if source.kind == "model" and not any(_any(folder, pattern) for pattern in WEIGHTS):
        lacks.append(" or ".join(WEIGHTS))
    return lacks


def _any(folder: Path, pattern: str) -> bool:
    return any(path.exists() for path in folder.glob(pattern))


def folder_of(hub_id: str, substitutes: Mapping[str, str]) -> Path:
    """Return the folder of a hub id.

    Raises
    ------
    InvalidInputError
        Where it is not on this machine, as in `check_available`.
    """
    check_available([hub_id], {k: v for k, v in substitutes.items() if k == hub_id})
    found = locate(hub_id, substitutes)
    assert found is not None
    return found


def check_available(ids: Iterable[str], substitutes: Mapping[str, str]) -> None:
    """Refuse a run whose models or data are not on this machine; opens no connection.

    Raises
    ------
    InvalidInputError
        One error that names every missing id, where it was looked for, and the commands that
        bring it; or a substitute for an id that nothing here reads.
    """
    wanted = tuple(dict.fromkeys(ids))
    for name in substitutes:
        if name not in wanted and name not in SOURCES:
            fix = f"use one of {', '.join(SOURCES)}"
            raise InvalidInputError("substitutes", name, "stands in for an id nobody reads", fix)
    missing = [name for name in wanted if locate(name, substitutes) is None]
    if missing:
        rule = "not on this machine:" + "".join(_place(name, substitutes) for name in missing)
        raise InvalidInputError("hub ids", ", ".join(missing), rule, _fix(missing, substitutes))


def _place(hub_id: str, substitutes: Mapping[str, str]) -> str:
    """Say where an id was looked for and what is lacking there."""
    if hub_id in substitutes:
        lacks = ", ".join(_missing(Path(substitutes[hub_id]), source_of(hub_id)))
        return f"\n  {hub_id}: its substitute {substitutes[hub_id]} lacks {lacks}"
    found = _snapshot(source_of(hub_id))
    lacks = f" (incomplete: lacks {', '.join(_missing(found, source_of(hub_id)))})" if found else ""
    return f"\n  {hub_id}: looked in {cache_folder()}{lacks}"


def _fix(missing: Sequence[str], substitutes: Mapping[str, str]) -> str:
    from_hub = [source_of(name) for name in missing if name not in substitutes]
    lines = [f"\n  {source.command}" for source in from_hub]
    gated = [source.id for source in from_hub if source.gated]
    if gated:
        lines.insert(
            0, f"\n  accept the licence at https://huggingface.co/{gated[0]}, `hf auth login`"
        )
    if from_hub:
        lines.append("\n  or set HF_HOME to the cache that has them")
    lines.append('\n  or name a complete folder: --set \'substitutes={"ID": "FOLDER"}\'')
    return "".join(lines)
