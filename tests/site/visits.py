"""What a visit to a page finds: errors, requests, overflow, raw TeX, what axe-core objects to."""

from dataclasses import dataclass, field
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

from tools.chapters import BUILD, ROOT, toc_docnames

SITE = ROOT / BUILD / "html"
NARROW = (390, 768)  # pixels of a phone and of a tablet, where nothing may scroll sideways
WIDE = 1280
LOOK, AXE = (
    f"{path.read_text('utf-8')}; 0"
    for path in (
        Path(__file__).parent / "look.js",
        Path(axe_playwright_python.__file__).parent / "axe.min.js",
    )
)
SIDEWAYS = "scrolls sideways at"


@dataclass(frozen=True)
class Sight:
    """What is seen of one page as it opens."""

    faults: dict[str, list]  # kind of fault to what was found; empty on a good page
    height: int  # pixels, at 1280 wide
    paint: float  # seconds until the largest contentful paint


@dataclass(frozen=True)
class Tab:
    """A tab that goes from page to page, and what went wrong on the last one."""

    page: Page
    root: str
    errors: list[str]
    outside: list[str]
    good: set[str] = field(default_factory=set)  # kinds of text whose contrast in dark is good

    def go(self, name: str, width: int = WIDE):
        """Open a page in a window of this width, in light, and wait for its mathematics."""
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": width, "height": 900})
        self.errors.clear()
        self.outside.clear()
        self.page.goto(f"{self.root}/{name}")
        self.page.evaluate("() => window.MathJax?.startup?.promise.then(() => 0)")

    def faults(self) -> dict[str, list]:
        """Return the errors and the requests outside until now."""
        return {"errors": list(self.errors), "requests outside": list(self.outside)}


def page_names() -> list[str]:
    """Return the pages: those of the table of contents, and whatever else the build made.

    Of the pages that show a test, which are alike, the first stands for all.
    """
    built = {path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html")}
    extra = {name for name in built if not name.startswith("_static/") and name != "index.html"}
    tests = sorted(name for name in extra if name.startswith("tests/"))
    return sorted({f"{name}.html" for name in toc_docnames()} | extra - set(tests[1:]))


def listen(page, root: str) -> tuple[list[str], list[str]]:
    """Return two lists that fill up while a page lives: its errors, and its requests outside."""
    errors, outside = [], []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: aborted(request) or errors.append(request.url))
    page.on("response", lambda r: r.status >= 400 and errors.append(f"{r.status}: {r.url}"))
    inside = (root, "data:", "blob:", "about:")
    page.on("request", lambda r: r.url.startswith(inside) or outside.append(r.url))
    return errors, outside


def aborted(request) -> bool:
    """Say whether the page itself was left (closed, reloaded) before this request was answered."""
    return request.failure == "net::ERR_ABORTED"


def new_tab(context, root: str) -> Tab:
    """Return a tab that listens to what its pages say."""
    page = context.new_page()
    return Tab(page, root, *listen(page, root))


def load(context, root: str, name: str):
    """Open a page in a tab of its own; return it with its errors and requests."""
    tab = new_tab(context, root)
    tab.go(name)
    return tab.page, tab.errors, tab.outside


def look(page, what: str, *given):
    """Ask a page for what `look.js` names."""
    return page.evaluate(f"(given) => look.{what}(...given)", given)


def overflows(page, widths) -> list[int]:
    """Return the widths of a window in which the page scrolls sideways."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        if look(page, "overflows"):
            found.append(width)
    return found


def show(page, scheme: str):
    """Let the page be light or dark, and wait until it is."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(f"() => document.documentElement.dataset.theme === '{scheme}'")


def first_sight(tab: Tab, name: str) -> Sight:
    """Open a page in a wide window."""
    tab.go(name)
    faults, page = tab.faults(), tab.page  # what follows is not the page's doing
    page.evaluate(LOOK)
    faults |= {"raw TeX": look(page, "rawTex"), SIDEWAYS: overflows(page, [WIDE])}
    return Sight(found_in(faults), look(page, "height"), look(page, "paint"))


def inspect(tab: Tab, name: str) -> dict[str, list]:
    """Load one page on a phone, widen it, and let axe-core judge it in light and in dark mode.

    In dark, a text is left out whose colour, size and weight over the same backgrounds were found
    good on an earlier page: what covers what is judged in light, on each page.
    """
    tab.go(name, NARROW[0])
    faults, page = tab.faults(), tab.page
    for script in (LOOK, AXE):
        page.evaluate(script)
    page.add_style_tag(content="* { transition: none !important }")
    faults[SIDEWAYS] = overflows(page, NARROW)
    page.set_viewport_size({"width": WIDE, "height": 900})
    look(page, "mark", "light", [])
    show(page, "dark")
    new = look(page, "mark", "dark", sorted(tab.good))
    look(page, "lighten")
    if new:
        contrast = look(page, "contrast")
        faults["axe, dark"] = contrast["faint"]
        tab.good.update(contrast["good"])
    show(page, "light")
    found = look(page, "everything")
    faults["axe"], faults["axe, light"] = found["structure"], found["contrast"]
    return found_in(faults)


def found_in(faults: dict[str, list]) -> dict[str, list]:
    """Return the kinds of faults of which there are some."""
    return {kind: found for kind, found in faults.items() if found}


def cold_paint(context, root: str, name: str) -> float:
    """Seconds until the largest contentful paint in a tab that has shown no page yet."""
    page, *_ = load(context, root, name)
    page.evaluate(LOOK)
    seconds = look(page, "paint")
    page.close()
    return seconds
