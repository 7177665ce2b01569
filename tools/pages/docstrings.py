"""Docstrings are read as they were meant: bars and stars are what they are, not markup."""

import re
from typing import Any

from sphinx.application import Sphinx

KEPT = re.compile(
    r"(^(?P<in> *)\S[^\n]*::[^\n]*\n(?:[ \t]*\n|(?P=in) +\S[^\n]*(?:\n|\Z))+"  # a block of its own
    r"|^ *>>> [^\n]*(?:\n *\S[^\n]*)*"  # an example
    r"|``.+?``|:\w+:`[^`]+`|`[^`]+`)",  # code and roles
    re.MULTILINE | re.DOTALL,
)
MARKUP = re.compile(r"(?<!\\)([|*]|(?<=\w)_(?!\w))")


def escaped(text: str) -> str:
    r"""Return a docstring in which only code, roles and blocks keep their markup.

    >>> print(escaped("at most |S| of ASW_-i, `x|y`"))
    at most \|S\| of ASW\_-i, `x|y`
    """
    parts, end = [], 0
    for kept in KEPT.finditer(text):
        parts += [MARKUP.sub(r"\\\1", text[end : kept.start()]), kept[0]]
        end = kept.end()
        if (
            kept[0].endswith("`") and text[end : end + 1].isalnum()
        ):  # `game`s: the plural ends the word, not the markup
            parts.append("\\ ")
    return "".join([*parts, MARKUP.sub(r"\\\1", text[end:])])


def plain_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Escape the lines of one docstring, before napoleon reads them."""
    lines[:] = escaped("\n".join(lines)).split("\n")


def plain_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: Any,
    given: str | None,
    back: str | None,
) -> tuple[str | None, str | None]:
    """Leave out a default that Sphinx cannot read: a tuple with a star."""
    return given and re.sub(r"=\(\*[^)]*\)", "=...", given), back


def setup(app: Sphinx) -> dict[str, bool]:
    """Let autodoc hand over every docstring."""
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)
    app.connect("autodoc-process-signature", plain_signature)
    return {"parallel_read_safe": True}
