"""A run is a chain of stages; each leaves its artefact whole or not at all.

The folder of a stage carries a hash of its settings and of the stages it was made from, so a
finished stage is found again and skipped, and a changed setting makes a new folder. Work in
progress lies in `<name>-<key>.part`; a stage that can resume (training) finds its checkpoints
there, every other stage starts afresh.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechanism import folders
from mechanism.core.errors import InvalidInputError

DONE = "stage.json"


@dataclass(frozen=True)
class Stage:
    """A finished stage: what it was made from, where it lies, how long it took.

    `seconds` is the working time of all attempts that left checkpoints behind.
    """

    name: str
    key: str
    path: Path
    seconds: float

    @property
    def id(self) -> str:
        """Name and key: what a later stage's key is made from."""
        return f"{self.name}-{self.key}"


def stage_key(settings: Mapping[str, Any], inputs: Sequence[Stage]) -> str:
    """Return 12 hexadecimal digits of SHA-256 over settings and input keys.

    >>> stage_key({"seed": 0}, [])
    '1395c9b87e8a'
    """
    made_from = {"settings": dict(settings), "inputs": [stage.id for stage in inputs]}
    text = json.dumps(made_from, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """The folder that holds the stages of all runs."""

    root: Path
    say: Callable[[str], None] = lambda text: None

    def run(
        self,
        name: str,
        settings: Mapping[str, Any],
        inputs: Sequence[Stage],
        build: Callable[[Path], None],
        resumable: bool = False,
    ) -> Stage:
        """Return the stage, building it by `build(folder)` if it is not there yet."""
        key = stage_key(settings, inputs)
        path = self.root / f"{name}-{key}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with folders.taken(beside(path, ".lock"), name, self.say):
            if not (path / DONE).exists():
                self._build(path, name, settings, inputs, build, resumable)
            else:
                self.say(f"have {name}")
        done = json.loads((path / DONE).read_text(encoding="utf-8"))
        return Stage(name, key, path, done["seconds"])

    def _build(
        self,
        path: Path,
        name: str,
        settings: Mapping[str, Any],
        inputs: Sequence[Stage],
        build: Callable[[Path], None],
        resumable: bool,
    ) -> None:
        part = beside(path, ".part")
        if path.exists():
            rule, fix = "in the way, and not a finished stage", "move it away"
            raise InvalidInputError("folder", path, rule, fix)
        if not (resumable and folders.is_marked(part)):
            folders.renew(part)
        self.say(f"make {name}")
        start = time.perf_counter()
        build(part)
        done = {
            "name": name,
            "settings": dict(settings),
            "inputs": [stage.id for stage in inputs],
            "seconds": round(time.perf_counter() - start + spent(part), 2),
        }
        folders.write_text(part / DONE, json.dumps(done, indent=1))
        folders.mark_finished(part)
        part.replace(path)


def beside(path: Path, ending: str) -> Path:
    """Return the path with an ending added; names of stages have dots of their own.

    >>> beside(Path("soup-0.30-1f"), ".part").name
    'soup-0.30-1f.part'
    """
    return path.with_name(path.name + ending)


CLOCK = "seconds.json"


def spent(part: Path) -> float:
    """Seconds that earlier, interrupted attempts saved together with a checkpoint."""
    clock = part / CLOCK
    return float(json.loads(clock.read_text(encoding="utf-8"))) if clock.exists() else 0.0
