"""What the tool writes: one whole file or none, plain JSON, and tables for people."""

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from mechanism.core.errors import InvalidInputError


def plain(value: Any) -> Any:
    """JSON without NaN and infinity: they become null.

    >>> plain({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(document: Any) -> str:
    """One JSON document on one line, ASCII alone, so that any terminal and locale can carry it."""
    return json.dumps(plain(document), allow_nan=False)


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file by new content at once: a reader finds the old one or the new one.

    Raises
    ------
    InvalidInputError
        Where the folder does not exist or cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent or Path("."))
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        raise InvalidInputError(
            "output", path, rule, "name a file in a folder that exists"
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            rule = f"cannot be written: {error.strerror}"
            fix = "name a file that can be replaced, and leave it room"
            raise InvalidInputError("output", path, rule, fix) from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
