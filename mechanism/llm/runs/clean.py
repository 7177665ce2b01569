"""What `mechanism llm clean` may remove: the marked folders of runs, their files, their locks.

Nothing else goes: not a file that somebody put beside them or into them, not what a link points at,
not what a run that is going on still writes.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mechanism import folders
from mechanism.core.errors import InvalidInputError

STAGES = ("stages", "trainers", "sweeps")
RECORDS = ("finished", "notebooks")
STAGE = re.compile(r"[\w.-]+-[0-9a-f]{12}(\.part)?")


@dataclass(frozen=True)
class Found:
    """What lies below the folder of runs.

    Attributes
    ----------
    removable : tuple of Path
        Marked folders, and the empty lock files of stages.
    others : tuple of Path
        What no run wrote; it stays.
    """

    removable: tuple[Path, ...]
    others: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """What the files take that would go."""
        return folders.size(file for path in self.removable for file in _files(path))


def _files(path: Path) -> list[Path]:
    return folders.written(path) if path.is_dir() else [path]


def find(runs: Path, everything: bool) -> Found:
    """Return what lies below `runs`: leftovers of interrupted stages, or `everything` of a run.

    Raises
    ------
    InvalidInputError
        Where the folder may not hold runs (a root, a home, a repository, a checkout), or holds
        things, but nothing that a run wrote.
    """
    folders.check_own(runs)
    if not runs.exists():
        return Found((), ())
    rooms = [runs / name for name in (*STAGES, *RECORDS)]
    inside = sorted(path for room in rooms if room.is_dir() for path in room.iterdir())
    ours = [path for path in inside if folders.is_marked(path) or _is_lock(path)]
    others = [path for path in runs.iterdir() if path not in rooms or not path.is_dir()]
    others += [path for path in inside if path not in ours]
    if others and not ours:
        rule = f"holds nothing that a run wrote (no folder with a {folders.MARKER})"
        fix = f"name the folder of the runs in {folders.VARIABLE}, or remove it by hand"
        raise InvalidInputError("folder", runs, rule, fix)
    if not everything:
        ours = [path for path in ours if path.suffix in (".part", ".lock")]
    return Found(tuple(ours), tuple(sorted(others)))


def _is_lock(path: Path) -> bool:
    """Say whether a path is a stage's or a record's lock: an empty file of the right name."""
    if path.is_symlink() or not path.is_file() or path.suffix != ".lock" or path.stat().st_size:
        return False
    if path.parent.name in STAGES:
        return STAGE.fullmatch(path.stem) is not None
    return path.name.startswith(".")


def remove(found: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Remove what `find` found; return what stays in it (not ours) and what is still in use."""
    left: list[Path] = []
    used: list[Path] = []
    for path in sorted(found, key=lambda path: path.suffix == ".lock"):  # locks last
        with _unused(path) as free:
            if not free:
                used.append(path)
            elif path.suffix == ".lock":
                path.unlink(missing_ok=True)
            else:
                left += folders.remove(path)
    for room in {path.parent for path in found}:
        if not any(room.iterdir()):
            room.rmdir()
    return left, used


@contextmanager
def _unused(path: Path) -> Iterator[bool]:
    """Hold the lock of a folder, and say whether nobody else has it."""
    name = path.name.removesuffix(".part").removesuffix(".lock").removeprefix(".")
    dot = "" if path.parent.name in STAGES else "."
    lock = path.with_name(f"{dot}{name}.lock")
    existed = lock.exists()
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()
        if not existed:
            lock.unlink(missing_ok=True)
