"""The trainers and options that `trainers` compares: what each does to the meaning of lambda."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

LAMBDAS = (0.05, 0.1, 0.3, 1.0)
SEEDS = (0, 1)
ONCE = ("Regression",)  # which fits values too, for minutes: from the first seed alone
LONG = ("RLOO", "GRPO, unscaled", "GRPO, unscaled, no ratio")  # whose errors noise could hide
REGRESSION: dict[str, Any] = {"learning_rate": 1e-2, "warmup": 0.1, "fit_batch": 160}
TEXTS: dict[str, Any] = {
    "fit_to": "texts", "warmup": 0.1, "learning_rate": 6e-3, "fit_batch": 64, "rounds": 3,
    "round_epochs": 4,
}  # fmt: skip
UNSCALED: dict[str, Any] = {"loss_type": "dr_grpo", "scale_rewards": "none"}


@dataclass(frozen=True)
class Rule:
    """A trainer with its options, and what they do to the meaning of lambda.

    Attributes
    ----------
    name : str
        How tables and figures call it.
    trainer : str
        "rloo", "grpo" or "regression".
    effect : str
        What is maximised in the place of J, and why.
    target : str, optional
        The policy that it tends to, see `targets.target`; None where no formula is known.
    options : Mapping
        What differs from TRL's defaults, beta = lambda apart; of regression, settings.
    adapter : bool
        Whether only a low-rank adapter is trained, as the pipeline does.
    """

    name: str
    trainer: str
    effect: str
    target: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    adapter: bool = False

    @property
    def learning_rate(self) -> float:
        """Peak of Adam's learning rate, which falls to 0."""
        return float(self.options.get("learning_rate", 3e-3 if self.adapter else 5e-4))


RULES = (
    Rule(
        "RLOO", "rloo",
        "J itself: lam log(pi / pi0) of the whole text is part of its reward, so that the expected"
        " update is the gradient of J",
        "exact",
    ),
    Rule("RLOO, adapter", "rloo", "J, as far as the adapter can express it", "exact", adapter=True),
    Rule(
        "RLOO, adapter, warm-up", "rloo",
        "J, with a learning rate that first rises and gradients that are not cut, as at the small"
        " scale",
        "exact", {"warmup_steps": 30, "max_grad_norm": 0.0}, adapter=True,
    ),
    Rule(
        "Regression", "regression",
        "lam log(pi / pi0) of each token is fitted to the change in what the initial model may"
        " expect: one step of soft policy iteration, the optimum where lam is large",
        "improved", REGRESSION, adapter=True,
    ),
    Rule(
        "Regression of texts, 3 rounds", "regression",
        "lam log(pi / pi0) of a whole text is fitted to its reward less the value of the request,"
        " which holds at the optimum for every text and needs no value of a token; on a quarter of"
        " the texts, then three times on as many of the model itself",
        "exact", TEXTS, adapter=True,
    ),
    Rule(
        "RLOO, 2 iterations", "rloo",
        "J, with a second step on the same texts, whose advantages are one step old and whose"
        " ratio is clipped: lam keeps its meaning, half as many texts are drawn",
        "exact", {"num_iterations": 2},
    ),
    Rule(
        "RLOO, normalised", "rloo",
        "J over the deviation of reward and divergence together: lam keeps its meaning, and Adam"
        " undoes the scale",
        "exact", {"normalize_advantages": True},
    ),
    Rule(
        "GRPO, unscaled", "grpo",
        "each token's KL is differentiated with its prefix held fixed, so no token is charged for"
        " the divergence of the tokens that it leads to; and the baseline holds the text's own"
        " reward, so that lam is worth lam n / (n - 1) with n texts a prompt",
        "gross", UNSCALED,
    ),
    Rule(
        "GRPO, unscaled, no ratio", "grpo",
        "the same, and without the ratio pi / pi_old before the penalty its gradient is that of"
        " KL(pi0 || pi), another divergence",
        "reverse", UNSCALED | {"use_bias_correction_kl": False},
    ),
    Rule(
        "GRPO, mean over tokens", "grpo",
        "as unscaled, with each text weighted by 1 / its length",
        None, {"loss_type": "grpo", "scale_rewards": "none"},
    ),
    Rule(
        "GRPO, batch scaling", "grpo",
        "rewards are divided by their deviation in the batch and the penalty is not: lam is worth"
        " lam times that deviation, which shrinks as the model learns",
        "batch", {"scale_rewards": "batch"},
    ),
    Rule(
        "GRPO, defaults", "grpo",
        "rewards are divided by their deviation among the texts of a prompt: sizes w and 10 w train"
        " the same model, and lam is worth lam times a deviation that shrinks as the model learns",
        "group",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One training: by which rule, at which lambda, from which seed, and how much of it.

    `completions` are drawn for every request in each of `steps` batches; regression draws as many
    texts in all, in equal parts for its pool and its rounds.
    """

    rule: Rule
    lam: float
    seed: int
    steps: int = 300
    completions: int = 16

    @property
    def settings(self) -> dict[str, Any]:
        """Return what differs from the tiny preset where the trainer is regression."""
        texts = self.steps * self.completions
        part = texts // (1 + self.rule.options.get("rounds", 0))
        return {"pool_samples": part, "round_samples": part} | dict(self.rule.options)


def plan() -> tuple[Training, ...]:
    """List all trainings: every rule, then some with 16 times the texts, where noise is small."""
    every = product(SEEDS, LAMBDAS, RULES)
    short = [given for given in every if given[0] == SEEDS[0] or given[2].name not in ONCE]
    long = [rule for rule in RULES if rule.name in LONG]
    return (
        *(Training(rule, lam, seed) for seed, lam, rule in short),
        *(Training(rule, min(LAMBDAS), 0, 600, 128) for rule in long),
    )
