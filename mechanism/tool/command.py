"""The commands `price`, `audit` and `formats`: score files in, payments and weaknesses out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from mechanism.core.errors import InvalidInputError
from mechanism.sweeps import Where
from mechanism.sweeps.options import Cluster, Jobs
from mechanism.tool.output import to_json, write_whole

app = typer.Typer(help="Price and audit your own models.", no_args_is_help=True)

Files = Annotated[
    list[str], typer.Argument(metavar="FILES...", help="Score files or folders of one format.")
]
Sizes = Annotated[
    list[str],
    typer.Option("--sizes", metavar="NAME=SIZE,...", help="Groups: reward column and members."),
]
Lam = Annotated[
    float | None,
    typer.Option("--lam", help="Weight of the divergence, normalised reward units per nat."),
]
Normalization = Annotated[
    str, typer.Option("--normalization", help="min-max (as in the paper) or none.")
]
FormatName = Annotated[
    str | None, typer.Option("--format", help="Reader; by default the columns tell.")
]
Candidate = Annotated[
    str | None,
    typer.Option("--candidate", metavar="COLUMN,...", help="Columns that name the models."),
]
Missing = Annotated[str, typer.Option("--missing", help="Rows without a reward: error or drop.")]
Na = Annotated[
    list[str] | None, typer.Option("--na", metavar="TEXT", help="Means no reward; repeatable.")
]
Negate = Annotated[
    list[str] | None,
    typer.Option("--negate", metavar="NAME", help="A cost: turn its sign; repeatable."),
]
Filter = Annotated[
    str | None, typer.Option("--filter", help="lm-eval: the filter whose rows count.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="utf-8 (default), latin-1 or utf-16.")
]
Memory = Annotated[str, typer.Option("--memory", help="What the engine may hold before it spills.")]
Replicates = Annotated[int, typer.Option("--replicates", help="Of the bootstrap; 0: none.")]
Level = Annotated[float, typer.Option("--level", help="Coverage of the intervals.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap and of searches.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Output = Annotated[
    Path | None, typer.Option("--output", help="Also write the JSON document to this file, whole.")
]
Figure = Annotated[
    Path | None, typer.Option("--figure", help="Also draw it: .png, .svg or .pdf (matplotlib).")
]
Report = Annotated[
    Path | None,
    typer.Option("--report", help="Also write a self-contained page, out.html (or .ipynb)."),
]

PACKAGES = ("matplotlib", "seaborn", "papermill", "nbconvert", "ipykernel")  # of a report


def parse_sizes(texts: list[str]) -> dict[str, float]:
    """Read `a=3,b=7`; a name may hold commas and equal signs, since sizes do not.

    >>> parse_sizes(["a=3,b=7", "x, y=1"])
    {'a': 3.0, 'b': 7.0, 'x, y': 1.0}
    """
    found: dict[str, float] = {}
    for text in texts:
        waiting = ""
        for piece in text.split(","):
            waiting = f"{waiting},{piece}" if waiting else piece
            name, sign, size = waiting.rpartition("=")
            if not sign:
                continue
            try:
                number = float(size)
            except ValueError:
                if "," in text and "=" in text.split(piece, 1)[-1]:
                    continue
                rule = "the size after the last = must be a number"
                raise InvalidInputError("--sizes", waiting, rule, "e.g. harmless=3") from None
            name = " ".join(name.split())
            if not name:
                raise InvalidInputError("--sizes", waiting, "names no group", "e.g. harmless=3")
            if name in found:
                raise InvalidInputError("--sizes", name, "is named twice", "name a group once")
            found[name], waiting = number, ""
        if waiting.strip():
            rule = "has no size"
            raise InvalidInputError("--sizes", waiting.strip(), rule, "e.g. harmless=3,humor=7")
    return found


@contextmanager
def failures(kept: str = "Nothing was written.") -> Iterator[None]:
    """Turn what can go wrong with files into one message and exit code 2; never a traceback."""
    import duckdb

    try:
        yield
    except InvalidInputError as error:
        _stop(str(error))
    except duckdb.Error as error:
        lines = [line for line in str(error).split("\n") if line.strip()]
        _stop(f"the files cannot be read: {lines[0].strip()}. Fix: write the table again.")
    except MemoryError:
        _stop("the table does not fit in memory. Fix: fewer candidates, or a larger machine.")
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. {kept}", err=True)
        raise typer.Exit(130) from None


def _stop(message: str) -> None:
    typer.echo("Error: " + printable(message), err=True)
    raise typer.Exit(2)


def printable(text: str) -> str:
    r"""Text from a file without what would steer a terminal.

    >>> printable("a\x1b[31mb")
    'a\ufffd[31mb'
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


@app.command()
def price(
    files: Files, sizes: Sizes, lam: Lam = None, normalization: Normalization = "min-max",
    format: FormatName = None, candidate: Candidate = None, missing: Missing = "error",
    na: Na = None, negate: Negate = None, filter: Filter = None, encoding: Encoding = None,
    memory: Memory = "1GB",
    replicates: Replicates = 1000, level: Level = 0.95, seed: Seed = 0, as_json: Json = False,
    output: Output = None, figure: Figure = None, report: Report = None,
) -> None:  # fmt: skip
    """Choose among your models and say what every group pays.

    Example: mechanism price table.csv --sizes harmless=3,humor=7
    """
    from mechanism.tool import render
    from mechanism.tool.loading import opened
    from mechanism.tool.price import price as run

    with failures(_kept(output, figure, report)):
        _check_outputs(figure, report)
        with opened(
            files, parse_sizes(sizes), lam, cast(Any, normalization), format, candidate,
            cast(Any, missing), na or (), filter, encoding, negate or (), memory,
        ) as table:  # fmt: skip
            found = run(table, replicates, level, seed)
        document = found.as_dict()
        if figure is not None:
            from mechanism.tool.figures import price_figure, saved

            write_whole(figure, saved(price_figure(document), figure.suffix))
        if report is not None:
            from mechanism.tool.report import write_report

            write_report(report, {"price": document, "audit": None})
        _emit(document, as_json, output, lambda: render.price_tables(found))


@app.command()
def audit(
    files: Files, sizes: Sizes, lam: Lam = None, normalization: Normalization = "min-max",
    format: FormatName = None, candidate: Candidate = None, missing: Missing = "error",
    na: Na = None, negate: Negate = None, filter: Filter = None, encoding: Encoding = None,
    memory: Memory = "1GB",
    replicates: Replicates = 1000, level: Level = 0.95, seed: Seed = 0,
    delta: Annotated[
        float, typer.Option("--delta", help="How far from the optimum training may end.")
    ] = 0.0,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="Error of the rewards; else the bootstrap's.")
    ] = None,
    payments: Annotated[
        str | None,
        typer.Option("--payments", metavar="MODULE:FUNCTION", help="Audit a rule of your own too."),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option("--vectors", help="CSV: a column a group, a row of sizes for each audit."),
    ] = None,
    jobs: Jobs = 1, cluster: Cluster = None,
    as_json: Json = False, output: Output = None, figure: Figure = None, report: Report = None,
) -> None:  # fmt: skip
    """Search for what groups could gain by lying, alone or together.

    Example: mechanism audit table.csv --sizes harmless=3,humor=7
    With --vectors each row of sizes is an audit of its own, in place of the sizes of --sizes.
    """
    from mechanism.tool.auditing import render as audit_render
    from mechanism.tool.auditing import vectors as many
    from mechanism.tool.auditing.custom_rule import imported
    from mechanism.tool.loading import opened
    from mechanism.tool.price import price as run_price

    with failures(_kept(output, figure, report)):
        _check_outputs(figure, report)
        groups = parse_sizes(sizes)
        rule = None if payments is None else imported(payments)
        asked = many.Asked(delta, epsilon, rule, replicates, level, seed)
        where = Where(jobs, cluster, "audit" if vectors or cluster or jobs > 1 else None)
        rows = [groups] if vectors is None else many.read_vectors(vectors, list(groups))
        if vectors is not None and (figure or report):
            why = "--figure and --report show one audit"
            raise InvalidInputError("--vectors", vectors, why, "leave them out, or --vectors")
        with opened(
            files, groups, lam, cast(Any, normalization), format, candidate,
            cast(Any, missing), na or (), filter, encoding, negate or (), memory,
        ) as table:  # fmt: skip
            every = many.audits(table, rows, asked, where)
            priced = run_price(table, replicates, level, seed) if report is not None else None
        if vectors is not None:
            tables = partial(many.vector_tables, rows, every)
            _emit(many.document(rows, every), as_json, output, tables)
            return
        (found,) = every
        document = found.as_dict()
        if figure is not None:
            from mechanism.tool.figures import audit_figure, saved

            write_whole(figure, saved(audit_figure(document), figure.suffix))
        if priced is not None and report is not None:
            from mechanism.tool.report import write_report

            write_report(report, {"price": priced.as_dict(), "audit": document})
        _emit(document, as_json, output, lambda: audit_render.audit_tables(found))


@app.command("formats")
def list_formats(as_json: Json = False) -> None:
    """List the formats that are read, with an example each."""
    from mechanism.tool import render
    from mechanism.tool.formats import formats

    known = formats()
    if as_json:
        keys = ("name", "summary", "example", "command")
        typer.echo(to_json([{key: getattr(f, key) for key in keys} for f in known.values()]))
    else:
        render.show(render.format_lines(known))


def _emit(
    document: dict[str, Any], as_json: bool, output: Path | None, tables: Callable[[], Any]
) -> None:
    """Print last, once all files are written: a closed pipe loses nothing."""
    from mechanism.tool import render

    if output is not None:
        write_whole(output, to_json(document) + "\n")
    if as_json:
        typer.echo(to_json(document))
    else:
        render.show(tables())


def _kept(*paths: Path | None) -> str:
    named = [str(path) for path in paths if path is not None]
    return f"{', '.join(named)}: old or new, but whole." if named else "Nothing was written."


def _check_outputs(figure: Path | None, report: Path | None) -> None:
    """Fail before the work, not after it, where a package or a folder is not there."""
    from importlib.util import find_spec

    for option, path, endings, needed in (
        ("--figure", figure, (".png", ".svg", ".pdf"), ("matplotlib", "seaborn")),
        ("--report", report, (".html", ".ipynb"), PACKAGES),
    ):
        if path is None:
            continue
        if path.suffix.lower() not in endings:
            rule = f"must end in {' or '.join(endings)}"
            raise InvalidInputError(option, path, rule, f"e.g. out{endings[0]}")
        if not path.parent.is_dir():
            raise InvalidInputError(option, path, "its folder does not exist", "make it first")
        lacking = [name for name in needed if find_spec(name) is None]
        if lacking:
            rule = f"needs {', '.join(lacking)}, not installed here"
            fix = 'pip install "mechanism[report]"'
            raise InvalidInputError(option, path, rule, fix)
