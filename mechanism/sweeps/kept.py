"""Finished tasks of a named sweep, in a marked folder, until the whole of it is finished.

The folder is named by a hash of the work, its tasks, what they share and the code, so that a task
is found again only by a sweep that would do the same. ``mechanism llm clean`` removes what
interrupted sweeps have left.
"""

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mechanism import folders
from mechanism.core.errors import InvalidInputError
from mechanism.sweeps.code import code_hash

NEEDED = ("joblib", "cloudpickle", "filelock", "platformdirs")
ROOM = "sweeps"  # below the folder of runs


@dataclass(frozen=True)
class Kept:
    """The folder of one sweep; None keeps nothing."""

    folder: Path | None = None

    def found(self) -> dict[int, Any]:
        """Results of the tasks that were finished earlier, by number; a broken file is told."""
        found = {}
        for path in sorted(self.folder.glob("*.pickle")) if self.folder else ():
            content = path.read_bytes()
            try:
                found[int(path.stem)] = pickle.loads(content)
            except Exception as reason:  # a damaged pickle raises anything; the task is done again
                _say(f"{path.name} is damaged ({reason}): its task is done again")
        return found

    def save(self, number: int, result: Any) -> None:
        """Keep a result, whole or not at all."""
        if self.folder:
            if not self.folder.exists():  # the same sweep has ended elsewhere, and removed it
                folders.mark(self.folder)
            folders.write_bytes(self.folder / f"{number:06}.pickle", _dumped(result))

    def remove(self) -> None:
        """Forget a sweep that is finished."""
        if self.folder and self.folder.exists():
            folders.remove(self.folder)


@contextmanager
def opened(
    name: str | None, work: Callable[..., Any], tasks: Sequence[Any], shared: tuple[Any, ...]
) -> Iterator[Kept]:
    """Hold the folder of a named sweep; a second command that wants it waits, and says so.

    Where nothing can be written the sweep runs all the same, and says that nothing is kept.
    """
    if name is None:
        yield Kept()
        return
    if lacking := [package for package in NEEDED if find_spec(package) is None]:
        _say(f"finished tasks are not kept: {', '.join(lacking)} is not installed")
        yield Kept()
        return
    runs = folders.runs_folder()
    part = runs / ROOM / f"{name}-{_key(work, tasks, shared)}.part"
    try:
        folders.make_own(runs)
        part.parent.mkdir(exist_ok=True)
    except (InvalidInputError, OSError) as error:
        _say(f"finished tasks are not kept: {error}")
        yield Kept()
        return
    lock = part.with_suffix(".lock")
    with folders.taken(lock, part.stem, _say):
        if not folders.is_marked(part):
            folders.renew(part)
        yield Kept(part)
        if not part.exists():
            lock.unlink(missing_ok=True)


def _key(*parts: Any) -> str:
    from joblib import hash as hash_of

    return str(hash_of((code_hash(), *parts)))[:12]


def _dumped(result: Any) -> bytes:
    """Pickle a result, functions that were made on the way included."""
    import cloudpickle

    return bytes(cloudpickle.dumps(result))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
