"""An environment with the wheel and what it declares, and nothing of the build or of the tests."""

import importlib.metadata as metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement


def closure(wanted, own=None):
    """Distributions that requirements need, directly or not; `own` is one that is not installed."""
    found, seen, todo = {}, set(), [Requirement(text) for text in wanted]
    while todo:
        asked = todo.pop()
        name = re.sub(r"[-_.]+", "-", asked.name).lower()
        for extra in {"", *asked.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            itself = own if own and name == own.name else metadata.distribution(name)
            found[name] = itself
            needs = map(Requirement, itself.requires or ())
            todo += [r for r in needs if r.marker is None or r.marker.evaluate({"extra": extra})]
    return found


def unpack(wheel, site):
    """Unpack a wheel into a folder of packages and return its distribution."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        name = next(n for n in archive.namelist() if n.endswith("METADATA"))
    return metadata.PathDistribution(site / Path(name).parent)


def link(distributions, site):
    """Link what the distributions installed, into a folder of packages."""
    for distribution in distributions:
        tops = {Path(str(file)).parts[0] for file in distribution.files or ()}
        for top in tops - {"..", "__pycache__"}:
            target = Path(str(distribution.locate_file(top)))
            if target.exists() and not (site / top).exists():
                (site / top).symlink_to(target)


def make(folder, wheel, extras=""):
    """Make the environment in a folder; return its Python and the names of what is in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    own = unpack(wheel, site)
    found = closure([f"{own.name}[{extras}]" if extras else own.name], own)
    link([distribution for name, distribution in found.items() if name != own.name], site)
    return folder / "bin" / "python", set(found)


def variables(home):
    """Return the variables of somebody who knows nothing of this checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"HOME": str(home), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
