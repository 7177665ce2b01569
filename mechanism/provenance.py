"""What every recorded result says of its origin: command, date, processor, versions."""

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("mechanism", "numpy", "scipy", "pandas")


def origin(
    command: str, packages: Sequence[str] = PACKAGES, hardware: str | None = None
) -> dict[str, Any]:
    """Return the origin of a result that `command` makes now; one core is the default hardware.

    >>> sorted(origin("make book"))
    ['command', 'date', 'hardware', 'packages', 'python']
    """
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": hardware or processor(1),
        "python": platform.python_version(),
        "packages": {name: found for name in packages if (found := _version(name))},
    }


def processor(threads: int) -> str:
    """Return a processor in words, of which so many cores were used."""
    return f"{threads} of {os.cpu_count()} CPU cores ({platform.machine()}), no accelerator"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
