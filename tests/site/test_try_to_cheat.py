"""The page on which the reader cheats: its numbers are the library's, and all of it can be used."""

import json
import re

import numpy as np
import pytest

from mechanism import KL, InvalidInputError, RLHFGame, TotalVariation, sw_max
from mechanism.attack.best_response import gradient_search
from mechanism.core.payments import affine_maximizer_payments
from mechanism.figures.try_to_cheat import answers, stage
from tests.site.visits import listen

NAME = "book/game/try_to_cheat.html"
EXACT = 1e-9
in_browser = pytest.mark.browser


@pytest.fixture(scope="module")
def page(disk):
    """The page, read from disk with the network off."""
    context, root = disk
    page = context.new_page()
    errors, outside = listen(page, root)
    page.goto(f"{root}/{NAME}")
    yield page
    page.close()
    assert errors == [] and outside == []


@pytest.fixture
def fresh(page):
    """The page as the reader finds it."""
    page.reload()
    return page


def truth() -> RLHFGame:
    """The game of the page, from the library."""
    table = answers()
    rewards = table[["harmless", "humor"]].to_numpy().T
    return RLHFGame(rewards, (5, 5), np.full(len(table), 1 / len(table)), KL(1.0))


def expected(game: RLHFGame, reward, size, paid: bool) -> dict:
    """What the library says of a report of group 1."""
    reported = game.with_report(0, reward, size)
    policy = sw_max(reported)
    payments = affine_maximizer_payments(reported) if paid else np.zeros(2)
    return {
        "policy": policy,
        "worths": game.sizes * game.valuations(policy),
        "payments": payments,
        "utilities": game.utilities(policy, payments),
    }


def report(page, rewards, size, paid: bool):
    """Set every control of the page."""
    page.locator("[name=paid]").set_checked(paid)
    for slider, value in zip(page.locator("[name=reward]").all(), rewards, strict=True):
        slider.fill(f"{value:.2f}")
    page.locator("[name=size]").fill(str(size))


def shown(page) -> dict[str, float]:
    """Every number that the page shows, unrounded, by its name."""
    cells = page.evaluate(
        "() => [...document.querySelectorAll('.cheat data')].map(d => [d.dataset.shown, +d.value])"
    )
    return dict(cells)


def gain(page) -> float:
    return shown(page)["utilities 0 change"]


@in_browser
@pytest.mark.parametrize("paid", [False, True])
def test_fifty_reports_show_the_numbers_of_the_library(page, paid):
    rng, game = np.random.default_rng(paid), truth()
    assert json.loads(page.locator(".cheat script").text_content())["lam"] == game.divergence.lam
    for k in range(25):
        rewards = rng.integers(0, 101, 5) / 100 if k else np.ones(5)  # all equal: ties throughout
        size = int(rng.integers(1, 21))
        report(page, rewards, size, paid)
        found = shown(page)
        for when, said in {"truth": (None, None), "now": (rewards, size)}.items():
            for what, numbers in expected(game, *said, paid).items():
                for which, number in enumerate(numbers):
                    if f"{what} {which} {when}" in found:
                        assert abs(found[f"{what} {which} {when}"] - number) < EXACT
        assert len(found) == 2 * 5 + 3 * 4


def drawn(rng: np.random.Generator, kind: str) -> tuple[RLHFGame, np.ndarray, float]:
    """A game of two groups, and a report: ordinary, with ties, or so strong that p underflows."""
    m = int(rng.integers(2, 9))
    digits = 1 if kind == "ties" else 16
    rewards, reward = rng.random((2, m)).round(digits), rng.random(m).round(digits)
    lam = 10 ** rng.uniform(-4, -2) if kind == "underflow" else 10 ** rng.uniform(-1, 1)
    sizes, size = rng.uniform(0.5, 20, 2), rng.uniform(0.5, 20)
    return RLHFGame(rewards, sizes, rng.dirichlet(np.ones(m)), KL(lam)), reward, size


@in_browser
@pytest.mark.parametrize("kind", ["ordinary", "ties", "underflow"])
def test_script_agrees_with_the_library_on_fifty_games(page, kind):
    rng, underflows = np.random.default_rng(len(kind)), 0
    for k in range(50):
        game, reward, size = drawn(rng, kind)
        given = {
            "rewards": game.rewards.tolist(),
            "sizes": game.sizes.tolist(),
            "reference": game.reference.tolist(),
            "lam": game.divergence.lam,
        }
        said = {"rewards": reward.tolist(), "size": size}
        play = "([game, report, paid]) => tryToCheat.outcome(game, report, paid)"
        found = page.evaluate(play, [given, said, bool(k % 2)])
        for what, numbers in expected(game, reward, size, bool(k % 2)).items():
            np.testing.assert_allclose(found[what], numbers, rtol=0, atol=EXACT)
        underflows += min(found["policy"]) == 0
    assert (underflows > 10) == (kind == "underflow")


@in_browser
@pytest.mark.parametrize("paid", [False, True])
def test_best_report_is_as_good_as_what_a_gradient_finds(fresh, paid):
    sizes = np.arange(1.0, 21.0)
    sought = gradient_search(truth(), 0, payments=paid, sizes=sizes, starts=32, steps=120)
    fresh.locator("[name=paid]").set_checked(paid)
    fresh.locator("[name=best]").click()
    assert gain(fresh) > sought.gain - EXACT
    verdict = fresh.locator(".cheat [role=status]").inner_text()
    assert ("Cheating pays" in verdict) == (not paid) == (gain(fresh) > 0.5)
    assert ("This is the truth" in verdict) == paid


@in_browser
def test_best_report_beats_every_report_at_the_corners(page):
    """Without payments the gradient of the utility has one sign a reward: the best is a corner."""
    game = truth()
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 5), axis=-1).reshape(-1, 5)
    sizes = np.arange(1.0, 21.0)[:, None]
    reported = game.with_report(0, corners, sizes)
    best = game.utilities(sw_max(reported), 0)[..., 0].max()
    found = page.evaluate(
        """() => {
          const game = JSON.parse(document.querySelector('.cheat script').textContent);
          return tryToCheat.outcome(game, tryToCheat.best(game, false, 20), false).utilities[0];
        }"""
    )
    assert abs(found - best) < EXACT


@in_browser
def test_every_control_is_reached_and_worked_by_keyboard(fresh):
    names = ["reward"] * 5 + ["size", "paid", "truth", "best"]
    fresh.locator(".cheat [name=reward]").first.focus()
    for number, name in enumerate(names):
        assert fresh.evaluate("() => document.activeElement.name") == name
        before = shown(fresh) | {"verdict": fresh.locator(".cheat [role=status]").inner_text()}
        if name in ("reward", "size"):
            fresh.keyboard.press("Home" if number else "ArrowRight")
        else:
            fresh.keyboard.press("Space")
        after = shown(fresh) | {"verdict": fresh.locator(".cheat [role=status]").inner_text()}
        assert after != before, name
        fresh.keyboard.press("Tab")
    assert fresh.evaluate("() => !document.activeElement.closest('.cheat')")
    fresh.keyboard.press("Shift+Tab")
    assert fresh.evaluate("() => document.activeElement.name") == "best"


@in_browser
def test_finger_moves_a_slider_and_works_a_button(chromium, disk):
    phone = chromium.new_context(
        offline=True, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}
    )
    page = phone.new_page()
    page.goto(f"{disk[1]}/{NAME}")
    slider = page.locator(".cheat [name=reward]").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2)
    assert float(slider.input_value()) > 0.9 and abs(gain(page)) > 0.01
    verdict = page.locator(".cheat [role=status]").bounding_box()
    assert 0 < verdict["y"] and verdict["y"] + verdict["height"] <= 844  # seen while moving
    page.locator(".cheat [name=truth]").tap()
    assert gain(page) == 0
    phone.close()


@in_browser
def test_screen_reader_hears_every_control_and_the_verdict(fresh):
    heard = fresh.locator(".cheat").aria_snapshot()
    for answer in answers()["answer"]:
        assert re.search(f"slider .Reward that you report for: {re.escape(answer)}", heard)
    for control in (
        "Members that you report",
        "Payments",
        "Tell the truth",
        "Show the best report",
    ):
        assert control in heard
    status = fresh.locator(".cheat [role=status]")
    before = status.inner_text()
    fresh.locator("[name=size]").fill("20")
    assert status.inner_text() != before and "gain" in status.inner_text()


@in_browser
def test_game_is_ready_at_once(disk):
    """The best of three loads from disk: ready within a second."""
    context, root = disk
    times = []
    for _ in range(3):
        page = context.new_page()
        page.goto(f"{root}/{NAME}", wait_until="commit")
        page.wait_for_selector(".cheat-ready")
        times.append(page.evaluate("() => performance.now() / 1000"))
        page.close()
    assert min(times) < 1


def test_stage_holds_the_game_and_escapes_the_texts():
    game = RLHFGame([[0.75, 0.25], [0.25, 0.5]], [5, 4], [0.5, 0.5], KL(2.0))
    html = stage(game, "1 < 2?", ["<b>", "&"], 20)
    assert "1 &lt; 2?" in html and "&lt;b&gt;" in html and "&amp;" in html
    given = json.loads(re.search(r"json\">(.*?)</script>", html).group(1))
    assert given["rewards"] == game.rewards.tolist() and given["sizes"] == [5, 4]
    assert given["lam"] == 2 and given["reference"] == [0.5, 0.5]


def test_stage_refuses_what_the_page_cannot_play():
    game = RLHFGame([[0.75, 0.25], [0.25, 0.5]], [5, 4], [0.5, 0.5], TotalVariation(1.0))
    with pytest.raises(InvalidInputError, match="pass KL, two groups and 2 outcomes"):
        stage(game, "?", ["a", "b"], 20)
    with pytest.raises(InvalidInputError, match="3 outcomes"):
        stage(truth(), "?", ["a", "b", "c"], 20)
