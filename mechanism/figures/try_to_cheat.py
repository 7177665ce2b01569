"""The stage of the chapter in which the reader is group 1: a game, handed to the page.

The page's script (``book/_static/try_to_cheat.js``) plays it; all numbers of the game come from
here.
"""

import json
from collections.abc import Sequence
from html import escape

import pandas as pd

from mechanism.core.divergences import KL
from mechanism.core.errors import InvalidInputError
from mechanism.core.rlhf_game import RLHFGame
from mechanism.places import results
from mechanism.plotting import GROUP_COLORS

SUMS = (  # rows of the table: what is shown, whose, in words
    ("worths", 0, "What the model is worth to you, <i>w</i><sub>1</sub><i>v</i><sub>1</sub>"),
    ("payments", 0, "What you pay"),
    ("utilities", 0, "Your utility"),
    ("utilities", 1, "Utility of group 2"),
)
ANSWER = """<li>
<p class="cheat-answer">{answer}</p>
<div class="cheat-report">
<label for="cheat-reward-{x}">you report</label>
<input type="range" name="reward" id="cheat-reward-{x}" min="0" max="1" step="0.01" value="{own}"
 aria-label="Reward that you report for: {answer}">
<output for="cheat-reward-{x}">{own}</output>
<small>true: {own}; group 2: {theirs}</small>
</div>
<div class="cheat-chance">
<div class="cheat-bar" data-bar="truth {x}"></div><div class="cheat-bar" data-bar="now {x}"></div>
<small>chance <data data-shown="policy {x} truth"></data> if honest, now
<b><data data-shown="policy {x} now"></data></b></small>
</div>
</li>"""
STAGE = """<section class="cheat" aria-label="The game" style="{colors}">
<script type="application/json">{game}</script>
<noscript><p>This game needs JavaScript.</p></noscript>
<p class="cheat-prompt">{prompt}</p>
<ol>
{answers}
</ol>
<div class="cheat-size">
<label for="cheat-size">Members that you report</label>
<input type="range" name="size" id="cheat-size" min="1" max="{largest}" step="1" value="{size}">
<output for="cheat-size">{size}</output>
<small>true: {size}; group 2: {other}</small>
</div>
<div class="cheat-controls">
<label class="cheat-paid"><input type="checkbox" name="paid" role="switch"> Payments</label>
<button type="button" name="truth">Tell the truth</button>
<button type="button" name="best">Show the best report</button>
</div>
<p class="cheat-verdict" role="status"></p>
<table class="table">
<thead><tr><th scope="col">In reward units</th><th scope="col">the truth</th>
<th scope="col">your report</th><th scope="col">change</th></tr></thead>
<tbody>
{sums}
</tbody>
</table>
</section>"""


def answers() -> pd.DataFrame:
    """Return the recorded answers, `prompt` and `answer`, and their rewards to two digits.

    >>> answers().columns.tolist()
    ['prompt', 'answer', 'harmless', 'humor']
    """
    return pd.read_csv(results("llm", "by_hand", "answers.csv")).round(2)


def stage(game: RLHFGame, prompt: str, texts: Sequence[str], largest: int) -> str:
    """HTML of the game in which the reader reports for group 1, in steps of 0.01 and one member.

    Parameters
    ----------
    game : RLHFGame
        The truth: two groups, KL, rewards in [0, 1] that are multiples of 0.01, whole sizes.
    prompt : str
        What the model is asked.
    texts : sequence of str
        One text an outcome.
    largest : int
        Greatest size that can be reported.

    Raises
    ------
    InvalidInputError
        A game that the script cannot play.

    Examples
    --------
    >>> game = RLHFGame([[0.75, 0.25], [0.25, 0.5]], [5, 5], [0.5, 0.5], KL(1.0))
    >>> stage(game, "Say something.", ["Yes.", "No."], 20).count('name="reward"')
    2
    """
    if not isinstance(game.divergence, KL) or game.rewards.shape != (2, len(texts)):
        found = f"{game.divergence!r}, rewards of shape {game.rewards.shape}"
        fix = f"pass KL, two groups and {len(texts)} outcomes"
        raise InvalidInputError("game", found, "must be one that the page can play", fix)
    given = {
        "rewards": game.rewards.tolist(),
        "sizes": game.sizes.tolist(),
        "reference": game.reference.tolist(),
        "lam": game.divergence.lam,
    }
    rows = [
        ANSWER.format(x=x, answer=escape(answer), own=f"{own:.2f}", theirs=f"{theirs:.2f}")
        for x, (answer, own, theirs) in enumerate(zip(texts, *game.rewards, strict=True))
    ]
    sums = [
        f'<tr class="cheat-group-{which + 1}"><th scope="row">{words}</th>'
        + "".join(
            f'<td><data data-shown="{what} {which} {when}"></data></td>'
            for when in ("truth", "now", "change")
        )
        + "</tr>"
        for what, which, words in SUMS
    ]
    return STAGE.format(
        colors="; ".join(f"--group-{i + 1}: {color}" for i, color in enumerate(GROUP_COLORS[:2])),
        game=json.dumps(given),
        prompt=escape(prompt),
        answers="\n".join(rows),
        largest=largest,
        size=f"{game.sizes[0]:g}",
        other=f"{game.sizes[1]:g}",
        sums="\n".join(sums),
    )
