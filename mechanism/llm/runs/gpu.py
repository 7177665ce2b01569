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

    def draw(self, prompts: Any, samples: int, seed: int, batch: int = 2048) -> pool.Pool:
        s = self.settings.model_copy(update={"sample_batch": batch})
        return pool.draw_pool(
            self.model, self.tokenizer, prompts, self.rewards, samples, s, seed,
            self.recipe.frozen, self.recipe.micro,
        )  # fmt: skip

    def table(self, prompts: Any, samples: int, name: str) -> pd.DataFrame:
        return evaluate.sample_model(
            self.settings.model_copy(update={"sample_batch": 1024}), self.model, self.tokenizer,
            prompts, self.rewards, samples, name,
        )  # fmt: skip

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
    m: Machine, first: pool.Pool, values: Any, weights: Any, rounds: int, samples: int,
    after: Any = None,
) -> None:  # fmt: skip
    """Fit to the pool, then to fresh completions of the model itself."""
    m.reset()
    log = regression.fit(m.model, first, weights, values, m.recipe)
    m.note(round=0, loss=[log[0]["loss"], log[-1]["loss"]], grad=log[-1]["grad_norm"])
    if after:
        after()
    for k in range(rounds):
        seed = m.settings.seed + 1000 * (k + 1)
        own = m.draw(m.train, samples, seed)
        v, r2 = regression.pool_values(own, m.recipe.lam, seed)
        recipe = replace(m.recipe, epochs=1, rate=m.recipe.rate / 2, seed=seed)
        log = regression.fit(m.model, own, weights, v, recipe)
        del own, v
        m.note(round=k + 1, r2=round(r2, 3), loss=[log[0]["loss"], log[-1]["loss"]])


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
        "trace .6": {"trace": 0.6},
    }
    k = 1 if m.settings.game == "harmless_humor" else 0
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


def weights_of(sizes: tuple[float, float], random: float = 0.0) -> Any:
    return np.array([*sizes, random])


# name: weights of the two rewards, sizes over ten; one model is trained for each
SIZED = {f"sw {a}-{b}": (a / 10, b / 10) for a, b in SIZES}
WITHOUT = {
    f"alone {k + 1} {w}": (w / 10 * (k == 0), w / 10 * (k == 1)) for k in (0, 1) for w in (3, 5, 7)
}
ALPHAS = {f"alpha {a}": (0.5 * a, 0.5) for a in (0.5, 2, 3)}
BETAS = {f"beta {b}": (0.5 * b, 1 - 0.5 * b) for b in (0.5, 1.5)}
SHARES = {f"alpha {s}": (0.5 * s, 0.5) for s in (0.25, 0.75)}


def begin(m: Machine, a: Any) -> tuple[pool.Pool, Any, pd.DataFrame]:
    """Pool, values, and the initial model's samples."""
    m.reset()
    first = m.draw(m.train, a.samples, m.settings.seed)
    values, r2 = regression.pool_values(first, m.recipe.lam, m.settings.seed)
    m.note(what="pool", game=m.settings.game, size=first.size, r2=round(r2, 3))
    scale = pd.DataFrame(first.rewards, columns=list(first.names)).assign(prompt=first.prompt)
    m.keep(scale, "pool_rewards")
    base = m.table(m.held, a.support, "initial")
    m.keep(base, "initial")
    columns = [f"reward_{r.name}" for r in m.rewards]
    for k in (0, 1):
        m.note(what="possible", k=k, value=possible(base, columns, unit(m, k), m.recipe.lam))
    return first, values, base


def one(
    m: Machine, part: tuple[Any, Any, Any], name: str, weights: Any, rounds: int, a: Any
) -> None:
    """Train one model, sample it on held-out prompts, keep both."""
    first, values, base = part
    t = time.monotonic()

    def after() -> None:
        table = m.table(m.held, a.draws, f"{name} pool")
        m.keep(table, f"{name} pool".replace(" ", "_"))
        m.note(what=f"{name} pool", game=m.settings.game, **m.net(table, base, weights))

    fit_rounds(m, first, values, weights, rounds, a.round_samples, after if rounds else None)
    table = m.table(m.held, a.draws, name)
    m.keep(table, name.replace(" ", "_"))
    seconds = round(time.monotonic() - t, 1)
    m.note(what=name, game=m.settings.game, **m.net(table, base, weights), seconds=seconds)


def core(m: Machine, a: Any, points: int) -> tuple[Any, Any, Any]:
    """The two reward models and their soups."""
    import torch

    part = begin(m, a)
    adapters = []
    for k, name in enumerate(m.settings.rewards):
        one(m, part, name, unit(m, k), a.rounds, a)
        adapters.append(m.out / f"adapter_{m.settings.game}_{m.settings.seed}_{name}")
        m.model.save_pretrained(adapters[-1])
        small = {k: v.bfloat16().cpu() for k, v in m.model.state_dict().items() if "lora" in k}
        torch.save(small, adapters[-1] / "bf16.pt")
    base, _ = policies.load(m.initial, m.settings)
    model = soups.attach(base, adapters)
    for weights in soups.soup_weights(points)[1:-1]:
        soups.use_soup(model, weights)
        name = f"soup {weights[0]:.2f}"
        table = evaluate.sample_model(
            m.settings, model, m.tokenizer, m.held, m.rewards, a.draws, name
        )
        m.keep(table, name.replace(" ", "_"))
    m.note(what="soups", points=points, **m.net(table, part[2], np.array([0.5, 0.5, 0])))
    return part


def whole(a: Any, m: Machine, seeds: list[int]) -> None:
    """Everything of one game, in the order of need; what time does not allow is named and left."""
    parts, left = {}, []
    for seed in seeds:
        if m.left() < a.core_seconds:
            left.append(f"seed {seed}")
            continue
        parts[seed] = core(with_seed(m, seed), a, 3 if seed else 11)
        if seed:
            del parts[seed]
    jobs = {"random": (0.0, 0.0, 1.0)} | {
        name: (*w, 0.0)
        for group in (SIZED, WITHOUT, ALPHAS, BETAS, SHARES)
        for name, w in group.items()
    }
    for name, weights in jobs.items() if 0 in parts else ():
        if m.left() < a.model_seconds:
            left.append(name)
            continue
        one(m, parts[0], name, np.array(weights), a.mechanism_rounds, a)
    m.note(what="left out", game=m.settings.game, names=left, seconds=a.seconds)


def with_seed(m: Machine, seed: int) -> Machine:
    import copy

    again = copy.copy(m)
    again.settings = m.settings.model_copy(update={"seed": seed})
    again.recipe = replace(m.recipe, seed=seed)
    return again


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=540)
    for name, value in (
        ("prompts", 320), ("samples", 64), ("held", 64), ("support", 64), ("draws", 16),
        ("batch", 512), ("rounds", 2), ("round-samples", 32), ("mechanism-rounds", 1),
        ("epochs", 2), ("core-seconds", 90), ("model-seconds", 25), ("block", 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--game", default="harmless_humor")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--trace", type=float, default=0.9)
    parser.add_argument("--probe", default="", help="a game: compare variants on it and stop")
    return parser.parse_args()


def machine(a: Any, game: str, start: float) -> Machine:
    settings = preset(
        "small", game=game, train=True, dtype="float32", train_prompts=a.prompts,
        held_out_prompts=a.held, prompt_tokens=128, sample_batch=512,
    )  # fmt: skip
    recipe = regression.Recipe(
        settings.lam, batch=a.batch, micro=min(a.batch, 256), rate=a.rate, epochs=a.epochs,
        trace=a.trace, block=a.block,
    )  # fmt: skip
    made = Machine(settings, a.out, recipe, start, a.seconds)
    made.note(what="ready", game=game, train=len(made.train), held=len(made.held))
    return made


def main() -> None:
    a = arguments()
    import torch

    torch.set_float32_matmul_precision("high")
    a.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    m = machine(a, a.probe or a.game, start)
    if a.probe:
        probe(m, a.samples)
    else:
        whole(a, m, [int(seed) for seed in a.seeds.split(",")])


if __name__ == "__main__":
    main()
