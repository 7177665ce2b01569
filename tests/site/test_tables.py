"""Tables of the built site: each measured column has a known unit, and the caption says it."""

import pytest
from bs4 import BeautifulSoup

from tests.site.visits import SITE
from tools.chapters import find_chapters
from tools.pages.tables import caption, captioned, columns, measured, unit

HEADS = ["payment", "kl", "errors", "seed", "error, %"]
TABLE = (
    '<table border="1" class="dataframe">\n  <thead><tr><th></th>'
    + "".join(f"<th>{head}</th>" for head in HEADS)
    + "</tr></thead><tbody><tr><th>0</th><td>0.1</td><td>-2e-3</td><td>4</td><td>1</td><td>2</td>"
    "</tr></tbody></table>"
)


def parsed(html):
    return BeautifulSoup(html, "html.parser").table


def faults(page, table):
    """Return what a reader of a table is not told."""
    found = [heads for heads in measured(table) if unit(page, heads) is None]
    shown = table.caption.get_text() if table.caption else ""
    return found + ([f"caption {shown!r}"] if shown != caption(page, table) else [])


def test_caption_names_each_unit_with_its_columns():
    table = parsed(captioned(TABLE, "llm"))
    assert table.caption.get_text() == "Reward units: payment. Nats: kl. Standard errors: errors."
    assert faults("llm", table) == []


def test_a_page_may_mean_something_else_by_a_head():
    assert unit("llm_training", ["error"])[1] == "nats"
    assert unit("llm_payments", ["error"])[1] == "reward units"


def test_heads_of_several_rows():
    html = (
        '<table class="dataframe"><thead><tr><th></th><th colspan="2">net</th></tr>'
        "<tr><th>seed</th><th>0</th><th>1</th></tr></thead><tbody><tr><th>a</th><td>1</td><td>yes</td></tr></tbody>"
    )
    assert list(columns(parsed(html))) == [(["net", "0"], ["1"]), (["net", "1"], ["yes"])]
    assert measured(parsed(html)) == [["net", "0"]]


def test_a_long_table_says_how_long_it_is():
    rows = "".join(f"<tr><th>{k}</th><td>{k}</td></tr>" for k in range(30))
    html = f'<table class="dataframe"><thead><tr><th></th><th>seed</th></tr></thead><tbody>{rows}'
    assert "30 rows, in a frame that scrolls." in captioned(html, "llm")


@pytest.mark.parametrize(
    "planted",
    [
        captioned(TABLE.replace("payment", "brightness"), "llm"),  # a head that nobody knows
        TABLE,  # no caption
        captioned(TABLE, "llm").replace("Nats", "Bits"),
    ],
)
def test_a_column_without_its_unit_is_noticed(planted):
    assert faults("llm", parsed(planted))


@pytest.mark.browser
@pytest.mark.parametrize("name", [chapter.docname for chapter in find_chapters()])
def test_every_table_of_the_site_says_its_units(name):
    soup = BeautifulSoup((SITE / f"{name}.html").read_text("utf-8"), "html.parser")
    stem = name.rsplit("/", 1)[-1]
    assert [fault for t in soup.select("table.dataframe") for fault in faults(stem, t)] == []
