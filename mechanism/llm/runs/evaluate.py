"""Draw from a candidate on held-out prompts, score every reward, and keep one row a completion."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd

from mechanism.llm.config import Settings
from mechanism.llm.models import policies, sample, soups
from mechanism.llm.prompts import Prompt
from mechanism.llm.rewards import tasks
from mechanism.tables.candidates import INITIAL


def evaluate(
    settings: Settings,
    initial: Path,
    prompts: Sequence[Prompt],
    rewards: Sequence[Any],
    samples: int,
    adapters: Sequence[Path] = (),
    weights: Sequence[float] = (),
    candidate: str = INITIAL,
) -> pd.DataFrame:
    """Return the sample table of one candidate (columns as in `candidates.COLUMNS`).

    Without adapters the candidate is the initial model; with them it is their soup, unmerged.
    Every candidate draws from the same random stream.
    """
    model, tokenizer = policies.load(initial, settings)
    if adapters:
        model = soups.attach(model, adapters)
        soups.use_soup(model, weights)
    asked = [policies.format_prompt(tokenizer, p.text, settings.system) for p in prompts]
    drawn = sample.draw(model, tokenizer, asked, samples, settings, settings.seed)
    own = sample.log_probs(model, tokenizer, asked, drawn, settings)
    off = model.disable_adapter() if adapters else nullcontext()
    with off:
        first = sample.log_probs(model, tokenizer, asked, drawn, settings) if adapters else own
    table = pd.DataFrame(
        {
            "candidate": candidate,
            "prompt": [c.prompt for c in drawn],
            "sample": [c.sample for c in drawn],
            "text": [c.text for c in drawn],
            "tokens": [len(c.tokens) for c in drawn],
            "ended": [c.ended for c in drawn],
            "log_prob": own,
            "log_prob_initial": first,
        }
    )
    contexts, texts = [prompts[c.prompt].context for c in drawn], table["text"].tolist()
    return table.join(tasks.score(rewards, contexts, texts))
