"""Who does the tasks of a sweep: this process, joblib's processes, or the workers of a cluster.

On a cluster a task is a future of Dask's own. joblib has a backend for Dask too, but that waits for
ever where Dask gives a task up, since three workers died of it, say.
"""

import asyncio
import json
import logging
import os
import queue
import sys
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mechanism.core.errors import InvalidInputError
from mechanism.sweeps import memory
from mechanism.sweeps.code import code_hash

Work = Callable[..., Any]
Numbered = tuple[int, Any]
Results = Generator[Numbered, None, None]
CONNECT = 5.0  # seconds in which a scheduler must answer
PATIENCE = 600.0  # seconds that a sweep waits for workers, as where a queue has not started them
LOOK = 2.0  # seconds without a result after which workers are counted
AGAIN = "finished tasks are kept: run the same command again"


def of(
    jobs: int, cluster: str | None
) -> Callable[[Work, Sequence[Numbered], tuple[Any, ...]], Results]:
    """Return who does the tasks: a function of the work, numbered tasks and what they share."""
    if cluster is not None:
        return partial(on_cluster, cluster)
    return here if jobs == 1 else partial(in_processes, jobs)


def here(work: Work, tasks: Sequence[Numbered], shared: tuple[Any, ...]) -> Results:
    """Do one task after the other in this process."""
    memory.keep()
    for k, task in tasks:
        yield k, work(*shared, task)


def in_processes(
    jobs: int, work: Work, tasks: Sequence[Numbered], shared: tuple[Any, ...]
) -> Results:
    """Do the tasks in processes of this machine."""
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
    results = pool(delayed(_numbered)(k, work, *shared, task) for k, task in tasks)
    try:
        for result in results:  # noqa: UP028 (it would close the results before the block below)
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that work under way is given up
            results.close()


def _numbered(k: int, work: Work, *arguments: Any) -> Numbered:
    memory.keep()
    return k, work(*arguments)


def on_cluster(
    address: str, work: Work, tasks: Sequence[Numbered], shared: tuple[Any, ...]
) -> Results:
    """Do the tasks on the workers of a Dask cluster.

    Raises
    ------
    InvalidInputError, ConnectionError
        As in `sweeps.run`.
    """
    from distributed import Client, KilledWorker
    from distributed.client import FutureCancelledError

    for name in ("distributed", "distributed.client"):  # what goes wrong is said here, once
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = Client(_scheduler(address), timeout=CONNECT, set_as_default=False)
    try:
        yield from _results(client, address, work, tasks, shared)
    except FutureCancelledError:
        rule = f"the connection to the scheduler at {address} was lost"
        raise ConnectionError(f"{rule}; {AGAIN} when it is back") from None
    except KilledWorker as error:
        rule = f"several workers ended while they did one task ({error.task})"
        raise ConnectionError(f"{rule}: is their memory enough? {AGAIN}") from None
    finally:
        client.close(timeout=1)


def _results(
    client: Any, address: str, work: Work, tasks: Sequence[Numbered], shared: tuple[Any, ...]
) -> Results:
    """Hand out the tasks, and yield what comes back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "large graph": scattered data would be lost
        common = client.submit(tuple, shared, pure=False)  # with its workers, this is made again
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting = {}
    for k, task in tasks:
        future = client.submit(_checked, code_hash(), work, common, task, pure=False)
        waiting[future.key] = (k, future)
        future.add_done_callback(done.put)
    while waiting:
        try:
            future = done.get(timeout=LOOK)
        except queue.Empty:
            _wait_for_workers(client, address)
            continue
        k, _ = waiting.pop(future.key)
        yield k, future.result()


def _checked(code: str, work: Work, shared: tuple[Any, ...], task: Any) -> Any:
    """Do a task on a worker, unless that has other code than the command."""
    if code_hash() != code:
        rule = "a worker has another version of the code than this command"
        fix = "install the same version for both, and start the workers anew"
        raise InvalidInputError("--cluster", f"{os.uname().nodename}", rule, fix)
    memory.keep()
    return work(*shared, task)


def _wait_for_workers(client: Any, address: str) -> None:
    """Return once the cluster has a worker (or is lost); say so where it has none yet."""
    until, told = time.monotonic() + PATIENCE, False
    while client.status == "running" and not client.scheduler_info(n_workers=1)["workers"]:
        if not told:
            print(f"waiting for workers at {address}", file=sys.stderr)
        told = True
        if time.monotonic() > until:
            fix = f"start some: dask worker {address} --nthreads 1"
            raise ConnectionError(f"the scheduler at {address} has no workers. Fix: {fix}")
        time.sleep(0.2)


def _scheduler(cluster: str) -> str:
    """Return the address of the scheduler that is asked for, once it has answered.

    A client that met something else at the address would wait for ever, so it is asked first.
    """
    try:
        if Path(cluster).is_file():
            cluster = str(json.loads(Path(cluster).read_text(encoding="utf-8"))["address"])
        with ThreadPoolExecutor(1) as apart:  # a notebook has a loop of its own in this thread
            kind = apart.submit(asyncio.run, _kind(cluster)).result()
    except (ValueError, KeyError, TypeError) as error:
        fix = "give an address, e.g. tcp://127.0.0.1:8786, or the file of dask scheduler"
        raise InvalidInputError("--cluster", cluster, str(error), fix) from None
    except OSError:
        kind = ""
    if kind != "scheduler":
        rule = f"no Dask scheduler answers at {cluster} within {CONNECT:g} s"
        rule = f"a Dask {kind} answers at {cluster}, no scheduler" if kind else rule
        raise ConnectionError(f"{rule}. Fix: start one with dask scheduler, or mend the address")
    return cluster


async def _kind(address: str) -> str:
    """Return what a process of Dask says that it is."""
    from distributed.core import rpc

    async def ask() -> str:
        async with rpc(address, timeout=CONNECT) as there:
            return str((await there.identity())["type"]).lower()

    return await asyncio.wait_for(ask(), CONNECT)
