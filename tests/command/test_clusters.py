"""The same sweeps on a real cluster: same numbers, workers and schedulers that go, clear errors."""

import json
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from mechanism import folders, sweeps
from mechanism.core.errors import InvalidInputError
from mechanism.experiments.synthetic import reproduction as synthetic
from mechanism.sweeps import Where, ordered, workers
from tests.command.loopback import Loopback
from tests.command.sweep_tasks import attempts, deadly, refused, squared


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler; each test asks for its workers."""
    found = Loopback(tmp_path_factory.mktemp("cluster"))
    yield found
    found.stop()


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A folder in which tasks leave their attempts, beside one of runs."""
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "runs"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    (tmp_path / "begun").mkdir()
    return tmp_path / "begun"


def test_one_two_and_four_workers_find_the_same_numbers(cluster, monkeypatch):
    monkeypatch.setattr(synthetic, "TASK", 300)
    settings = (synthetic.BEST, synthetic.STATED)
    here = synthetic.estimates(settings, 1500, 5)
    for count in (1, 2, 4):
        there = Where(cluster=cluster.with_workers(count))
        np.testing.assert_array_equal(synthetic.estimates(settings, 1500, 5, where=there), here)


def test_a_worker_that_is_killed_costs_time_but_no_result(cluster, begun):
    sweep = sweeps.run(squared, range(8), Where(cluster=cluster.with_workers(2)), begun)
    found = dict([next(sweep)])
    first = int(attempts(begun)[next(iter(found))][0])
    cluster.kill(first)
    found |= dict(sweep)
    assert found == {k: k * k for k in range(8)}
    begins = [pid for pids in attempts(begun).values() for pid in pids]
    assert len(begins) > 8 and str(first) in begins  # what it had begun was begun again


def test_an_interrupted_sweep_goes_on_elsewhere(cluster, begun):
    name, address = "squares", cluster.with_workers(2)
    sweep = sweeps.run(squared, range(6), Where(cluster=address, name=name), begun)
    done = dict(next(sweep) for _ in range(2))
    sweep.close()
    before = attempts(begun)
    assert ordered(squared, range(6), Where(name=name), begun) == [k * k for k in range(6)]
    assert all(attempts(begun)[k] == before[k] for k in done)


def test_an_error_of_a_task_comes_back_as_it_is(cluster):
    where = Where(cluster=cluster.with_workers(2))
    with pytest.raises(InvalidInputError, match="k = 1: is not wanted"):
        ordered(refused, [1, 1, 1], where)


def test_a_worker_with_other_code_is_refused(cluster, monkeypatch):
    where = Where(cluster=cluster.with_workers(1))
    monkeypatch.setattr(workers, "code_hash", lambda: "other")
    with pytest.raises(InvalidInputError, match="another version of the code"):
        ordered(abs, [1], where)


def test_a_task_that_ends_every_worker_is_given_up(cluster):
    where = Where(cluster=cluster.with_workers(2))
    with pytest.raises(ConnectionError, match="several workers ended while they did one task"):
        ordered(deadly, [1], where)


def test_a_sweep_waits_for_workers_and_says_so(cluster, begun, monkeypatch, capsys):
    address = cluster.with_workers(0)
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    with pytest.raises(ConnectionError, match=r"has no workers. Fix: start some: dask worker tcp:"):
        ordered(abs, [1], Where(cluster=address))
    assert f"waiting for workers at {address}" in capsys.readouterr().err
    monkeypatch.setattr(workers, "PATIENCE", 30)
    later = threading.Timer(0.1, cluster.with_workers, [1])
    later.start()
    assert ordered(squared, range(2), Where(cluster=address), begun) == [0, 1]
    later.join()


def test_claims_on_a_cluster_say_what_they_say_here(cluster, inside, tmp_path):
    words = ["claims", "--only", "def-3.3", "--only", "lemma-D.1", "--budget", "300", "--json"]
    documents = []
    for where in (["--jobs", "1"], ["--cluster", cluster.with_workers(2)]):
        code, out, err = inside([*words, *where], MECHANISM_RUNS=str(tmp_path / "runs"))
        assert (code, err) == (0, "")
        documents.append(json.loads(out))
        for row in documents[-1]["claims"]:
            assert row.pop("seconds") >= 0
    assert documents[0] == documents[1]


def test_table_1_takes_the_file_of_a_scheduler(cluster, inside, tmp_path):
    cluster.with_workers(2)
    words = ["reproduce", "table1", "--samples", "300", "--json"]
    runs = {"MECHANISM_RUNS": str(tmp_path / "runs")}
    here, there = inside(words, **runs), inside([*words, "--cluster", str(cluster.file)], **runs)
    assert here == there and here[2] == ""


def test_audits_of_many_sizes_take_a_rule_that_workers_do_not_have(cluster, inside, tmp_path):
    table, vectors = tmp_path / "t.csv", tmp_path / "v.csv"
    table.write_text("candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n")
    vectors.write_text("b,a\n4,5\n1,9\n2,2\n")
    (tmp_path / "rule_of_mine.py").write_text("def rule(game):\n    return game.sizes * 0.1\n")
    words = ["audit", str(table), "--sizes", "a=1,b=1", "--payments", "rule_of_mine:rule", "--json"]
    address = cluster.with_workers(2)
    own = {"MECHANISM_RUNS": str(tmp_path / "runs")}
    faults = [(sys, "path", [str(tmp_path), *sys.path])]
    for more in ([], ["--vectors", str(vectors)]):
        here = inside([*words, *more], faults, **own)
        there = inside([*words, *more, "--cluster", address], faults, **own)
        assert here == there and here[0] == 0 and here[2] == ""


def test_a_scheduler_that_is_lost_is_one_clear_error(tmp_path, begun):
    """Its own cluster, as a command of its own: what was finished is found again afterwards."""
    cluster = Loopback(tmp_path)
    try:
        where = Where(cluster=cluster.with_workers(1), name="squares")
        sweep = sweeps.run(squared, range(6), where, begun)
        done = dict(next(sweep) for _ in range(2))
        cluster.scheduler.kill()
        with pytest.raises(ConnectionError, match="lost; finished tasks are kept: run the same"):
            done |= dict(sweep)
    finally:
        cluster.stop()
    before = attempts(begun)
    assert ordered(squared, range(6), Where(name="squares"), begun) == [k * k for k in range(6)]
    assert 2 <= len(done) < 6 and all(attempts(begun)[k] == before[k] for k in done)


# nothing there


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("command", [["claims"], ["reproduce", "table1"]], ids=" ".join)
def test_a_scheduler_that_is_not_there_is_one_clear_error(inside, command, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    faults = [(workers, "CONNECT", 0.5)]
    runs = str(tmp_path / "runs")
    code, out, err = inside([*command, "--cluster", address], faults, MECHANISM_RUNS=runs)
    assert (code, out) == (3, "")
    assert err.startswith(f"Error: no Dask scheduler answers at {address}") and err.count("\n") == 1


def test_something_else_that_listens_is_no_scheduler(inside, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        faults = [(workers, "CONNECT", 0.5)]
        runs = str(tmp_path / "runs")
        code, out, err = inside(["claims", "--cluster", address], faults, MECHANISM_RUNS=runs)
    assert (code, out) == (3, "") and "no Dask scheduler answers" in err and err.count("\n") == 1


@pytest.mark.parametrize("address", ["nonsense", "foo://127.0.0.1:1", ""])
def test_an_address_that_is_none_is_wrong_input(inside, address, tmp_path):
    runs = str(tmp_path / "runs")
    code, out, err = inside(["claims", "--cluster", address], MECHANISM_RUNS=runs)
    assert (code, out) == (2, "") and err.startswith("Error: --cluster") and err.count("\n") == 1


def test_a_file_that_names_no_scheduler_is_wrong_input(tmp_path):
    for text in ("{}", "[]", "no json"):
        (tmp_path / "file").write_text(text)
        with pytest.raises(InvalidInputError, match="--cluster"):
            ordered(abs, [1], Where(cluster=str(tmp_path / "file")))


def test_without_dask_the_command_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from mechanism.cli import app; app(['claims', '--cluster', '127.0.0.1:1'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2 and 'pip install "mechanism[cluster]"' in ran.stderr
