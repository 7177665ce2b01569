"""From the rows in the engine to a `CandidateTable` or a `SupportTable`, all designs checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mechanism.core.errors import Floats, InvalidInputError
from mechanism.tool.reading.engine import Engine
from mechanism.tool.reading.normal import (
    DIVERGENCE,
    LOG_PROB,
    LOG_PROB_INITIAL,
    Rows,
    Wish,
    listed,
)
from mechanism.tool.tables import BLOCKS, Blocks, CandidateTable, Chunk, Scaling, SupportTable

CELLS = 30_000_000  # numbers that the bootstrap may hold: 240 MB
CHUNK = 2_000_000  # samples times groups in one chunk of a support: some 16 MB an array


@dataclass(frozen=True)
class Asked:
    """What the game is to be: sizes (n,), the scaling of rewards, lam."""

    sizes: Floats
    normalization: Scaling
    lam: float | None


def candidate_table(engine: Engine, rows: Rows, wish: Wish, asked: Asked) -> CandidateTable:
    """Average the rows of every candidate (and prompt).

    Raises
    ------
    InvalidInputError
        A row that comes twice, a prompt that lacks a candidate, or lam without a divergence.
    """
    extra = _divergence(rows)
    _check_lam(rows, extra, asked.lam)
    _check_duplicates(engine, rows)
    n = len(rows.groups)
    means = ", ".join(f"avg(v{k}) AS m{k}" for k in range(n))
    engine.execute(
        f"CREATE TEMP TABLE cells AS SELECT candidate, prompt, {means},"
        f" avg({extra or 'NULL'}) AS d FROM rows GROUP BY candidate, prompt",
        "averaging",
    )
    engine.execute(
        "CREATE TEMP TABLE names AS SELECT candidate, (row_number() OVER (ORDER BY first) - 1)"
        " AS id FROM (SELECT candidate, min(rowid) AS first FROM rows GROUP BY candidate)"
    )
    engine.execute("DROP TABLE rows")
    if rows.has_prompt:
        _check_prompts(engine, rows, wish)
    names = tuple(str(name) for (name,) in engine.rows("SELECT candidate FROM names ORDER BY id"))
    found = engine.arrays(
        "SELECT id, " + ", ".join(f"avg(m{k}) AS m{k}" for k in range(n))
        + ", avg(d) AS d FROM cells JOIN names USING (candidate) GROUP BY id ORDER BY id"
    )  # fmt: skip
    prompts = engine.one("SELECT count(DISTINCT prompt) FROM cells")[0]
    table = np.stack([found[f"m{k}"].astype(float) for k in range(n)])
    costs = found["d"].astype(float) if extra else None
    notes = list(rows.notes)
    blocks = _blocks(engine, rows, len(names), prompts, extra is not None, notes)
    return CandidateTable(
        rows.normal.format, names, rows.groups, asked.sizes, table, costs, blocks, prompts,
        asked.normalization, asked.lam if extra else None, tuple(notes),
    )  # fmt: skip


def _divergence(rows: Rows) -> str | None:
    """SQL of a row's divergence, if the table has one."""
    at = {name: f"v{k}" for k, name in enumerate(rows.values)}
    if DIVERGENCE in rows.extras:
        return at[DIVERGENCE]
    if LOG_PROB in rows.extras and LOG_PROB_INITIAL in rows.extras:
        return f"({at[LOG_PROB]} - {at[LOG_PROB_INITIAL]})"
    return None


def _check_lam(rows: Rows, divergence: str | None, lam: float | None) -> None:
    if divergence is None and lam is not None:
        rule = "weighs the divergence, and the table has no column `divergence`"
        fix = "add the column (nats from the initial model, one a candidate), or drop --lam"
        raise InvalidInputError("--lam", f"{lam:g}", rule, fix)
    if divergence is not None and lam is None:
        rule = "the table has a divergence, and its weight is not guessed"
        fix = "e.g. --lam 0.1 (reward units per nat); --lam 0 leaves the divergence out"
        raise InvalidInputError("--lam", "not given", rule, fix)


def _check_duplicates(engine: Engine, rows: Rows) -> None:
    """Raise where two rows have the same key and the format does not average them."""
    if rows.normal.repeats:
        return
    keys = ["candidate"] if rows.normal.form == "candidates" else []
    keys += ["prompt"] if rows.has_prompt else []
    keys += ["sample"] if rows.has_sample else []
    merged = ", ".join(f"count(v{k})" for k in range(len(rows.values)))
    found = engine.rows(
        f"SELECT max(rowid) FROM rows GROUP BY {', '.join(keys)}"
        f" HAVING greatest({merged}) > 1 ORDER BY 1 LIMIT 1"
    )
    if not found:
        return
    part, first = engine.rows(
        f"SELECT r.part, (SELECT min(rowid) FROM rows WHERE part = r.part) FROM rows r"
        f" WHERE rowid = {found[0][0]}"
    )[0]
    source = rows.normal.parts[part]
    where = f"{source.source.path}, {source.noun} {found[0][0] - first + 1}"
    candidate = engine.one(f"SELECT candidate FROM rows WHERE rowid = {found[0][0]}")[0]
    rule = f"comes twice: an earlier {source.noun} has the same {' and '.join(keys)}"
    raise InvalidInputError(
        where, repr(candidate) if candidate else "sample", rule, rows.normal.duplicate_fix
    )


def _check_prompts(engine: Engine, rows: Rows, wish: Wish) -> None:
    """Demand the same prompts for all candidates, or drop those that lack one."""
    count = engine.one("SELECT count(*) FROM names")[0]
    for k, name in enumerate(rows.groups):
        short = engine.rows(
            f"SELECT prompt FROM cells WHERE m{k} IS NOT NULL GROUP BY prompt"
            f" HAVING count(*) < {count}"
        )
        if not short:
            if not engine.one(f"SELECT count(m{k}) FROM cells")[0]:
                rule, fix = "no row of any file has it", "score it, or leave it out of --sizes"
                raise InvalidInputError(f"reward {name!r}", "missing", rule, fix)
            continue
        if wish.missing == "error":
            _raise_short(engine, rows, k, len(short), short[0][0])
        engine.execute(
            f"DELETE FROM cells WHERE prompt IN (SELECT prompt FROM cells WHERE m{k} IS NOT NULL"
            f" GROUP BY prompt HAVING count(*) < {count})"
        )
        rows.notes.append(f"{len(short)} prompts dropped: not every candidate has {name!r} on them")
        if not engine.one(f"SELECT count(m{k}) FROM cells")[0]:
            rule = f"no prompt is left on which all {count} candidates have it"
            fix = "score all candidates on the same prompts: their means are compared"
            raise InvalidInputError(f"reward {name!r}", "missing", rule, fix)


def _raise_short(engine: Engine, rows: Rows, k: int, count: int, prompt: int) -> None:
    lacking = engine.rows(
        f"SELECT candidate FROM names WHERE candidate NOT IN (SELECT candidate FROM cells WHERE"
        f" prompt = {prompt} AND m{k} IS NOT NULL) ORDER BY id"
    )
    text = _prompt_text(engine, rows, prompt)
    rule = (
        f"has no {rows.groups[k]!r} on prompt {text!r}; {count} prompts lack a candidate, and all"
        " candidates must have the same prompts"
    )
    fix = "score them, or leave those prompts out with --missing drop"
    raise InvalidInputError("candidate", listed([name for (name,) in lacking]), rule, fix)


def _prompt_text(engine: Engine, rows: Rows, prompt: int) -> str:
    """The text of a prompt, found again by its hash."""
    for part in rows.normal.parts:
        key = f"CAST({part.prompt} AS VARCHAR)"
        found = engine.rows(
            f"SELECT {key} FROM {part.relation} WHERE hash({key}) = {prompt} LIMIT 1"
        )
        if found:
            return str(found[0][0]).split("\x1e")[-1][:60]
    return "?"


def _blocks(
    engine: Engine, rows: Rows, k: int, prompts: int, divergence: bool, notes: list[str]
) -> Blocks | None:
    """Sums by block of prompts, as many blocks as memory allows."""
    n = len(rows.groups)
    if prompts < 2:
        return None
    most = min(BLOCKS, CELLS // (k * (n + 1)))
    if most < 20 and most < prompts:
        notes.append(f"no intervals: {k} candidates are too many to resample")
        return None
    block = "dense_rank() OVER (ORDER BY prompt) - 1" if prompts <= most else f"prompt % {most}"
    number = prompts if prompts <= most else most
    values = ", ".join(f"sum(m{j}) AS s{j}, count(m{j}) AS c{j}" for j in range(n))
    found = engine.arrays(
        f"WITH b AS (SELECT prompt, {block} AS block FROM (SELECT DISTINCT prompt FROM cells))"
        f" SELECT id, block, {values}, sum(d) FILTER (m0 IS NOT NULL) AS d FROM cells"
        " JOIN names USING (candidate) JOIN b USING (prompt) GROUP BY id, block",
        "averaging by prompt",
    )
    at = found["id"].astype(np.intp), found["block"].astype(np.intp)
    sums, counts = np.zeros((n, k, number)), np.zeros((n, number))
    for j in range(n):
        sums[j][at] = np.nan_to_num(found[f"s{j}"].astype(float))
        counts[j][at[1]] = found[f"c{j}"].astype(float)
    costs = None
    if divergence:
        costs = np.zeros((k, number))
        costs[at] = np.nan_to_num(found["d"].astype(float))
    return Blocks(sums, counts, costs)


def support_table(engine: Engine, rows: Rows, wish: Wish, asked: Asked) -> SupportTable:
    """Put the samples of every prompt together.

    Raises
    ------
    InvalidInputError
        A sample that comes twice, a reward that is equal everywhere under min-max, or no lam.
    """
    if asked.lam is None:
        rule = f"{rows.normal.format} files hold samples, and reweighting them needs its value"
        fix = "e.g. --lam 0.1, in units of the normalised rewards per nat"
        if rows.normal.format in ("trl", "verl"):
            fix += "; or --candidate step, to choose among checkpoints"
        raise InvalidInputError("--lam", "not given", rule, fix)
    _check_duplicates(engine, rows)
    _merge(engine, rows, wish)
    n = len(rows.groups)
    ends = engine.one(
        "SELECT count(*), count(DISTINCT prompt), "
        + ", ".join(f"min(v{k}), max(v{k})" for k in range(n)) + " FROM merged"
    )  # fmt: skip
    samples, prompts = ends[:2]
    low, high = np.array(ends[2::2], float), np.array(ends[3::2], float)
    if asked.normalization == "none":
        low, high = np.zeros(n), np.ones(n)
    for name, least, most in zip(rows.groups, low, high, strict=True):
        if not most > least:
            rule = "equal for all samples, so min-max is undefined"
            fix = "leave it out of --sizes (it decides nothing), or use --normalization none"
            raise InvalidInputError(f"reward {name!r}", f"{most:.12g}", rule, fix)
    number = min(prompts, BLOCKS)
    block = "dense_rank() OVER (ORDER BY prompt) - 1" if prompts <= BLOCKS else f"prompt % {BLOCKS}"
    engine.execute(
        f"CREATE TEMP TABLE blocks AS SELECT prompt, {block} AS block"
        " FROM (SELECT DISTINCT prompt FROM merged)"
    )
    steps = max(1, min(number, -(-samples * n // CHUNK)))
    edges = np.linspace(0, number, steps + 1).astype(int)

    def chunks() -> Iterator[Chunk]:
        for first, last in pairwise(edges):
            yield from _chunks(engine, rows, int(first), int(last))

    return SupportTable(
        rows.normal.format, rows.groups, asked.sizes, low, high, prompts, samples, number,
        asked.lam, chunks, asked.normalization, tuple(rows.notes),
    )  # fmt: skip


def _merge(engine: Engine, rows: Rows, wish: Wish) -> None:
    """One row a sample: files that hold one group each are joined by prompt and sample."""
    values = ", ".join(f"any_value(v{k}) AS v{k}" for k in range(len(rows.values)))
    engine.execute(
        f"CREATE TEMP TABLE merged AS SELECT prompt, sample, min(rowid) AS place, {values}"
        " FROM rows GROUP BY prompt, sample",
        "sorting",
    )
    holes = " OR ".join(f"v{k} IS NULL" for k in range(len(rows.groups)))
    lost = engine.one(f"SELECT count(*) FROM merged WHERE {holes}")[0]
    if lost and wish.missing == "error":
        rule = f"{lost} samples are not scored in all files"
        fix = "score the same prompts everywhere, or leave those samples out with --missing drop"
        names = listed([str(part.source.path) for part in rows.normal.parts])
        raise InvalidInputError("FILES", names, rule, fix)
    if lost:
        engine.execute(f"DELETE FROM merged WHERE {holes}")
        rows.notes.append(f"{lost} samples dropped: not scored in all files")
    engine.execute("DROP TABLE rows")
    if not engine.one("SELECT count(*) FROM merged")[0]:
        raise InvalidInputError("FILES", "these", "have no sample in common", "score the same ones")


def _chunks(engine: Engine, rows: Rows, first: int, last: int) -> Iterator[Chunk]:
    """Prompts of blocks first to last - 1, put together by their number of samples."""
    found = engine.arrays(
        f"SELECT block, prompt, {', '.join(f'v{k}' for k in range(len(rows.values)))} FROM merged"
        f" JOIN blocks USING (prompt) WHERE block >= {first} AND block < {last}"
        " ORDER BY block, prompt, place",
        "reweighting",
    )
    prompt, block = found["prompt"], found["block"].astype(np.intp)
    values = np.stack([found[f"v{k}"].astype(float) for k in range(len(rows.values))])
    starts = np.flatnonzero(np.r_[True, prompt[1:] != prompt[:-1]])
    lengths = np.diff(np.r_[starts, len(prompt)])
    for length in np.unique(lengths):
        place = starts[lengths == length][:, None] + np.arange(length)
        picked = values[:, place].swapaxes(0, 1)  # (P, values, S)
        n = len(rows.groups)
        weights = None
        if LOG_PROB in rows.extras and LOG_PROB_INITIAL in rows.extras:
            at = {name: k for k, name in enumerate(rows.values)}
            weights = picked[:, at[LOG_PROB_INITIAL]] - picked[:, at[LOG_PROB]]
        yield Chunk(np.ascontiguousarray(picked[:, :n]), weights, block[place[:, 0]])
