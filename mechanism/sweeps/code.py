"""One hash of everything that a result depends on, but for its settings."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "numba")  # of which the last may be missing


@cache
def code_hash() -> str:
    """Return 12 hexadecimal digits over the modules of `mechanism`, and the versions below it.

    All modules count: a checker is imported by name, so that no list of imports would be complete.

    >>> len(code_hash())
    12
    """
    digest = hashlib.sha256(" ".join(map(_version, PACKAGES)).encode())
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
