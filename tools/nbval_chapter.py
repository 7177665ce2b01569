"""A pytest plugin that makes nbval's second run like the first one, and its comparison stricter.

The kernel starts in the chapter's own folder under `book/`, as it did the first time; nbval would
start it beside the notebook. It keeps a history, without which IPython does not see a line end
in a semicolon and shows the value after all. Pictures are compared too, which nbval does only when
its `nbdime` option is set.
"""

from pathlib import Path
from typing import Any

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel

from tools.chapters import BUILD, ROOT

STORED = ROOT / BUILD / "nb"


class ChapterKernel(RunningKernel):
    """The kernel of one notebook."""

    def __init__(self, kernel_name: str, cwd: str, **options: Any) -> None:
        folder = Path(cwd).resolve()
        if folder.is_relative_to(STORED):
            cwd = str(ROOT / "book" / folder.relative_to(STORED))
        super().__init__(kernel_name, cwd=cwd, **options)

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        """Run one cell and return the id of its message."""
        return self.kc.execute(
            cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False
        )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Change nbval once it has read its options (its reporter for nbdime is not wanted)."""
    nbval.plugin.RunningKernel = ChapterKernel
    config.option.nbdime = True
