"""What the command promises a shell: exit codes, any width, any encoding, a reader who leaves."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from mechanism import terminal
from mechanism.core.errors import InvalidInputError, ShapeError
from mechanism.experiments.published import reproduction
from mechanism.llm import command as llm
from mechanism.llm.runs import record
from mechanism.places import ROOT

CALL = "from mechanism.cli import app; app()"
CLAIMS = ["claims", "--only", "thm-4.11-lower", "--only", "thm-4.11-upper", "--budget", "100"]


def call(*words, code=CALL, **variables):
    """Run the command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"} | variables
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip


def fault(error):
    def fails(*_):
        raise error

    return [(llm, "settings_of", fails)]


def missed(reproduce=reproduction.reproduce):
    return [replace(cell, ok=False) for cell in reproduce()[:3]]


RUN = ["llm", "run", "--preset", "tiny"]
EXIT_CODES = {
    "version": (0, ["--version"], []),
    "help": (0, ["-h"], []),
    "help of a part": (0, ["llm", "show", "-h"], []),
    "shown": (0, ["llm", "show", "--game", "harmless_humor"], []),
    "claims hold": (0, ["claims", "--only", "lemma-D.1", "--budget", "400"], []),
    "target missed": (1, ["reproduce", "tables"], [(reproduction, "reproduce", missed)]),
    "no such command": (2, ["reproduce", "table9"], []),
    "no such option": (2, ["claims", "--fast"], []),
    "no such claim": (2, ["claims", "--only", "thm-9"], []),
    "no such preset": (2, ["llm", "show", "--preset", "huge"], []),
    "no such setting": (2, [*RUN, "--set", "stepz=1"], []),
    "not NAME=VALUE": (2, [*RUN, "--set", "steps"], []),
    "seed too large": (2, [*RUN, "--set", "seed=4294967296"], []),
    "game set twice": (2, [*RUN, "--game", "faithful_summary", "--set", "game=harmless_humor"], []),
    "model is nowhere": (2, [*RUN, "--set", "initial=nowhere/model"], []),
    "too many prompts": (2, [*RUN, "--set", "held_out_prompts=5"], []),
    "runs in a file": (2, RUN, [(record, "LOCAL", Path("/dev/null/x"))]),
    "runs in a checkout": (2, RUN, [(record, "LOCAL", ROOT)]),
    "full disk": (3, RUN, fault(OSError(28, "No space left on device"))),
    "a bug": (3, RUN, fault(KeyError("x"))),
}


@pytest.mark.parametrize("case", EXIT_CODES)
def test_exit_codes(case, inside, tmp_path):
    expected, words, faults = EXIT_CODES[case]
    code, _, err = inside(words, [(record, "LOCAL", tmp_path / "runs"), *faults])
    assert code == expected, err
    assert ("Traceback" in err) == (case == "a bug")
    if case == "full disk":
        assert err == "Error: No space left on device\n"
    assert not list(tmp_path.glob("runs/*"))  # nothing was begun


def test_the_command_of_a_shell_exits_with_these_codes(tmp_path):
    ran = call(*RUN, "--set", "seed=-1", MECHANISM_RUNS=str(tmp_path))
    assert ran.returncode == 2 and "seed = -1: " in ran.stderr
    assert call("--version").stdout == f"mechanism {version('mechanism')}\n"


def test_cuda_is_refused_where_there_is_none(inside, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = inside([*RUN, "--set", "device=cuda"])
    assert code == 2 and "device = cuda: torch finds no such device" in err


def test_a_reader_who_leaves_is_no_missed_target():
    words = [sys.executable, "-c", CALL, "llm", "show"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "20"}
    end, write = os.pipe()
    os.close(end)
    ran = subprocess.run(words, env=environment, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (terminal.UNREAD, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_output_on_a_full_disk_is_no_missed_target():
    words = [sys.executable, "-c", CALL, "llm", "show"]
    with open("/dev/full", "w") as full:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        ran = subprocess.run(words, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr) == (3, "Error: No space left on device\n")


@pytest.mark.parametrize(
    "columns", ["200", "80", "70", "60", "40", "20", "1", "0", "-5", "wide", ""]
)
def test_what_matters_is_read_at_every_width(inside, columns):
    run = record.shown("tiny", "harmless_humor", True)
    kl = llm.summary(run.samples).iloc[-1]
    code, out, _ = inside(["llm", "show", "--game", "harmless_humor"], COLUMNS=columns)
    cells = ["initial", "soup 0.50", "harmless", f"{kl['kl']:.3f} ± {kl['kl_se']:.3f}"]
    assert code == 0 and "…" not in out
    assert [cell for cell in cells if cell not in out] == []


def test_claims_can_be_told_apart_at_60_columns(inside):
    _, out, _ = inside(CLAIMS, COLUMNS="60")
    for cell in ("thm-4.11-lower", "thm-4.11-upper", "holds", "margin"):
        assert cell in out
    assert "…" not in out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_cell_is_cut(width):
    table = Table(title="t")
    for name in ("claim", "status", "margin"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason")
    table.add_row("thm-4.11-lower", "holds", "-3.1e-12", "[green]words that may wrap[/green]")
    console = Console(width=width, record=True, file=io.StringIO())
    terminal.show(table, console)
    said = console.export_text()
    for cell in ("thm-4.11-lower", "holds", "-3.1e-12", "words", "wrap"):
        assert cell in said


@pytest.mark.parametrize(
    ("words", "encoding"),
    [(["llm", "show"], "ascii"), (["llm", "dry-run"], "latin-1")],
)
def test_tables_in_every_encoding(words, encoding):
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", CALL, *words], capture_output=True,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    said = ran.stdout.decode(encoding)
    assert ran.returncode == 0 and ran.stderr == b""
    if words[1] == "show":
        assert ("0.516 +- 0.032" if encoding == "ascii" else "0.516 ± 0.032") in said


def test_the_library_reads_its_files_where_text_is_ascii():
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = (
        "from tools.chapters import find_chapters\n"
        "from tools.dependencies import code_cells\n"
        "print(sum(len(code_cells(c.source)) for c in find_chapters()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | variables,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_errors_come_back_from_another_process():
    import pickle

    for kind in (InvalidInputError, ShapeError):
        error = pickle.loads(pickle.dumps(kind("a", 1, "must be 2", "say 2")))
        assert type(error) is kind and str(error) == "a = 1: must be 2. Fix: say 2."


def test_a_setting_changed_by_set_is_never_ignored(inside):
    words = ["llm", "dry-run", "--preset", "tiny", "--json", "--set", "game=faithful_summary"]
    for more, games in (([], 1), (["--game", "faithful_summary"], 1)):
        _, out, _ = inside([*words, *more])
        assert [plan["game"] for plan in json.loads(out)] == ["faithful_summary"] * games
    _, out, _ = inside(["llm", "dry-run", "--json", "--set", "preset=tiny", "--set", "train=false"])
    assert len(json.loads(out)) == 2
