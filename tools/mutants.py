"""Break the core on purpose, one sign or factor at a time: tests and claims must both turn red.

`make mutants` copies the project for each mutant of `mutants.toml`, applies it, and runs the tests
of the core and the claims that cover it. A mutant that either does not notice fails the run.
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
    if check(claim, None, games, 600).status != "holds":
        sys.exit(1)
"""


@dataclass(frozen=True)
class Mutant:
    """Replace `old`, which must occur once, by `new` in a file of the core."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Write the mutant into a copy of the project."""
        path = root / CORE / self.file
        text = path.read_text("utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new), "utf-8")


MUTANTS = tuple(
    Mutant(**entry)
    for entry in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["mutant"]
)


def examine(mutant: Mutant) -> tuple[Mutant, bool, bool, float]:
    """Run tests and claims on one mutant, and say whether each was red."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("mechanism", "tests", "pyproject.toml"):
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy
            copy(name, root / name)
        mutant.apply(root)
        probe = PROBE.format(pairs=CLAIMS)
        tests = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *TESTS]
        claims = [sys.executable, "-W", "ignore", "-c", probe]
        # numpy's path is what most mutants break; where machine code is used it would hide them
        use = "off" if mutant.file != "newton/compiled.py" else "on"
        variables = os.environ | {"MECHANISM_ACCELERATOR": use}
        red = [
            subprocess.run(command, cwd=root, env=variables, capture_output=True).returncode != 0
            for command in (tests, claims)
        ]
    return mutant, red[0], red[1], time.monotonic() - start


def main() -> int:
    """Examine all mutants, two at a time, and say which survived."""
    survivors = 0
    pool = Parallel(n_jobs=2, return_as="generator")
    for mutant, tests, claims, seconds in pool(delayed(examine)(mutant) for mutant in MUTANTS):
        survivors += not (tests and claims)
        seen = f"test {'red' if tests else 'GREEN'}, claim {'red' if claims else 'GREEN'}"
        print(f"  {mutant.name:36} {seen}  {seconds:.0f} s", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants caught by a test and by a claim")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
