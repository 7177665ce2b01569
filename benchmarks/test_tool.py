"""`mechanism price` on ten million rows, beside the same done with pandas: time and peak memory.

Both run in a process of their own, so that the peak is theirs. What they compute must agree.
"""

import json
import os
import resource
import subprocess
import sys
import time

import duckdb
import pytest

ROWS = int(os.environ.get("MECHANISM_BENCH_ROWS", 10**7))
CANDIDATES = 10
TOOL = (
    "import sys; from mechanism.cli import app;"
    "app(['price', *sys.argv[1:], '--sizes', 'a=5,b=4', '--json'])"
)
NAIVE = """
import sys, json
import numpy as np, pandas as pd
from mechanism import CandidateGame, affine_maximizer_payments, normalize
read = pd.read_csv if sys.argv[1].endswith('.csv') else pd.read_parquet
cells = read(sys.argv[1]).groupby(['candidate', 'prompt'], sort=False)[['a', 'b']].mean()
values = cells.groupby('candidate', sort=False).mean().to_numpy().T
game = CandidateGame(normalize(values, 'min-max'), [5, 4])
print(json.dumps(affine_maximizer_payments(game).tolist()))
"""


@pytest.fixture(scope="module", params=["parquet", "csv"])
def table(request, tmp_path_factory):
    """Ten candidates on a million prompts each, two rewards."""
    path = tmp_path_factory.mktemp("bench") / f"t.{request.param}"
    options = "FORMAT parquet" if request.param == "parquet" else "HEADER"
    duckdb.sql(
        f"COPY (SELECT 'model ' || (i % {CANDIDATES}) AS candidate,"
        f" 'prompt ' || (i // {CANDIDATES}) AS prompt, round(hash(i) / 1.8e19 + (i %"
        f" {CANDIDATES}) / 9.0, 6) AS a, round(hash(-i) / 1.8e19 + 1.2 * sqrt(1 - (i %"
        f" {CANDIDATES}) / 9.0), 6) AS b FROM range({ROWS}) t(i)) TO '{path}' ({options})"
    )
    return path


def measured(code, path):
    """Seconds, peak memory in GB and what was printed."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    with process.stdout as pipe:
        out = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert isinstance(usage, resource.struct_rusage)
    return time.perf_counter() - start, usage.ru_maxrss / 1e6, json.loads(out)


def test_ten_million_rows(table):
    seconds, peak, found = measured(TOOL, table)
    naive_seconds, naive_peak, naive = measured(NAIVE, table)
    size = table.stat().st_size / 1e6
    print(
        f"\n{ROWS:.0e} rows, {table.suffix[1:]} ({size:.0f} MB): mechanism price {seconds:.1f} s,"
        f" {peak:.2f} GB with intervals; pandas {naive_seconds:.1f} s, {naive_peak:.2f} GB without"
    )
    assert [g["payment"] for g in found["groups"].values()] == pytest.approx(naive, abs=1e-9)


def test_a_million_candidates(tmp_path):
    path = tmp_path / "t.parquet"
    duckdb.sql(
        "COPY (SELECT 'model ' || i AS candidate, hash(i) / 1.8e19 AS a, hash(-i) / 1.8e19 AS b"
        f" FROM range({ROWS // 10}) t(i)) TO '{path}' (FORMAT parquet)"
    )
    for command in ("price", "audit"):
        seconds, peak, found = measured(TOOL.replace("price", command), path)
        print(f"\n{ROWS // 10:.0e} candidates: mechanism {command} {seconds:.1f} s, {peak:.2f} GB")
        assert found["chosen"].startswith("model ")
