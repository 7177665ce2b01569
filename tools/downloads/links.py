"""The first page offers a download only where it has been made."""

import re
from pathlib import Path

OFFERED = ("notebooks.zip", "mechanism-book.pdf")
LINK = r'<a\b[^>]*\bhref="(?:[^"]*/)?_static/(?P<name>{})"[^>]*>.*?</a>'.format("|".join(OFFERED))
ITEM = rf"<li>\s*(?:<p>)?\s*{LINK}[^<]*(?:</p>)?\s*</li>"
OFFER = re.compile(rf"{ITEM}|{LINK.replace('name', 'alone')}", re.DOTALL)
HIDDEN = re.compile(r"<!--offer (.*?) offer-->", re.DOTALL)


def offer(page: Path, static: Path) -> None:
    """Put links to absent downloads into comments, and bring back those that are there."""

    def present(found: re.Match[str]) -> str:
        name = found["name"] or found["alone"]
        return found[0] if (static / name).exists() else f"<!--offer {found[0]} offer-->"

    text = page.read_text(encoding="utf-8")
    shown = OFFER.sub(present, HIDDEN.sub(r"\1", text))
    if shown != text:
        page.write_text(shown, encoding="utf-8")
