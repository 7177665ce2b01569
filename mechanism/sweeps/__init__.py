"""Sweeps: many independent tasks, here or on a cluster, with one progress bar, resumable.

`run` is the one way in: joblib's processes with `jobs`, a Dask cluster with `cluster`, and the same
numbers from both, since a task carries its own seed. A named sweep keeps what is finished until
all of it is, so that the same command goes on after an interrupt.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, TypeVar

from mechanism.core.errors import check_whole
from mechanism.sweeps import kept, workers
from mechanism.terminal import progress

__all__ = ["HERE", "Where", "ordered", "run"]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Where:
    """Where a sweep runs, and under which name.

    Attributes
    ----------
    jobs : int
        Processes on this machine; with 1 the tasks run in this very process.
    cluster : str or None
        Address of a Dask scheduler, or its scheduler file; its workers then do all tasks.
    name : str or None
        A named sweep shows its progress and keeps finished tasks; without a name it does neither.
    """

    jobs: int = 1
    cluster: str | None = None
    name: str | None = None


HERE = Where()


def run(
    work: Callable[..., Result], tasks: Sequence[Task], where: Where = HERE, *shared: Any
) -> Iterator[tuple[int, Result]]:
    """Yield the number and the result of each task, as they come in.

    Parameters
    ----------
    work : callable
        Calculates ``work(*shared, task)``; a function of a module, or a `functools.partial` of one.
    tasks : sequence
        All that tells one task from another, its seed included.
    where : Where
    *shared
        What all tasks need; it goes to a worker once.

    Raises
    ------
    InvalidInputError
        Fewer than one job, an address that is none, or a worker with other code.
    ConnectionError
        No scheduler answers, it is lost, or it has no workers. Finished tasks are kept.

    Examples
    --------
    >>> list(run(abs, [-1, 2]))
    [(0, 1), (1, 2)]
    """
    check_whole("--jobs", where.jobs, 1, "must be a whole number >= 1", "e.g. --jobs 2")
    with ExitStack() as stack:
        keep = stack.enter_context(kept.opened(where.name, work, tasks, shared))
        found = keep.found()
        advance = stack.enter_context(progress(where.name, len(tasks), len(found)))
        yield from found.items()
        todo = [(k, task) for k, task in enumerate(tasks) if k not in found]
        start = workers.of(where.jobs, where.cluster)
        with closing(start(work, todo, shared)) as results:
            for k, result in results:
                keep.save(k, result)
                advance()
                yield k, result
        keep.remove()


def ordered(
    work: Callable[..., Result], tasks: Sequence[Task], where: Where = HERE, *shared: Any
) -> list[Result]:
    """`run` as a list in the order of the tasks, so that sums do not depend on who came first.

    >>> ordered(abs, [-1, 2])
    [1, 2]
    """
    found = dict(run(work, tasks, where, *shared))
    return [found[k] for k in range(len(tasks))]
