"""`.venv` knows its place, is kept unless another Python is named, and is never somebody else's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment, packages
from tools.chapters import ROOT
from tools.packages import commands, sources

HASHES = ["a", "b", "c"]


class Stopped(Exception):
    """What `stop` raises here in place of ending the tests."""


def stop(text, code=2):
    raise Stopped(text)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A checkout without an environment, and the commands that would be run there."""
    done = []

    root = tmp_path / "checkout"
    root.mkdir()
    for name in environment.INPUTS:
        (root / name).write_text(name)
    at(monkeypatch, root)
    monkeypatch.setattr(environment, "stop", stop)
    monkeypatch.setattr(environment, "pip", lambda *words: done.append(words[-1]))
    monkeypatch.setattr(environment, "uv", lambda *words: done.append(f"uv {words[-1]}") is None)
    monkeypatch.setattr(environment, "warm_up", lambda: None)
    monkeypatch.setattr(environment, "say", done.append)
    monkeypatch.setattr(environment, "create", lambda: created(root, done))
    return root, done


def at(monkeypatch, root):
    """Let the module look at another checkout."""
    venv = str(root / ".venv")
    parts = {
        "ROOT": str(root), "VENV": venv, "PYTHON": f"{venv}/bin/python", "BUILD": f"{root}/_build",
        "STAMP": f"{venv}/complete", "LOG": f"{venv}/install.log",
        "MARKER": f"{venv}/.made-by-mechanism",
    }  # fmt: skip
    for name, value in parts.items():
        monkeypatch.setattr(environment, name, value)


def created(root, done):
    """Make the skeleton of an environment, with scripts as pip writes them."""
    done.append("created")
    shutil.rmtree(root / ".venv", ignore_errors=True)
    folder = root / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    (root / ".venv" / "pyvenv.cfg").write_text("version = 3")
    (root / ".venv" / ".made-by-mechanism").write_text("x")
    script = f"#!{folder}/python\nimport sys\nprint(sys.argv[0])\n"
    (folder / "tool").write_text(script)
    (folder / "tool").chmod(0o755)
    long = f"#!/bin/sh\n'''exec' '{folder}/python' \"$0\" \"$@\"\n' '''\n"  # uv's, for a long path
    (folder / "other").write_text(long + "import sys\nprint(sys.argv[0])\n")
    (folder / "other").chmod(0o755)
    (folder / "activate").write_text(f'VIRTUAL_ENV="{root}/.venv"\n')


def test_an_environment_is_made_once(place):
    _, done = place
    environment.main(named=False)
    assert {"created", "-e", "."} & set(done) and "uv requirements.txt" in done
    assert "requirements.txt" not in done
    done.clear()
    environment.main(named=False)
    assert done == []


def test_pip_installs_what_uv_cannot(place, monkeypatch):
    _, done = place
    monkeypatch.setattr(environment, "uv", lambda *words: False)
    environment.main(named=False)
    assert "requirements.txt" in done and "." in done


LISTING = r"""
:env:.find-links='/wheels a'
:env:.no-index='0'
global.extra-index-url='https://b/simple\nhttps://c/simple'
global.find-links='/others'
global.index-url='https://a/simple'
install.constraint='/x.txt /y.txt'
global.disable-pip-version-check='1'
freeze.quiet='1'
"""


def test_uv_is_told_where_pip_takes_packages_from():
    options, variables = sources.for_uv(LISTING)
    assert options == ["--constraint", "/x.txt", "--constraint", "/y.txt"]
    assert variables == {
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_DEFAULT_INDEX": "https://a/simple", "UV_FIND_LINKS": "/wheels,a",
    }  # fmt: skip
    assert sources.for_uv("global.no-index='true'") == (["--no-index"], {})
    assert sources.for_uv("") == ([], {})


@pytest.mark.parametrize("name", ["only-binary", "client-cert", "keyring-provider", "unheard-of"])
def test_a_setting_of_pip_that_uv_does_not_know_leaves_the_work_to_pip(name):
    assert sources.for_uv(f"{LISTING}global.{name}='x'") is None


def test_every_setting_that_pip_may_keep_is_told_to_uv_or_leaves_the_work_to_pip():
    told = {
        name for name in sources.PIP_KEPT
        if sources.for_uv(f"x.{name}='1'\n:env:.{name.lower().replace('_', '-')}='1'") != ([], {})
    }  # fmt: skip
    assert set(sources.PIP_KEPT) - told == {"CACHE_DIR"}  # uv keeps a cache of its own


def test_another_python_counts_only_when_it_is_named(place, monkeypatch):
    _, done = place
    environment.main(named=False)
    monkeypatch.setattr(environment.sys, "version_info", (3, 99, 0))
    done.clear()
    environment.main(named=False)
    assert done == []
    monkeypatch.setattr(environment.sys, "version_info", (3, 6, 0))  # an old python3 of the system
    environment.main(named=False)
    assert done == []
    monkeypatch.setattr(environment.sys, "version_info", (3, 99, 0))
    environment.main(named=True)
    assert "created" in done
    done.clear()
    environment.main(named=False)
    assert done == []


@pytest.mark.parametrize("new", ["renamed", "with space", "n" * 130])
def test_a_renamed_checkout_is_put_right(place, monkeypatch, new):
    root, done = place
    environment.main(named=False)
    there = root.with_name(new)
    root.rename(there)
    at(monkeypatch, there)
    done.clear()
    environment.main(named=False)
    assert (
        "created" not in done and not any("requirements" in word for word in done) and "." in done
    )
    for name in ("tool", "other", "activate"):
        assert str(root) + "/" not in (there / ".venv/bin" / name).read_text()
    for name in ("tool", "other"):
        script = there / ".venv/bin" / name
        ran = subprocess.run([script], capture_output=True, text=True)
        assert ran.stdout == f"{script}\n", ran.stderr
    done.clear()
    environment.main(named=False)
    assert done == []


def test_a_copy_of_hard_links_leaves_the_original_as_it_is(place, monkeypatch):
    root, _ = place
    environment.main(named=False)
    before = {p: p.read_bytes() for p in (root / ".venv").rglob("*") if p.is_file()}
    copy = root.with_name("copy")
    shutil.copytree(root, copy, symlinks=True, copy_function=os.link)
    at(monkeypatch, copy)
    environment.main(named=False)
    assert {path: path.read_bytes() for path in before} == before
    assert str(copy) in (copy / ".venv/complete").read_text()


def test_an_environment_whose_python_is_gone_is_made_anew(place):
    root, done = place
    environment.main(named=False)
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").symlink_to("nowhere/python")
    done.clear()
    environment.main(named=False)
    assert "created" in done


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_an_environment_of_somebody_else_stays(place, monkeypatch, kind):
    root, _ = place
    theirs = root / "theirs" if kind == "link" else root / ".venv"
    if kind == "file":
        theirs.write_text("thesis")
    else:
        theirs.mkdir()
        (theirs / "thesis.txt").write_text("thesis")
    if kind == "link":
        (root / ".venv").symlink_to(theirs)
    monkeypatch.undo()
    at(monkeypatch, root)
    monkeypatch.setattr(environment, "stop", stop)
    for act in (environment.remove_venv, environment.create):
        with pytest.raises(Stopped, match="so it stays"):
            act()
    assert "thesis" in (theirs if kind == "file" else theirs / "thesis.txt").read_text()


def test_clean_leaves_what_no_build_made(place):
    root, done = place
    build = root / "_build"
    for name in ("html/index.html", "nb/x.ipynb", "doit.json", "thesis.txt", "mine/notes"):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_text("x")
    outside = root / "outside"
    outside.mkdir()
    (outside / "data").write_text("dear")
    (build / "site").symlink_to(outside)
    environment.clean()
    left = {p.relative_to(build).as_posix() for p in build.rglob("*") if p.is_file()}
    assert left == {"thesis.txt", "mine/notes"} and (outside / "data").exists()
    assert sum("stays" in line for line in done) == 2
    shutil.rmtree(build)
    build.symlink_to(outside)
    environment.clean()
    assert (outside / "data").exists()


def test_what_would_install_elsewhere_does_not_reach_pip(monkeypatch):
    foreign = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH", "PYTHONHOME", "PIP_DRY_RUN")
    foreign += ("UV_TARGET", "UV_INDEX", "UV_PYTHON")
    for name in (*foreign, "PIP_INDEX_URL", "PIP_USER"):
        monkeypatch.setenv(name, "1")
    given = environment.clean_environment()
    assert not set(foreign) & set(given)
    assert given["PIP_INDEX_URL"] == "1" and given["PIP_USER"] == "0"


def test_make_uses_the_python_that_is_named(tmp_path):
    """`make -n` with and without a name, and with an empty one."""

    def line(*words, **variables):
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "MAKEFLAGS")}
        ran = subprocess.run(
            ["make", "-n", "setup", *words], cwd=ROOT, env=inherited | variables,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return ran.stdout

    assert "python3.13 tools/environment.py --named" in line("PYTHON=python3.13")
    assert "python3.13 tools/environment.py --named" in line(PYTHON="python3.13")
    for plain in (line(), line("PYTHON="), line(PYTHON="")):
        assert "exec python3 tools/environment.py ;" in plain


def test_the_file_has_no_syntax_newer_than_the_message(tmp_path):
    import ast

    for module in (environment, packages, commands, sources):
        ast.parse(Path(module.__file__).read_text("utf-8"), feature_version=(3, 6))
