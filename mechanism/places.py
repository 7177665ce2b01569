"""Where the repository keeps what is recorded and what is given, wherever a module lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def results(*parts: str) -> Path:
    """Return a path below ``results``, where recorded results lie.

    >>> results("llm", "merging.json").exists()
    True
    """
    return ROOT.joinpath("results", *parts)


def data(*parts: str) -> Path:
    """Return a path below ``mechanism/data``, which is part of the package.

    >>> data("published_table1.csv").exists()
    True
    """
    return Path(__file__).resolve().parent.joinpath("data", *parts)
