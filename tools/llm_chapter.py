"""Run the last page on language models at a scale, and keep the executed notebook.

`python -m tools.llm_chapter preset=tiny steps=60`: every NAME=VALUE is checked as a setting before
papermill sees it, since papermill accepts names that nobody reads.
"""

import os
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill

from mechanism import folders
from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import Settings, assignment, from_parameters
from mechanism.llm.presets import PRESETS
from tools.chapters import ROOT
from tools.execution import environment

CHAPTER = ROOT / "book" / "experiments" / "llm_limits.md"
KEPT = folders.runs_folder() / "notebooks"


def parameters_of(words: list[str]) -> dict[str, Any]:
    """Return the parameters that NAME=VALUE words give, in their types."""
    return dict(assignment("parameter", word) for word in words)


def execute(parameters: dict[str, Any], kept: Path = KEPT) -> Path:
    """Run the chapter with these parameters; return where the notebook is kept.

    Raises
    ------
    InvalidInputError
        Where a parameter is no setting or breaks its rule; nothing has run then.
    papermill.PapermillExecutionError
        Where a cell fails; the notebook up to there is kept.
    """
    settings = from_parameters(parameters)
    folders.make_own(kept.parent)
    kept.mkdir(exist_ok=True)
    prepared, done = (kept / f"{settings.preset}{end}" for end in (".input.ipynb", ".ipynb"))
    values = typed(settings, parameters) | {"run": True}
    with folders.taken(kept / f".{settings.preset}.lock", done.name, print):
        folders.mark(kept, [f"{preset}.ipynb" for preset in PRESETS])
        nbformat.write(jupytext.read(CHAPTER), prepared)
        try:
            papermill.execute_notebook(
                prepared, done, parameters=values, kernel_name="python3", language="python",
                cwd=str(CHAPTER.parent),
            )  # fmt: skip
        finally:
            prepared.unlink(missing_ok=True)
    return done


def typed(settings: Settings, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as the settings read them ("60" may have become 60), in types of JSON.

    Papermill writes these into a cell as they are, and anything else, a tuple say, as its text.
    """
    return settings.only(*parameters, "train")


def main() -> None:
    """Read NAME=VALUE words, run, and say where the notebook is."""
    settled = environment()  # as the book is built: papermill's kernel inherits it
    os.environ.clear()
    os.environ.update(settled)
    try:
        done = execute(parameters_of(sys.argv[1:]))
    except InvalidInputError as error:
        print(f"make llm: {error}", file=sys.stderr)
        sys.exit(2)
    except papermill.PapermillExecutionError as error:
        sys.exit(f"make llm: a cell failed\n{error}\nThe notebook up to there: {KEPT}")
    print(f"The executed notebook: {os.path.relpath(done, ROOT)}")


if __name__ == "__main__":
    main()
