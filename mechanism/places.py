"""Where the repository keeps what is recorded and what is given, wherever a module lies."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent


def results(*parts: str) -> Path:
    """Return a path below ``results``, where recorded results lie: in a checkout, or in a wheel.

    >>> results("llm", "merging.json").exists()
    True
    """
    packed = PACKAGE / "results"  # only a wheel has it
    return (packed if packed.is_dir() else ROOT / "results").joinpath(*parts)


def data(*parts: str) -> Path:
    """Return a path below ``mechanism/data``, which is part of the package.

    >>> data("published_table1.csv").exists()
    True
    """
    return PACKAGE.joinpath("data", *parts)
