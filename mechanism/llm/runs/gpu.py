"""Both games on one GPU within a time limit: pools, models, soups, evaluation; see `make llm-gpu`.

Work is ordered by what the book needs most; what the time does not allow is left out and said so.
Every finished table is on disk at once.
"""

import argparse
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechanism.llm.models import policies, soups
from mechanism.llm.rewards import tasks
from mechanism.llm.runs import evaluate
from mechanism.llm.training import pool, regression
from mechanism.llm.config import REWARDS, Settings, preset

SIZES = ((3, 7), (5, 5), (7, 3))
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Machine:
    """One game: its models in memory, its prompts, and where results go."""

    settings: Settings
    out: Path
    recipe: regression.Recipe
    start: float
    seconds: float
    notes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from peft import LoraConfig, get_peft_model

        self.initial = self.out / "initial"
        if not self.initial.exists():
            policies.write_initial(self.settings, self.initial)
        base, self.tokenizer = policies.load(self.initial, self.settings)
        layers = range(self.recipe.frozen, base.config.num_hidden_layers)
        import torch

        torch.manual_seed(self.settings.seed)
        self.model = get_peft_model(
            base,
            LoraConfig(
                r=self.settings.lora_rank, lora_alpha=self.settings.lora_alpha,
                target_modules=LINEAR, layers_to_transform=list(layers),
                task_type="CAUSAL_LM",
            ),
        )  # fmt: skip
        self.zero = {k: v.clone() for k, v in self.model.state_dict().items() if "lora" in k}
        find = lambda split, n: tasks.prompts(self.settings, split, n, self.tokenizer)  # noqa: E731
        s = self.settings
        self.train, self.held = find("train", s.train_prompts), find("held-out", s.held_out_prompts)
        self.validation = find("validation", min(40, s.held_out_prompts))
        self.rewards = tasks.rewards(s, [*s.rewards, "random"])

    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.start)

    def reset(self) -> None:
        self.model.load_state_dict(self.zero, strict=False)

    def note(self, **what: Any) -> None:
        what |= {"at": round(time.monotonic() - self.start, 1), "seed": self.settings.seed}
        self.notes.append(what)
        print(json.dumps(what), flush=True)

    def draw(self, prompts: Any, samples: int, seed: int, batch: int = 4096) -> pool.Pool:
        s = self.settings.model_copy(update={"sample_batch": batch})
        return pool.draw_pool(
            self.model, self.tokenizer, prompts, self.rewards, samples, s, seed,
            self.recipe.frozen, self.recipe.micro,
        )  # fmt: skip

    def table(self, prompts: Any, samples: int, name: str) -> pd.DataFrame:
        return evaluate.sample_model(
            self.settings, self.model, self.tokenizer, prompts, self.rewards, samples, name
        )

    def keep(self, table: pd.DataFrame, name: str) -> None:
        folder = self.out / f"{self.settings.game}_{self.settings.seed}"
        folder.mkdir(exist_ok=True)
        table.to_parquet(folder / f"{name}.parquet", compression="zstd")

    def net(self, table: pd.DataFrame, base: pd.DataFrame, weights: Any) -> dict[str, float]:
        """Won, KL and net over prompts, with errors, against the initial model."""
        names = [f"reward_{r.name}" for r in self.rewards]
        ours = table.groupby("prompt")[names].mean().to_numpy() @ weights
        theirs = base.groupby("prompt")[names].mean().to_numpy() @ weights
        ratio = table["log_prob"] - table["log_prob_initial"]
        kl = ratio.groupby(table["prompt"]).mean().to_numpy()
        net = ours - theirs - self.recipe.lam * kl
        return {
            "won": round((ours - theirs).mean(), 4), "kl": round(kl.mean(), 3),
            "net": round(net.mean(), 4), "se": round(net.std() / len(net) ** 0.5, 4),
        }  # fmt: skip


def fit_rounds(
    m: Machine, first: pool.Pool, values: Any, weights: Any, rounds: int, samples: int
) -> None:
    """Fit to the pool, then to fresh completions of the model itself."""
    m.reset()
    regression.fit(m.model, first, weights, values, m.recipe)
    for k in range(rounds):
        seed = m.settings.seed + 1000 * (k + 1)
        own = m.draw(m.train, samples, seed)
        v, r2 = regression.pool_values(own, m.recipe.lam, seed)
        recipe = replace(m.recipe, epochs=1, rate=m.recipe.rate / 2, seed=seed)
        log = regression.fit(m.model, own, weights, v, recipe)
        m.note(round=k + 1, r2=round(r2, 3), grad=log[-1]["grad_norm"])


def unit(m: Machine, index: int) -> Any:
    return np.eye(len(m.rewards))[index]


def possible(table: pd.DataFrame, names: list[str], weights: Any, lam: float) -> float:
    score = table[names].to_numpy() @ weights
    by = pd.Series(score).groupby(table["prompt"].to_numpy())
    soft = by.apply(lambda x: lam * np.log(np.mean(np.exp((x - x.max()) / lam))) + x.max())
    return float((soft - by.mean()).mean())


def probe(m: Machine, samples: int) -> None:
    """Compare variants on validation prompts."""
    m.reset()
    t = time.monotonic()
    first = m.draw(m.train, samples, m.settings.seed)
    m.note(what="pool", size=first.size, seconds=round(time.monotonic() - t, 1))
    t = time.monotonic()
    values, r2 = regression.pool_values(first, m.recipe.lam, m.settings.seed)
    m.note(what="values", r2=r2, seconds=round(time.monotonic() - t, 1))
    live = first.mask.bool()
    import torch

    for k, name in enumerate(first.names):
        r = torch.as_tensor(first.rewards[:, k], dtype=torch.float32, device=values.device)
        mean = regression._prompt_means(r, first.prompt)
        line = []
        for at in (1, 2, 4, 8, 14, 20, 28):
            if at < values.shape[1]:
                on = live[:, at - 1]
                e, b = (r - values[:, at, k])[on], (r - mean)[on]
                line.append(round(float(1 - (e**2).sum() / (b**2).sum()), 3))
        m.note(what="r2 by tokens", reward=name, r2=line)
    base = m.table(m.validation, 64, "initial")
    columns = [f"reward_{r.name}" for r in m.rewards]
    for k in (0, 1):
        m.note(what="possible", k=k, value=possible(base, columns, unit(m, k), m.recipe.lam))
    variants: dict[str, dict[str, Any]] = {
        "trace .9": {},
        "trace 0": {"trace": 0.0},
        "trace 1": {"trace": 1.0},
        "rate 1e-3": {"rate": 1e-3},
        "epochs 4": {"epochs": 4},
        "block 4": {"block": 4},
    }
    k = 1
    for name, change in variants.items():
        if m.left() < 25:
            break
        recipe = replace(m.recipe, **change)
        m.reset()
        t = time.monotonic()
        log = regression.fit(m.model, first, unit(m, k), values, recipe)
        fitted = time.monotonic() - t
        table = m.table(m.validation, 32, name)
        m.note(
            what=name, **m.net(table, base, unit(m, k)), fit=round(fitted, 1),
            seconds=round(time.monotonic() - t, 1), loss=[round(log[i]["loss"], 3) for i in (0, -1)],
        )  # fmt: skip
    for k in (1, 0):
        if m.left() > 30:
            t = time.monotonic()
            fit_rounds(m, first, values, unit(m, k), 2, samples // 2)
            table = m.table(m.validation, 32, "rounds")
            seconds = round(time.monotonic() - t, 1)
            m.note(what="2 rounds", k=k, **m.net(table, base, unit(m, k)), seconds=seconds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--prompts", type=int, default=320)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--held", type=int, default=64)
    parser.add_argument("--probe", default="")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--game", default="harmless_humor")
    return parser.parse_args()


def main() -> None:
    a = arguments()
    import torch

    torch.set_float32_matmul_precision("high")
    a.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    settings = preset(
        "small", game=a.game, train=True, dtype="float32", train_prompts=a.prompts,
        held_out_prompts=a.held, prompt_tokens=128, sample_batch=512,
    )  # fmt: skip
    recipe = regression.Recipe(settings.lam, batch=a.batch, micro=min(a.batch, 512), rate=a.rate)
    m = Machine(settings, a.out, recipe, start, a.seconds)
    m.note(what="ready", held=len(m.held))
    probe(m, a.samples)


if __name__ == "__main__":
    main()
