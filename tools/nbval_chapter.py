"""A pytest plugin that makes nbval stricter: the chapter's own folder, and pictures compared too.

nbval starts a kernel beside the notebook, which here lies under `_build/nb`; the first run was in
the chapter's folder under `book/`. It also leaves pictures out unless its `nbdime` option is set.
"""

from pathlib import Path
from typing import Any

import nbval.plugin
import pytest

from tools.chapters import BUILD, ROOT

STORED = ROOT / BUILD / "nb"
RunningKernel = nbval.plugin.RunningKernel


def start_kernel(name: str, cwd: str, **options: Any) -> Any:
    """Start nbval's kernel where the chapter lives."""
    folder = Path(cwd).resolve()
    if folder.is_relative_to(STORED):
        cwd = str(ROOT / "book" / folder.relative_to(STORED))
    return RunningKernel(name, cwd=cwd, **options)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Change nbval once it has read its options (its reporter for nbdime is not wanted)."""
    nbval.plugin.RunningKernel = start_kernel
    config.option.nbdime = True
