"""Break the core and the checkers on purpose: tests and claims must turn red.

`make mutants` copies the project for each mutant of `mutants.toml` and applies it. One of the core
(one sign or factor) must turn red the tests of the core and the claims that cover it. One of a
checker (a comparison dropped, a tolerance widened, NaN let through) must leave some control of its
claims unnoticed, which fails a build. A mutant that nothing notices fails the run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

CORE = Path("mechanism/core")
STEMS = "newton payments candidate_game oracles divergences misreports sw_max sw_max_edges"
TESTS = [str(next(Path("tests").rglob(f"test_{stem}.py"))) for stem in STEMS.split()]
CLAIMS = [
    ("def-4.1", "rlhf"),
    ("prop-4.4", "rlhf"),
    ("prop-4.4", "candidate"),
    ("identity-area", "rlhf"),
    ("identity-area", "candidate"),
    ("lemma-D.1", "rlhf"),
    ("thm-4.2-2", "rlhf"),
]
PROBE = """
import sys
from mechanism.claims import check
for claim, games in {pairs!r}:
    if check(claim, None, games).status != "holds":
        sys.exit(1)
"""


UNNOTICED = """
import sys
from mechanism.claims import CLAIMS, CONTROL_SEED, noticed
for claim in map(CLAIMS.get, {claims!r}):
    for name, control in claim.controls().items():
        if not noticed(control, CONTROL_SEED, claim.budget, claim.least):
            print(claim.id, name)
            sys.exit(1)
"""


@dataclass(frozen=True)
class Mutant:
    """Replace each `old`, which must occur once, by its `new`.

    `file` is relative to the core; with `claims`, whose checkers are broken, to `mechanism`. `also`
    holds further (file, old, new): some faults are held back at more than one place.
    """

    name: str
    file: str
    old: str
    new: str
    claims: tuple[str, ...] = ()
    also: tuple[tuple[str, str, str], ...] = ()

    def apply(self, root: Path) -> None:
        """Write the mutant into a copy of the project."""
        for file, old, new in ((self.file, self.old, self.new), *self.also):
            path = root / (Path("mechanism") if self.claims else CORE) / file
            text = path.read_text("utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {text.count(old)} times")
            path.write_text(text.replace(old, new), "utf-8")


MUTANTS = tuple(
    Mutant(**entry)
    for entry in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["mutant"]
)


def examine(mutant: Mutant) -> tuple[Mutant, list[str], bool, float]:
    """Break a copy of the project: what stayed green, whether that is nothing, and seconds."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("mechanism", "tests", "pyproject.toml"):
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy
            copy(name, root / name)
        mutant.apply(root)
        seen = checkers(mutant, root) if mutant.claims else core(mutant, root)
    green = not all(seen.values())
    told = [f"{name} {'red' if red else 'GREEN'}" for name, red in seen.items()]
    return mutant, told, green, time.monotonic() - start


def core(mutant: Mutant, root: Path) -> dict[str, bool]:
    """Say whether a test and a claim turn red in a copy whose core is broken."""
    # numpy's path is what most mutants break; where machine code is used it would hide them
    use = "off" if mutant.file != "newton/compiled.py" else "on"
    variables = os.environ | {"MECHANISM_ACCELERATOR": use}
    commands = {
        "test": ["-m", "pytest", "-q", "-x", "-n", "0", *TESTS],
        "claim": ["-W", "ignore", "-c", PROBE.format(pairs=CLAIMS)],
    }
    return {
        name: subprocess.run(
            [sys.executable, *command], cwd=root, env=variables, capture_output=True
        ).returncode
        != 0
        for name, command in commands.items()
    }


def checkers(mutant: Mutant, root: Path) -> dict[str, bool]:
    """Say which control goes unnoticed in a copy whose checkers are broken, or ends in an error."""
    command = [sys.executable, "-W", "ignore", "-c", UNNOTICED.format(claims=mutant.claims)]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    told = ran.stdout.strip() or "error: " + ran.stderr.strip().rsplit("\n", 1)[-1][:60]
    return {f"control [{told}]": ran.returncode == 1}


def main() -> int:
    """Examine all mutants, two at a time, and say which survived."""
    survivors = 0
    pool = Parallel(n_jobs=2, return_as="generator")
    for mutant, told, green, seconds in pool(delayed(examine)(mutant) for mutant in MUTANTS):
        survivors += green
        print(f"  {mutant.name:36} {', '.join(told)}  {seconds:.0f} s", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
