"""A Dask cluster on this machine's loopback: a scheduler and as many workers as a test wants."""

import asyncio
import json
import os
import subprocess
import sys
import time

from mechanism.places import ROOT


class Loopback:
    """A scheduler with workers of one thread each, all of them processes of this one's family."""

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        self.file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.file)
        )
        self._until(self.file.exists)
        time.sleep(0.1)  # it is not written in one piece
        self.address = json.loads(self.file.read_text())["address"]

    def _start(self, kind, *options):
        words = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *options]
        # one death is allowed for: a task that ends a second worker is given up
        own = {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        with (self.folder / f"{kind}.log").open("a") as log:
            return subprocess.Popen(
                words, env=os.environ | own, stdout=log, stderr=log, cwd=self.folder
            )

    def _until(self, holds):
        end = time.monotonic() + 30
        while not holds():
            assert self.scheduler.poll() is None and time.monotonic() < end, "no cluster"
            time.sleep(0.02)

    def known(self):
        """Workers that the scheduler knows."""
        from distributed.core import rpc

        async def ask():
            async with rpc(self.address) as there:
                return len((await there.identity())["workers"])

        return asyncio.run(ask())

    def with_workers(self, count):
        """Start or kill workers until there are so many; return the address."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) > count:
            self.kill(self.workers[-1].pid)
        while len(self.workers) < count:
            options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
            place = ("--local-directory", str(self.folder))
            self.workers.append(self._start("worker", self.address, *options, *place))
        self._until(lambda: self.known() == count)
        return self.address

    def kill(self, pid):
        """End one worker as a machine that is switched off would."""
        (worker,) = [worker for worker in self.workers if worker.pid == pid]
        worker.kill()
        worker.wait()
        self.workers.remove(worker)

    def stop(self):
        """End everything."""
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()
