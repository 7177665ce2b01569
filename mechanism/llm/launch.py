"""Train and evaluate on several GPUs: `accelerate launch --num_processes 8 -m` this module.

All processes train together (each with its share of a step's prompts, so `batch_prompts` counts
those of one process) and then evaluate different candidates side by side. The stages are those of
`pipeline`, so `mechanism llm run` with the same settings finds them and puts the run together.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mechanism.core.errors import InvalidInputError
from mechanism.llm.command import Changes, GameName, Preset, settings_of
from mechanism.llm.config import Settings
from mechanism.llm.models import soups
from mechanism.llm.runs import pipeline
from mechanism.llm.stages import DONE, Stage, Store, beside, stage_key
from mechanism.tables.candidates import INITIAL, RANDOM
from mechanism.terminal import Application

COLLECTIVE = ("sft", "train-")  # stages in which every process takes part
POLL = 0.5  # seconds
Folder = Annotated[Path | None, typer.Option(help="Where stages lie; those of runs by default.")]


@dataclass(frozen=True)
class SharedStore(Store):
    """A store for processes that work together.

    Other stages are made by one process while the rest wait at its lock; in collective ones the
    first process keeps the books and all of them build.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    barrier : callable
        Returns when every process has called it.
    """

    rank: int = 0
    barrier: Callable[[], None] = lambda: None

    def run(
        self,
        name: str,
        settings: Mapping[str, Any],
        inputs: Sequence[Stage],
        build: Callable[[Path], None],
        resumable: bool = False,
    ) -> Stage:
        """Return the stage, building it together where it is a collective one."""

        def together(folder: Path) -> None:
            self.barrier()
            build(folder)
            self.barrier()  # nobody writes into the folder after it was renamed

        key = stage_key(settings, inputs)
        path = self.root / f"{name}-{key}"
        if not name.startswith(COLLECTIVE):
            return super().run(name, settings, inputs, build, resumable)
        done = (path / DONE).exists()
        self.barrier()  # every process has looked before the first one can finish
        if self.rank == 0 and not done:
            return super().run(name, settings, inputs, together, resumable)
        if not done:
            together(beside(path, ".part"))
            while not (path / DONE).exists():
                time.sleep(POLL)
        return super().run(name, settings, inputs, build, resumable)


def work(settings: Settings, store: SharedStore, processes: int) -> None:
    """Train every adapter together, then evaluate this process's share of the candidates."""
    initial = pipeline.initial_model(settings, store)
    adapters = [pipeline.adapter(settings, store, initial, name) for name in settings.rewards]
    tables: list[tuple[str, Sequence[Stage], tuple[float, ...]]] = [
        (INITIAL, (), ()), ("support", (), ()),
    ]  # fmt: skip
    for name, weights in soups.recipes(settings.soups, settings.soup_scales).items():
        tables.append((name, adapters, weights))
    if settings.control:
        control = pipeline.adapter(settings, store, initial, RANDOM)
        tables.append((RANDOM, [control], (1.0,)))
    for candidate, made_from, weights in tables[store.rank :: processes]:
        pipeline.sample_table(settings, store, initial, candidate, made_from, weights)


def main(
    preset: Preset = "paper",
    game: GameName = None,
    changes: Changes = None,
    folder: Folder = None,
) -> None:
    """Train and evaluate with every process that `accelerate launch` started."""
    from accelerate import PartialState

    from mechanism.llm.command import _available
    from mechanism.llm.runs import record

    for settings in settings_of(preset, game, True, changes):
        if settings.trainer == "regression":
            rule = "one process fits a model to its pool"
            fix = "give each model a GPU: mechanism llm run --cluster ADDRESS"
            raise InvalidInputError("trainer", settings.trainer, rule, fix)
        _available(settings)
        state = PartialState(cpu=settings.device == "cpu")  # also picks this process's GPU
        say = print if state.is_main_process else (lambda text: None)
        root = folder or record.LOCAL / "stages"
        store = SharedStore(root, say, state.process_index, state.wait_for_everyone)
        work(settings, store, state.num_processes)
    state.destroy_process_group()


if __name__ == "__main__":
    app = Application()
    app.command()(main)
    app()
