"""What the next run on a GPU makes, in which order, and how long it should take.

One process does it all: a second one on the same card gains next to nothing. With three, two and
one of them a model took 37, 26 and 16 to 20 seconds, the card being busy all the time.

A model is trained because some question needs it. Jobs are in order of worth: what is cut off by
the end of the time is the last of them. Within a job the order is the one whose questions are
answered earliest on average; it is computed, by trying all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from mechanism.llm.config import Settings
from mechanism.tables.candidates import RANDOM, SIZES
from mechanism.tables.trained import ALPHAS, BETAS, TRUE, Report, sw_max_model, without

Questions = Mapping[str, frozenset[str]]  # what is asked, and the models that answer it


@dataclass(frozen=True)
class Costs:
    """Seconds measured with one process on an H200; see `seconds`.

    Attributes
    ----------
    load : float
        Start of a process: packages, models, rewards.
    draw : float
        Drawing and scoring of 1000 completions of a pool.
    fit : float
        One pass of a fit over 1000 completions.
    evaluate : float
        Drawing and scoring of 1000 completions on held-out prompts.
    step : float
        One step of RLOO of 1000 completions, mostly with the card to itself.
    """

    load: float = 28.0
    draw: float = 29.0 / 20.48
    fit: float = 13.0 / 40.96
    evaluate: float = 3.5 / 1.024
    step: float = 4.45 / 1.024


@dataclass(frozen=True)
class Job:
    """What one process makes of a game and seed, all from one pool.

    Attributes
    ----------
    game : str
    seed : int
    questions : mapping
        Models for reports, by what they answer.
    base : bool
        Whether the initial model, both rewards and their soups are made too. Without them the
        tables complete an earlier record of the same game and seed.
    soups : int
        Soups, ends included.
    rloo : bool
        Whether the models are trained by RLOO instead, each for one reward, without a pool.
    """

    game: str
    seed: int
    questions: Questions
    base: bool = False
    soups: int = 3
    rloo: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Models for reports in the best order."""
        return order(self.questions)


def payments(sizes: tuple[float, float]) -> frozenset[str]:
    """Return the models of payments by retraining at these sizes."""
    return frozenset({sw_max_model(sizes), without(sizes, 0), without(sizes, 1)})


def lies(sizes: tuple[float, float] = TRUE) -> dict[str, frozenset[str]]:
    """Return the questions on group 1's misreports."""
    truth = sw_max_model(sizes)
    far = {Report(sizes, "alpha", value).model for value in ALPHAS if not 0 < value < 1}
    near = {Report(sizes, "alpha", value).model for value in ALPHAS if 0 < value < 1}
    mixed = {Report(sizes, "beta", value).model for value in BETAS}
    return {
        "does a size reported too large pay": frozenset(far | {truth}),
        "does another reward pay": frozenset(mixed | {truth}),
        "the curve of one training": frozenset(near | {truth, without(sizes, 0)}),
    }


REST = {f"payments at {a:g}, {b:g}": payments((a, b)) for a, b in SIZES if (a, b) != TRUE}
AT_TRUE = {"payments": payments(TRUE)}
CONTROL = {"is the control trained too": frozenset({RANDOM})}
ALPHA_BETWEEN = frozenset({Report(TRUE, "alpha", 0.75).model})  # the one that is missing
EVERYTHING = AT_TRUE | lies() | REST | CONTROL  # of one game and seed, from one pool
RLOO = "does RLOO pay with as many completions"
PLAN: tuple[Job, ...] = (
    Job("harmless_humor", 0, REST),
    Job("faithful_summary", 0, REST | {"the curve of one training": ALPHA_BETWEEN}),
    Job("harmless_humor", 0, {RLOO: frozenset({"humor"})}, rloo=True),
    Job("faithful_summary", 0, {RLOO: frozenset({"faithful"})}, rloo=True),
)


def order(questions: Questions) -> tuple[str, ...]:
    """Return the models of all questions in the order that answers them earliest on average.

    A question is answered once its last model is there; all models take the same time.

    >>> order({"both": frozenset("ab"), "one": frozenset("a"), "two": frozenset("cd")})
    ('a', 'b', 'c', 'd')
    """

    def named(chosen: Sequence[str]) -> tuple[str, ...]:
        listed = [name for question in chosen for name in sorted(questions[question])]
        return tuple(dict.fromkeys(listed))

    return min(map(named, permutations(questions)), key=lambda names: waiting(questions, names))


def waiting(questions: Questions, names: Sequence[str]) -> float:
    """Return how many models are made before a question is answered, on average."""
    place = {name: k + 1 for k, name in enumerate(names)}
    last = [max(place[name] for name in models) for models in questions.values()]
    return sum(last) / max(1, len(last))


def seconds(job: Job, settings: Settings, costs: Costs = Costs()) -> float:
    """Return what a job should take, the start of the process aside."""
    s, thousand = settings, 1e-3
    if job.rloo:
        texts = thousand * s.train_prompts * (s.pool_samples + s.rounds * s.round_samples)
        looks = costs.evaluate * thousand * s.held_out_prompts * s.samples
        return looks + len(job.models) * (costs.step * texts + looks)
    pool = thousand * s.train_prompts * s.pool_samples
    held = thousand * s.held_out_prompts
    own = s.rounds * thousand * s.train_prompts * s.round_samples
    fit, look = costs.fit * pool * s.fit_epochs, costs.evaluate * held * s.samples
    total = costs.draw * pool + len(job.models) * (fit + look)
    if job.base:
        first = costs.evaluate * held * s.support_samples
        again = look * bool(s.rounds) + own * (costs.draw + costs.fit)
        total += first + len(s.rewards) * (fit + look + again) + (job.soups - 2) * look
    return total


def process_seconds(jobs: Sequence[Job], settings: Settings, costs: Costs = Costs()) -> float:
    """Return what a process should take for its jobs, one after the other."""
    return costs.load + sum(seconds(job, settings, costs) for job in jobs)
