"""One Chromium for all tests of the site, and what a visit to each page finds."""

import functools
import http.server
import threading

import pytest
from playwright.sync_api import sync_playwright

from tests.site.visits import SITE, inspect, new_tab
from tools import browser


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium that reaches no outside host; skip loudly where there is none."""
    if not (SITE / "book").exists():
        pytest.fail("the site is not built: run `make book`")
    path = browser.find()
    if path is None:
        pytest.skip(browser.MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=browser.options())
        yield started
        started.close()


@pytest.fixture(scope="session")
def disk(chromium):
    """The site read from disk, with the network off: a context, and the address of its root."""
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    yield context, SITE.resolve().as_uri()
    context.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A handler that does not write every request to standard error."""

    def log_message(self, *words):
        pass


@pytest.fixture(scope="session")
def served(chromium):
    """The site served by this machine: a context, and the address of its root."""
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        yield context, f"http://127.0.0.1:{server.server_port}"
        context.close()
        server.shutdown()


@pytest.fixture(scope="session")
def tabs(disk, served):
    """Two tabs that go from page to page, from disk and served, and keep what pages share."""
    opened = {"disk": new_tab(*disk), "served": new_tab(*served)}
    yield opened
    for tab in opened.values():
        tab.page.close()


@pytest.fixture(scope="session")
def copied(disk, tmp_path_factory):
    """A copy of the site without its chapters, and a tab that reads it from disk."""
    root = tmp_path_factory.mktemp("site")
    for entry in SITE.iterdir():
        if entry.name != "book":
            (root / entry.name).symlink_to(entry.resolve())
    tab = new_tab(disk[0], root.as_uri())
    yield root, tab
    tab.page.close()


@pytest.fixture
def planted(copied):
    """Inspect a built page that has something more at the end of its article, or look otherwise."""

    def plant(html: str, name: str = "book/reference/clusters.html", how=inspect):
        text = (SITE / name).read_text("utf-8").replace("</article>", html + "</article>", 1)
        root, tab = copied
        page = root / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")
        return how(tab, name)

    return plant
