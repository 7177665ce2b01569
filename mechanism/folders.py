"""Where runs lie, and what of them may be removed: only what a run wrote and listed.

A folder that the project makes carries a marker, `MARKER`, from its first moment. When the work in
it is done the marker lists the files that were written. `remove` deletes these and nothing else;
until then, whatever lies in a marked folder counts as unfinished work. A folder without a marker
is somebody's, and stays.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from mechanism.core.errors import InvalidInputError
from mechanism.places import ROOT

MARKER = ".made-by-mechanism"
VARIABLE = "MECHANISM_RUNS"


def checkout() -> Path | None:
    """Return the checkout that this code runs from, or None where it was installed from a wheel."""
    return ROOT if (ROOT / "Makefile").exists() and (ROOT / "pyproject.toml").exists() else None


def runs_folder() -> Path:
    """Return the folder of the runs made here: `MECHANISM_RUNS`, else ``runs/llm`` of a checkout.

    Without a checkout it is a folder of the user. An empty variable counts as unset, ``~`` is
    expanded, and a relative path starts at the checkout (without one, at the current folder).
    """
    home = checkout()
    if given := os.environ.get(VARIABLE, "").strip():
        return Path(os.path.abspath((home or Path.cwd()) / os.path.expanduser(given)))
    if home:
        return home / "runs" / "llm"
    from platformdirs import user_data_path

    return user_data_path("mechanism", appauthor=False) / "runs"


def check_own(folder: Path) -> Path:
    """Return `folder` where runs may lie in it.

    Raises
    ------
    InvalidInputError
        Where it is a root, a home (or above one), a repository, above this checkout, or no folder.
    """
    fix = f"set {VARIABLE} to a folder of its own, or unset it"
    if any(part.startswith("~") for part in folder.parts):
        raise InvalidInputError(VARIABLE, folder, "names a user without a home", fix)
    try:
        real = folder.resolve()
        taken = [Path(os.path.expanduser("~")).resolve(), *filter(None, [checkout()])]
        above = next(part for part in (real, *real.parents) if part.exists())
        repository = (real / ".git").exists()
    except OSError as error:
        raise InvalidInputError(
            VARIABLE, folder, f"cannot be read ({error.strerror})", fix
        ) from None
    if real == Path(real.anchor) or any(real == other or real in other.parents for other in taken):
        raise InvalidInputError(VARIABLE, folder, "a root, a home or a checkout, not for runs", fix)
    if repository:
        raise InvalidInputError(VARIABLE, folder, "a repository, not a folder for runs", fix)
    if not above.is_dir():
        raise InvalidInputError(VARIABLE, folder, f"{above} is a file, not a folder", fix)
    return folder


def make_own(folder: Path) -> Path:
    """Make the folder of runs where it is missing, and return it once a file could be written.

    Raises
    ------
    InvalidInputError
        As in `check_own`, or where nothing can be written.
    """
    check_own(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        fix = f"set {VARIABLE} to a folder that you may write"
        rule = f"cannot be written ({error.strerror})"
        raise InvalidInputError(VARIABLE, folder, rule, fix) from None
    return folder


def mark(folder: Path, files: Iterable[str] | None = None) -> None:
    """Mark a folder as the project's, with the files that its finished work consists of."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = None if files is None else sorted(set(files))
    note = "written by mechanism; `mechanism llm clean --all` removes the files listed here"
    write_text(folder / MARKER, json.dumps({"note": note, "files": listed}, indent=1) + "\n")


def mark_finished(folder: Path) -> None:
    """Mark a folder whose work is done, listing everything that lies in it."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    mark(folder, (path.relative_to(folder).as_posix() for path in found))


def is_marked(folder: Path) -> bool:
    """Say whether a folder is the project's own; a link to one is not."""
    return folder.is_dir() and not folder.is_symlink() and (folder / MARKER).is_file()


def marked_under(folder: Path) -> list[Path]:
    """Return the marked folders right below `folder`, sorted."""
    return sorted(path for path in folder.glob("*") if is_marked(path))


def written(folder: Path) -> list[Path]:
    """Return the files of a marked folder that the project wrote, without the marker.

    Raises
    ------
    InvalidInputError
        Where the folder has no marker, or one that cannot be read.
    """
    if not is_marked(folder):
        fix = "remove it by hand if it is not needed"
        raise InvalidInputError("folder", folder, f"has no {MARKER}, so it stays", fix)
    try:
        listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError):
        fix = "remove the folder by hand if it is not needed"
        raise InvalidInputError("folder", folder, f"its {MARKER} is broken", fix) from None
    if listed is None:
        found = (path for path in folder.rglob("*") if not _is_folder(path))
        return sorted(path for path in found if path != folder / MARKER)
    return [path for name in listed if _is_inside(path := folder / name, folder)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_inside(path: Path, folder: Path) -> bool:
    """Say whether a listed file lies in the folder itself, and not behind a link that leads out."""
    if not os.path.lexists(path) or _is_folder(path):
        return False
    return folder.resolve() in (path.parent.resolve() / path.name).parents


def size(paths: Iterable[Path]) -> int:
    """Return the bytes that these files take."""
    return sum(path.lstat().st_size for path in paths if os.path.lexists(path))


def remove(folder: Path) -> list[Path]:
    """Remove what the project wrote into a marked folder; return the files that stay.

    The folder goes too where nothing is left in it.

    Raises
    ------
    InvalidInputError
        As in `written`; nothing is removed then.
    """
    for path in [*written(folder), folder / MARKER]:
        path.unlink(missing_ok=True)
    folders = [path for path in folder.rglob("*") if _is_folder(path)]
    for path in [*sorted(folders, key=lambda path: -len(path.parts)), folder]:
        if not any(path.iterdir()):
            path.rmdir()
    return sorted(path for path in folder.rglob("*") if not _is_folder(path))


def renew(folder: Path) -> None:
    """Empty a marked folder, or make one; one that is not marked and not empty is refused."""
    begun = MARKER  # a kill may have left but the beginning of a marker
    if folder.exists() and not all(path.name.startswith(begun) for path in folder.iterdir()):
        written(folder)
        shutil.rmtree(folder)
    mark(folder)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none: an interrupt or a full disk leaves the earlier one."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none, as `write_text` does."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def taken(lock: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock for a while, after waiting for whoever has it, and saying so."""
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another run that makes {name}")
        held.acquire()
    try:
        yield
    finally:
        held.release()
