"""Models for reports in a run: which there are, for which objective, and trained where."""

import pytest

from mechanism.core.errors import InvalidInputError
from mechanism.llm.config import REWARDS, preset
from mechanism.llm.models.soups import recipes
from mechanism.llm.runs import exact, pipeline, record
from mechanism.llm.training import rounds
from mechanism.sweeps import HERE
from mechanism.tables import trained
from mechanism.tables.candidates import INITIAL, RANDOM
from mechanism.tables.trained import objectives

SETTINGS = preset(
    "tiny", trainer="regression", reports=True, control=False, pool_samples=12, fit_epochs=1,
    soups=2, soup_scales=(0.5,), samples=4, support_samples=4,
)  # fmt: skip
SOME = (RANDOM, "SW-Max 3, 7", "group 2 alone, 7", "beta 0.5 at 5, 5")
CHOSEN = {name: objectives()[name] for name in SOME}
FIRST, SECOND = REWARDS[SETTINGS.game]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run whose models were tasks: the weights each was trained with, what was said, the run."""
    root, weights, said = tmp_path_factory.mktemp("reports"), {}, []
    with pytest.MonkeyPatch.context() as patched:
        train = rounds.train

        def noted(*arguments):
            weights[arguments[-1].name.split("-", 1)[1].rpartition("-")[0]] = arguments[-2]
            return train(*arguments)

        patched.setattr(rounds, "train", noted)
        for module in (pipeline, trained):
            patched.setattr(module, "objectives", lambda: CHOSEN)
        pipeline.train_apart([SETTINGS], HERE, root)
        asked = dict(weights)
        run = pipeline.run(SETTINGS, root, said.append)
    return asked, weights, said, run


def test_every_model_is_trained_once_for_its_own_objective(made):
    asked, after, said, _ = made
    expected = {FIRST: (1, 0, 0), SECOND: (0, 1, 0)} | CHOSEN
    del expected[RANDOM]
    names = {name.replace(",", "").replace(" ", "-"): name for name in expected}
    assert {names[slug]: tuple(found) for slug, found in asked.items()} == expected
    assert after == asked  # the run finds what the tasks have made
    assert sum(text.startswith("have train-") for text in said) == len(expected)


def test_tables_of_the_run_have_every_model(made):
    *_, run = made
    names = {INITIAL, *recipes(2, (0.5,)), *CHOSEN} - {RANDOM}
    log = record.training_log(run).groupby("trained_for")["reward"].count()
    assert set(log.index) == {FIRST, SECOND, *CHOSEN} - {RANDOM}
    assert set(log.index[log > 0]) == {FIRST, SECOND}  # the others have no reward of their own
    assert [stage.name for stage in run.stages].count("pool") == 1  # its time is the run's too
    assert set(run.samples["candidate"]) == set(exact.candidate_names(run.exact)) == names


def test_a_training_that_draws_for_itself_has_no_pool_to_share():
    with pytest.raises(InvalidInputError, match="trainer must be regression"):
        preset("tiny", trainer="rloo", reports=True)
