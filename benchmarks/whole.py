"""Whole commands: Table 1, all claims, tables of rewards, priced lies, and sweeps of processes."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import duckdb
import numpy as np
from joblib import Parallel, delayed

from benchmarks.load import under_load
from benchmarks.solving import LAM
from benchmarks.timing import Row, process, rounds_of, seconds_of, spread
from mechanism import KL, RLHFGame, affine_maximizer_payments, folders, sw_max
from mechanism.core.errors import Floats
from mechanism.core.samplers import sample_game, sample_rewards
from mechanism.experiments.synthetic.reproduction import BEST, EPSILONS, Sampling, _totals, estimate
from mechanism.sweeps import Where, memory, ordered
from tests.command.loopback import Loopback

CLI = "import sys; from mechanism.cli import app; app(sys.argv[1:])"
CANDIDATES = 10
LIES, BATCHES = 10**5, 20  # of reports that are priced together, and how often in one round
CORES = 2


def rows() -> Iterator[Row]:
    yield from priced_lies()
    yield from table1()
    yield from under_load()
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {folders.VARIABLE: str(Path(name, "runs")), "TQDM_DISABLE": "1"}
        yield from tables(Path(name))
        yield from sweeps(Path(name))
        yield claims()


def priced_lies() -> Iterator[Row]:
    """Reports of one group, rewards and size, each solved and priced; two processes side by side.

    What the liar pays is its pivot, found once, less what the others have: their welfare under the
    model that its report brings about. Drawing the reports is left out.
    """
    with Parallel(n_jobs=CORES) as pool:

        def run(batches: int) -> None:
            pool(delayed(price_lies)(k % CORES) for k in range(batches))

        run(2 * CORES)
        speeds = [BATCHES * LIES / seconds_of(lambda: run(BATCHES)) for _ in range(7)]
    median = float(np.median(speeds))
    yield Row("priced lies", "KL", BATCHES * LIES / median, 10, 5, BATCHES * LIES,
              f"a second, on {CORES} cores", **spread(speeds), target=">= 1e6")  # fmt: skip


@cache
def lies(seed: int) -> tuple[RLHFGame, Floats, Floats]:
    """A game, and rewards and sizes that its group 0 may report."""
    rng = np.random.default_rng(seed)
    game = sample_game(rng, 5, 10, KL(LAM), "summation")
    return game, sample_rewards(rng, (LIES, 10), "summation"), rng.uniform(0.1, 20.0, LIES)


def price_lies(seed: int) -> float:
    """Greatest gain in utility among `LIES` reports."""
    game, rewards, sizes = lies(seed)
    truth = sw_max(game)
    others = affine_maximizer_payments(game)[0] + game.welfare(truth, without=0)
    model = sw_max(game.with_report(0, reward=rewards, size=sizes))
    payments = others - game.welfare_of(model, without=0)
    return float((game.sizes[0] * game.valuations_of(model)[:, 0] - payments).max())


def table1() -> Iterator[Row]:
    """100,000 games at seven epsilons, with payments; balanced: each of three groups in turn.

    Seconds of one process's own work.
    """
    ways: tuple[Sampling, ...] = ("independent", "balanced")
    for sampling in ways:
        run = partial(estimate, BEST, 100_000, 0, sampling)
        times = [seconds_of(run, 1, time.process_time) for _ in range(3)]
        yield Row("Table 1", sampling, float(np.median(times)), 10, 3, 100_000, "seconds",
                  **spread(times), target="< 1.5 s")  # fmt: skip


def claims() -> Row:
    """All claims at their default budgets, with their negative controls, as a user runs them."""
    code = "from mechanism import claims; import json; print(json.dumps(sum(not v.ok for v in "
    seconds, memory, failed = process(code + "claims.run())))")
    assert failed == 0
    return Row("claims", "all, on two cores", seconds, target="< 40 s", memory=memory / 1e6)


def write_table(path: Path, prompts: int, groups: int) -> None:
    """Rewards of `groups` groups for `CANDIDATES` models on each of the prompts."""
    columns = ", ".join(
        f"hash({g + 1} * i) / 1.8e19 + sin({g} + i % {CANDIDATES}) AS g{g}" for g in range(groups)
    )
    duckdb.sql(
        f"COPY (SELECT 'model ' || (i % {CANDIDATES}) AS candidate, 'prompt ' ||"
        f" (i // {CANDIDATES}) AS prompt, {columns} FROM range({prompts * CANDIDATES}) t(i))"
        f" TO '{path}' (FORMAT parquet)"
    )


def tables(folder: Path) -> Iterator[Row]:
    """`mechanism price` and `audit` of a file, the start of Python included."""
    cases = [(prompts, 2) for prompts in (10**2, 10**3, 10**4, 10**5, 10**6)]
    for prompts, groups in [*cases, *((10**4, n) for n in (5, 10, 20, 50))]:
        path = folder / "table.parquet"
        write_table(path, prompts, groups)
        sizes = ",".join(f"g{g}={g + 1}" for g in range(groups))
        for command in ("price", "audit"):
            seconds, memory, found = process(CLI, command, str(path), "--sizes", sizes, "--json")
            assert len(found["groups"]) == groups
            yield Row(command, "a Parquet file", seconds, CANDIDATES, groups, prompts,
                      memory=memory / 1e6)  # fmt: skip


TASKS = [(BEST, 40_000, (0, k)) for k in range(8)]  # of half a second: the seam is not the work
WORK = partial(_totals, "balanced", EPSILONS, None)


def half(first: int, barrier) -> None:
    memory.keep()  # as tasks of a sweep do
    WORK(TASKS[first])  # what a process does once is no part of the comparison
    barrier.wait()
    for task in TASKS[first::2]:
        WORK(task)
    barrier.wait()


def plain() -> float:
    """Seconds that two processes take, each with every other task; their start is left out."""
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(3)
    both = [context.Process(target=half, args=(k, barrier)) for k in range(2)]
    for running in both:
        running.start()
    barrier.wait()
    taken = seconds_of(barrier.wait)
    for running in both:
        running.join()
    return taken


def sweeps(folder: Path) -> Iterator[Row]:
    """What the seam of sweeps costs beside joblib itself, and beside two plain processes."""

    def bare() -> list[Floats]:
        return list(Parallel(n_jobs=2)(delayed(WORK)(task) for task in TASKS))

    def seam(where: Where) -> list[Floats]:
        return ordered(WORK, TASKS, where)

    times = rounds_of(
        {"ours": partial(seam, Where(2, name="bench")), "joblib": bare}, 3, time.perf_counter
    )
    yield Row("sweep", "two jobs", float(np.median(times["ours"])), games=len(TASKS),
              beside="times joblib", **spread(times["ours"] / times["joblib"]),
              target="<= 1.05")  # fmt: skip
    cluster = Loopback(folder)
    try:
        where = Where(cluster=cluster.with_workers(2), name="bench")
        run: Callable[[], list[Floats]] = partial(seam, where)
        pairs = np.array([(plain(), seconds_of(run)) for _ in range(4)])[1:]
    finally:
        cluster.stop()
    yield Row("sweep", "two workers of a cluster", float(np.median(pairs[:, 1])), games=len(TASKS),
              beside="of the speed of two processes", **spread(pairs[:, 0] / pairs[:, 1]),
              target=">= 0.85")  # fmt: skip
