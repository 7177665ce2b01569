"""Faults that `make mutants` plants are still faults of this code: none has gone stale."""

from pathlib import Path

import pytest

from tools.mutants import CORE, MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_what_a_mutant_replaces_occurs_once(mutant):
    room = Path("mechanism") if mutant.claims else CORE
    for file, old, new in ((mutant.file, mutant.old, mutant.new), *mutant.also):
        assert (Path(__file__).parents[2] / room / file).read_text("utf-8").count(old) == 1
        assert old != new
