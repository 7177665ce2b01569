"""The recorded scores of the answers by hand are those that the rewards give today."""

import numpy as np
import pandas as pd

from mechanism.llm.config import REWARDS
from mechanism.llm.prompts import load_prompts
from mechanism.llm.rewards import by_hand
from mechanism.llm.rewards.scoring import SAME
from tests.rewards.made_up_rewards import real


def test_record_holds_the_answers():
    table = pd.read_csv(by_hand.RESULTS / "answers.csv")
    assert table["answer"].tolist() == list(by_hand.ANSWERS)
    assert set(table["prompt"]) == {by_hand.PROMPT}
    assert by_hand.PROMPT in {p.text for p in load_prompts(by_hand.GAME, "held-out")}


@real
def test_record_is_what_the_rewards_say():
    table, names = pd.read_csv(by_hand.RESULTS / "answers.csv"), list(REWARDS[by_hand.GAME])
    assert np.abs(by_hand.score()[names] - table[names]).to_numpy().max() < SAME
