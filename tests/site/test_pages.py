"""Every page of the built site in a real browser, from disk and served, with no network."""

import pytest

from tests.site.visits import cold_paint, first_sight, inspect, load, page_names

pytestmark = pytest.mark.browser
SLOWEST = 1.5  # seconds until the largest contentful paint
FIRST = ["book/index", "book/game/sw_max", "api/mechanism.attack"]  # formulas, and the library
TALLEST = 11_500  # pixels of a page, 1280 wide
TALLEST_OF = {  # pages with a limit of their own
    "book/experiments/llm": 10_000,  # the part on language models was one page, and shall not grow
    "book/experiments/synthetic": 14_000,  # each setting that was tried stands beside the one found
    "book/experiments/reward_models": 12_500,  # five rewards, each with what games it
    "book/incentives/gradient": 12_500,  # three cases and which of them are necessary: one theorem
    "api/": 40_000,  # a page a package: looked up, not read
    "tests/": 40_000,
}


def tallest(name):
    return next((most for begins, most in TALLEST_OF.items() if name.startswith(begins)), TALLEST)


@pytest.mark.parametrize("name", page_names())
def test_page_from_disk_with_the_network_off(tabs, disk, name):
    """No error, request outside, raw TeX or sideways scrolling, and soon there.

    The paint is the best of three, since other work on the machine can only slow one down.
    """
    seen = first_sight(tabs["disk"], name)
    assert seen.faults == {}
    assert seen.height <= tallest(name)
    paints = [seen.paint]
    while min(paints) >= SLOWEST and len(paints) < 3:
        paints.append(cold_paint(*disk, name))
    assert min(paints) < SLOWEST


@pytest.mark.parametrize("name", page_names())
def test_served_page_from_phone_to_desktop_in_light_and_dark(tabs, name):
    """No error, request outside, sideways scrolling or serious violation of axe's rules."""
    assert inspect(tabs["served"], name) == {}


@pytest.mark.parametrize("name", FIRST)
def test_page_that_is_opened_first_is_soon_there(disk, name):
    """What a tab has not kept from an earlier page is read anew: the best of three."""
    paints = [cold_paint(*disk, f"{name}.html")]
    while min(paints) >= SLOWEST and len(paints) < 3:
        paints.append(cold_paint(*disk, f"{name}.html"))
    assert min(paints) < SLOWEST


def test_root_leads_to_the_first_page(disk):
    context, root = disk
    page = context.new_page()
    page.goto(f"{root}/index.html")
    page.wait_for_url(f"{root}/book/index.html")
    page.close()


@pytest.mark.parametrize("place", ["disk", "served"])
def test_search_finds_a_subject_by_keyboard(request, place):
    page, errors, outside = load(*request.getfixturevalue(place), "book/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("affine maximizer")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a[href*='payments/affine_maximizer']")
    page.wait_for_function("() => !document.querySelector('#search-progress')?.textContent")
    page.close()
    assert errors == [] and outside == []


FAULTS = {  # what is planted, and whether the first sight and the inspection notice
    "errors": ("<script>console.error('planted')</script>", True, True),
    "requests outside": ("<img alt='x' src='https://example.org/x.png'>", True, True),
    "raw TeX": (r"<p>\alpha</p>", True, False),
    "scrolls sideways at": ("<div style='width: 600px'>wide</div>", False, True),
    "axe": ("<button></button>", False, True),
    "axe, light": ("<p style='color: var(--pst-color-border)'>faint</p>", False, True),
    "axe, dark": ("<p style='color: #333'>dark on dark</p>", False, True),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_planted_fault_is_noticed(planted, kind):
    html, *noticed = FAULTS[kind]
    found = planted(html, how=first_sight).faults, planted(html)
    assert [kind in faults for faults in found] == noticed


CODE = (
    "<pre><span class='k'>if</span> <span class='faint'>weights</span></pre>"
    "<style>.faint {{ color: {} }} [data-theme=dark] .faint {{ color: {} }}</style>"
)


@pytest.mark.parametrize(
    ("light", "dark", "told"),
    [("#111", "#fff", []), ("#ccc", "#fff", ["axe, light"]), ("#111", "#333", ["axe, dark"])],
)
def test_contrast_of_one_word_of_code_is_judged(planted, light, dark, told):
    """What is set aside before axe-core looks is not what it would object to."""
    assert sorted(planted(CODE.format(light, dark))) == told


LINK_IN_FORMULA = "<mjx-math aria-hidden='true'><a href='#x' aria-label='x'></a></mjx-math>"
INSIDE = {
    "aria-command-name": "<pre><span class='x' role='button'></span></pre>",
    "aria-valid-attr-value": "<pre><span class='x' aria-checked='7'>x</span></pre>",
    "aria-hidden-focus": f"<mjx-container>{LINK_IN_FORMULA}</mjx-container>",
    "image-alt": "<table><tr><td><img src='../_static/favicon.svg'></td></tr></table>",
}


@pytest.mark.parametrize("rule", INSIDE)
def test_what_stands_in_code_formulas_and_tables_is_inspected(planted, rule):
    assert any(line.startswith(f"{rule}:") for line in planted(INSIDE[rule]).get("axe", []))


def test_wide_page_scrolls_sideways_at_first_sight(planted):
    found = planted("<div style='width: 1400px'>wide</div>", how=first_sight)
    assert found.faults["scrolls sideways at"] == [1280]


LINK = (
    "<p style='color: #000'>Some words and <a style='text-decoration: none; color: {}' href='#x'>"
    "a link</a> within them.</p>"
)


@pytest.mark.parametrize(("color", "told"), [("#111", False), ("#888", True)])
def test_a_link_without_a_line_must_be_told_from_its_text_by_colour(planted, color, told):
    found = planted(LINK.format(color)).get("axe", [])
    assert [line for line in found if line.startswith("link-in-text-block")] == found
    assert bool(found) != told


def test_page_with_nothing_planted_is_good(planted):
    assert planted("<p>nothing</p>", how=first_sight).faults == planted("<p>nothing</p>") == {}


def test_text_that_is_good_in_dark_is_judged_again_on_another_ground(planted):
    assert planted("<p>seen before</p>") == {}
    for _ in range(2):
        assert sorted(planted("<div style='background: #fff'><p>seen before</p></div>")) == [
            "axe, dark"
        ]


FAINT = "<p class='faint'>{}</p><style>[data-theme=dark] .faint {{ color: #333 }}</style>"
COVER = "<div style='position: relative'>{}<div style='position: absolute; inset: 0'></div></div>"


@pytest.mark.parametrize("unclear", [COVER.format(FAINT.format("hidden")), FAINT.format("i")])
def test_a_contrast_that_axe_cannot_tell_is_judged_on_a_page_where_it_can(planted, unclear):
    assert planted(unclear) == {}
    assert sorted(planted(FAINT.format("plain to see"))) == ["axe, dark"]


def test_one_letter_does_not_stand_for_a_kind_of_text(planted):
    """Of a single letter axe-core cannot tell the contrast."""
    assert sorted(planted(FAINT.format("i</p><p class='faint'>plain to see"))) == ["axe, dark"]
