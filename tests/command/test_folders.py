"""Nothing of anybody else's is removed: clean and restarts among folders with sentinels."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from mechanism import folders
from mechanism.core.errors import InvalidInputError
from mechanism.folders import MARKER
from mechanism.llm.runs import clean, record
from mechanism.llm.stages import Store
from mechanism.places import ROOT

STAGE = "initial-0123456789ab"


def everything(root):
    """Every path below a folder, with the contents of files."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def thesis(tmp_path):
    """A folder of somebody's, with names that runs use too."""
    root = tmp_path / "scratch"
    for name in (
        "thesis.txt", "stages/act one.txt", "stages/initial-x/notes.txt", "finished/list.txt",
        f"stages/{STAGE}/stage.json", f"stages/{STAGE}.part/x", "trainers/people.csv",
        "notebooks/mine.ipynb", "stages/mine.lock", "finished/tiny_harmless_humor/provenance.json",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("years of work")
    return root


def made(root):
    """Let a finished stage, an interrupted one and a record lie below `root`."""
    store = Store(root / "stages")
    stage = store.run("a", {"seed": 0}, [], lambda folder: (folder / "model").write_text("m"))

    def fails(folder):
        (folder / "half").write_text("h")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run("b", {"seed": 0}, [], fails)
    kept = root / "finished" / "tiny_x"
    folders.mark(kept, ["provenance.json"])
    (kept / "provenance.json").write_text("{}")
    return stage.path


@pytest.fixture
def cleaned(inside):
    """Run `mechanism llm clean` with the folder of runs at a root."""

    def run(root, *options, answer=""):
        code, out, err = inside(["llm", "clean", *options], [(record, "LOCAL", root)], answer)
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


# the folder of runs


def test_where_runs_lie(monkeypatch, tmp_path):
    usual = ROOT / "runs" / "llm"
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, expected in {
        "": usual, "  ": usual, "~/r": tmp_path / "r", "~": tmp_path, "a/b": ROOT / "a" / "b",
        "../a": ROOT.parent / "a", str(tmp_path): tmp_path,
    }.items():  # fmt: skip
        monkeypatch.setenv("MECHANISM_RUNS", given)
        assert folders.runs_folder() == expected
    monkeypatch.delenv("MECHANISM_RUNS")
    assert folders.runs_folder() == usual
    monkeypatch.setattr(folders, "ROOT", tmp_path)  # as from a wheel: no checkout around
    assert folders.checkout() is None and folders.runs_folder().is_relative_to(tmp_path)
    assert folders.runs_folder().parts[-2:] == ("mechanism", "runs")


def test_folders_that_are_not_for_runs(monkeypatch, tmp_path):
    home, repository, file = tmp_path / "u" / "home", tmp_path / "repo", tmp_path / "file"
    for path in (home, repository / ".git"):
        path.mkdir(parents=True)
    file.write_text("x")
    link = tmp_path / "link"
    link.symlink_to(home)
    monkeypatch.setenv("HOME", str(home))
    refused = [Path("/"), home, home.parent, link, ROOT, ROOT.parent, repository, file, file / "x"]
    for folder in [
        *refused,
        Path("/proc/nowhere"),
        tmp_path / "~nobody" / "x",
        tmp_path / ("n" * 300),
    ]:
        with pytest.raises(InvalidInputError, match="MECHANISM_RUNS = "):
            folders.make_own(folder)
    assert folders.make_own(tmp_path / "a" / "b").is_dir()
    assert everything(home) == {}


# clean


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_clean_removes_nothing_that_no_run_wrote(thesis, options, cleaned):
    before = everything(thesis)
    ran = cleaned(thesis, "--yes", *options)
    assert ran.returncode == 2 and "holds nothing that a run wrote" in ran.stderr
    assert everything(thesis) == before


def test_clean_removes_runs_among_other_things(thesis, cleaned):
    before = everything(thesis)
    stage = made(thesis)
    (stage / "my notes.txt").write_text("about this model")
    (thesis / "stages" / "out").symlink_to(thesis)
    ran = cleaned(thesis, "--all", "--yes")
    assert ran.returncode == 0, ran.stderr
    (thesis / "stages" / "out").unlink()
    assert (stage / "my notes.txt").read_text() == "about this model"
    assert "my notes.txt" in ran.stdout and "thesis.txt" in ran.stdout
    (stage / "my notes.txt").unlink()
    stage.rmdir()
    assert everything(thesis) == before


def test_clean_leaves_finished_runs_and_asks(tmp_path, cleaned):
    stage = made(tmp_path)
    before = everything(tmp_path)
    listed = cleaned(tmp_path, "--all", answer="n\n")
    assert listed.returncode == 0 and "nothing was removed" in listed.stdout
    assert f"{stage.name}\n" in listed.stdout and "bytes in" in listed.stdout
    assert cleaned(tmp_path, "--all").returncode == 2  # nobody answers
    assert everything(tmp_path) == before
    assert cleaned(tmp_path, answer="y\n").returncode == 0
    left = set(everything(tmp_path))
    assert (stage / "model").exists() and "finished/tiny_x/provenance.json" in left
    assert not any(name.endswith((".part", ".part/half")) for name in left)
    assert cleaned(tmp_path, "--all", "--yes").returncode == 0
    assert everything(tmp_path) == {}


def test_clean_does_not_follow_links_or_lists_that_lead_out(tmp_path, cleaned):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_text("dear")
    runs = tmp_path / "runs"
    (runs / "stages").mkdir(parents=True)
    folders.mark(outside, ["data"])  # marked, but reached by a link only
    (runs / "stages" / STAGE).symlink_to(outside)
    kept = runs / "finished" / "tiny_x"
    folders.mark(kept, ["../../../outside/data", str(outside / "data"), "in/data"])
    (kept / "in").symlink_to(outside)
    assert cleaned(runs, "--all", "--yes").returncode == 0
    assert (outside / "data").read_text() == "dear"
    folders.mark(kept, ["x"])
    (kept / MARKER).write_text("not what a run writes")
    assert cleaned(runs, "--all", "--yes").returncode == 2 and (kept / MARKER).exists()


def test_clean_leaves_what_a_run_is_using(tmp_path, cleaned):
    made(tmp_path)
    part = next((tmp_path / "stages").glob("b-*.part"))
    with FileLock(str(part).removesuffix(".part") + ".lock"):
        ran = cleaned(tmp_path, "--yes")
    assert ran.returncode == 0 and (part / "half").exists() and "a run is using it" in ran.stdout


@pytest.mark.parametrize("where", ["", "mechanism/..", "~"])
def test_clean_never_removes_a_checkout_a_home_or_a_root(tmp_path, where):
    """In a copy of the package with a repository around it: not one file goes."""
    copy, home = tmp_path / "copy", tmp_path
    subprocess.run(["git", "init", "-q", copy], check=True)
    (copy / "mechanism").symlink_to(ROOT / "mechanism")
    for name in ("Makefile", "pyproject.toml", "thesis.txt"):
        (copy / name).write_text("mine")
    code = (
        "import sys; from mechanism import folders; from pathlib import Path\n"
        f"folders.ROOT = Path({str(copy)!r})\n"
        "from mechanism.cli import app; app()"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    before = everything(copy)
    ran = subprocess.run(
        [sys.executable, "-c", code, "llm", "clean", "--all", "--yes"], cwd=copy,
        env=environment | {"MECHANISM_RUNS": where}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == (0 if where == "" else 2), ran.stderr
    assert everything(copy) == before


def test_only_marked_folders_are_known():
    assert clean.STAGE.fullmatch("soup-0.30-0123456789ab.part")
    assert not clean.STAGE.fullmatch("mine")


# restarts


def test_a_restart_refuses_to_replace_what_it_did_not_make(tmp_path):
    store = Store(tmp_path)
    done = store.run("a", {}, [], lambda folder: None).path
    kept = {done.with_name(f"{done.name}.part"): "part", done: "whole"}
    folders.remove(done)
    for folder, text in kept.items():
        folder.mkdir()
        (folder / "mine").write_text(text)
        with pytest.raises(InvalidInputError, match="folder = "):
            store.run("a", {}, [], lambda folder: None)
        assert (folder / "mine").read_text() == text
        (folder / "mine").unlink()
        folder.rmdir()


def test_a_kill_while_the_marker_is_written_does_not_block(tmp_path):
    folder = tmp_path / "x.part"
    folder.mkdir()
    (folder / f"{MARKER}.123.part").write_text("{")
    folders.renew(folder)
    assert folders.is_marked(folder)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    folders.write_text(path, "first")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        folders.write_text(path, "second")
    assert everything(tmp_path) == {"results.json": b"first"}


def test_a_marker_lists_what_was_written(tmp_path):
    stage = Store(tmp_path).run(
        "a", {}, [], lambda f: (f / "deep").mkdir() or (f / "deep/x").touch()
    )
    listed = json.loads((stage.path / MARKER).read_text())["files"]
    assert listed == ["deep/x", "stage.json"]
