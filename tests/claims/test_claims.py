"""The registry: every claim is there, checks what it is given, and notices its controls."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mechanism import Mechanism, affine_maximizer_payments, sw_max, sweeps
from mechanism.attack.spending import INTEGRALS
from mechanism.claims import CLAIMS, DEFINITIONS, check, run
from mechanism.cli import app
from mechanism.core.errors import InvalidInputError

ROOT = Path(__file__).parents[2]
IDS = (
    "def-3.2 def-3.3 def-4.1 thm-4.2-1 thm-4.2-2 thm-4.3 lemma-B.1 thm-B.2-1 thm-B.2-2 thm-B.2-3 "
    "prop-4.4 prop-4.6 prop-4.8-kl prop-4.8-chi2 thm-4.9 cor-4.10 lemma-C.1 lemma-C.2 "
    "thm-4.11-lower thm-4.11-upper cor-4.13 lemma-D.1 lemma-D.2 thm-4.12 heuristic-1 heuristic-2 "
    "prop-E.2 false-names false-names-rate collusion identity-area one-run "
    "prop-opt sharp-D.1 prop-zero-one prop-pair prop-kl-complete sharp-moduli prop-sheets room "
    "sharp-noise least-regret"
).split()
OURS = IDS[IDS.index("false-names") :]


def test_no_claim_is_missing():
    assert sorted(CLAIMS) == sorted(IDS)
    assert [name for name, claim in CLAIMS.items() if claim.origin == "ours"] == OURS
    assert {claim.origin for claim in CLAIMS.values()} == {"paper", "ours"}


def test_definitions_are_listed_as_what_they_are():
    assert sorted(DEFINITIONS) == ["def-3.1", "def-4.5", "def-4.7", "def-E.1"]
    for name, definition in DEFINITIONS.items():
        assert definition.origin == "definition" and set(definition.assumptions) <= set(CLAIMS)
        page = (ROOT / "book" / f"{definition.chapter}.md").read_text("utf-8")
        assert name.removeprefix("def-") in page
        with pytest.raises(InvalidInputError, match="is a definition"):
            check(name)


@pytest.mark.parametrize("name", IDS)
def test_rooms_of_a_claim_exist(name):
    claim = CLAIMS[name]
    assert (ROOT / "book" / f"{claim.chapter}.md").exists() and (ROOT / claim.test).exists()
    assert claim.statement.endswith(".") and claim.assumptions
    assert len(claim.controls()) >= 2


@pytest.mark.parametrize("name", IDS)
def test_claim_holds(name):
    claim, budget = CLAIMS[name], max(300, CLAIMS[name].least)
    result = check(name, budget=budget, seed=1)
    assert result.status == "holds", result
    if name not in INTEGRALS:
        assert result.trials <= budget
    assert result.missing == result.coverage.missing(claim.scope)
    assert result.claim == name and result.trials > 0
    assert result.witness is None or result.oracle_gap <= result.tolerance


@pytest.mark.parametrize("games", ["rlhf", "candidate"])
def test_own_mechanism(games):
    fair = Mechanism(sw_max, affine_maximizer_payments)
    cheap = Mechanism(sw_max, lambda game: 0.99 * affine_maximizer_payments(game))
    assert check("def-3.2", fair, games, budget=300).status == "holds"
    result = check("def-3.2", cheap, games, budget=600)
    assert result.status == "violated" and result.witness.gain > 0
    assert result.witness.replay() == pytest.approx(result.margin, abs=result.tolerance)


@pytest.mark.parametrize(
    "arguments",
    [
        {"claim_id": "thm-9"},
        {"claim_id": "lemma-D.1", "mechanism": Mechanism.affine_maximizer()},
        {"claim_id": "thm-4.2-1", "games": "candidate"},
        {"claim_id": "def-3.2", "games": "chess"},
        {"claim_id": "def-3.2", "budget": 0},
    ],
)
def test_what_makes_no_sense_is_refused(arguments):
    with pytest.raises(InvalidInputError):
        check(**arguments)
    with pytest.raises(InvalidInputError):
        list(run(["thm-9"]))


def test_checkers_come_before_the_short_controls_and_nothing_is_left_out(monkeypatch):
    """So that at the end of a sweep no process is alone with a long task."""
    given = []
    monkeypatch.setattr(sweeps, "run", lambda work, tasks, where: given.extend(tasks) or iter(()))
    assert list(run()) == []
    assert [name for name, control in given[: len(CLAIMS)] if control is None] == list(CLAIMS)
    wanted = {(name, control) for name in CLAIMS for control in CLAIMS[name].controls()}
    assert set(given[len(CLAIMS) :]) == wanted and len(given) == len(CLAIMS) + len(wanted)


def test_command():
    command = ["claims", "--only", "def-3.3", "--budget", "200", "--jobs", "1", "--json"]
    result = CliRunner().invoke(app, command)
    document = json.loads(result.stdout)
    assert result.exit_code == 0 and document["ok"] and document["budget"] == 200
    (row,) = document["claims"]
    assert row["id"] == "def-3.3" and row["status"] == "holds"
    assert all(set(control) == {"name", "noticed"} for control in row["controls"])
    assert {"margin", "tolerance", "trials", "seconds"} <= set(row)
    assert CliRunner().invoke(app, ["claims", "--only", "thm-9"]).exit_code == 2
