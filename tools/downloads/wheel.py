"""The package as one file."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.chapters import ROOT
from tools.execution import environment

PARTS = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "mechanism", "results")


def build_wheel(into: Path) -> Path:
    """Build the wheel from a copy, since setuptools leaves folders beside what it builds."""
    cached = shutil.ignore_patterns("__pycache__")
    with tempfile.TemporaryDirectory() as name:
        for part in PARTS:
            source, target = ROOT / part, Path(name, part)
            if source.is_dir():
                shutil.copytree(source, target, ignore=cached)
            else:
                shutil.copy(source, target)
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        command += ["--no-index", "--disable-pip-version-check", "-w", str(into), name]
        subprocess.run(command, check=True, capture_output=True, env=environment())
    return next(into.glob("*.whl"))
