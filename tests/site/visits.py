"""What a visit to a page finds: errors, requests, overflow, raw TeX, what axe-core objects to."""

from dataclasses import dataclass
from pathlib import Path

import axe_playwright_python

from tools.chapters import BUILD, ROOT, toc_docnames

SITE = ROOT / BUILD / "html"
WIDTHS = (390, 768, 1280)
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
SCRIPTS = [path.read_text("utf-8") for path in (Path(__file__).parent / "look.js", AXE)]


@dataclass(frozen=True)
class Visit:
    """What was found on one page."""

    faults: dict[str, list]  # kind of fault to what was found; empty on a good page
    height: int  # pixels, at 1280 wide
    paint: float  # seconds until the largest contentful paint


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


def load(context, root: str, name: str):
    """Open a page and wait for its mathematics; return it with its errors and requests."""
    page = context.new_page()
    errors, outside = listen(page, root)
    page.goto(f"{root}/{name}")
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => 0)")
    return page, errors, outside


def look(page, what: str):
    """Ask a page for what `look.js` names."""
    return page.evaluate(f"() => look.{what}()")


def overflows(page, width: int) -> bool:
    """Say whether the page scrolls sideways in a window of this width."""
    page.set_viewport_size({"width": width, "height": 900})
    return look(page, "overflows")


def show(page, scheme: str):
    """Let the page be light or dark, and wait until it is."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(f"() => document.documentElement.dataset.theme === '{scheme}'")


def visit(context, root: str, name: str) -> Visit:
    """Load one page, resize it, and let axe-core judge it in light and in dark mode."""
    page, errors, outside = load(context, root, name)
    errors, outside = list(errors), list(outside)  # what follows is not the page's doing
    for script in SCRIPTS:
        page.evaluate(script + "; 0")
    paint = look(page, "paint")
    page.add_style_tag(content="* { transition: none !important }")
    faults = {"errors": errors, "requests outside": outside, "raw TeX": look(page, "rawTex")}
    faults["scrolls sideways at"] = [width for width in WIDTHS if overflows(page, width)]
    height = look(page, "height")
    show(page, "light")
    found = look(page, "everything")
    faults["axe"], faults["axe, light"] = found["structure"], found["contrast"]
    show(page, "dark")
    faults["axe, dark"] = look(page, "contrast")
    page.close()
    return Visit({kind: found for kind, found in faults.items() if found}, height, paint)


def paint_again(context, root: str, name: str) -> float:
    """Seconds until the largest contentful paint of one more load."""
    page, *_ = load(context, root, name)
    page.evaluate(SCRIPTS[0] + "; 0")
    seconds = look(page, "paint")
    page.close()
    return seconds
