"""Watch every figure that is drawn: what is named after a group has the colour of that group."""

import re
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS

SEEN: list[str] = []
GROUP = re.compile(r"group (\d+)\b")


def color_of(artist) -> str | None:
    """Return the colour that an artist, or the first part of an error bar, is seen in."""
    for one in (artist, *getattr(artist, "get_children", list)()):
        for name in ("get_color", "get_facecolor"):
            if (color := getattr(one, name, lambda: None)()) is not None and len(color):
                return to_hex(to_rgba_array(color)[0])
    return None


def named(axes: Axes) -> Iterator[tuple[str, object]]:
    """Yield what has a label, in the axes and in their legend."""
    for artist in (*axes.lines, *axes.patches, *axes.collections, *axes.containers):
        yield str(artist.get_label()), artist
    if legend := axes.get_legend():
        for text, artist in zip(legend.get_texts(), legend.legend_handles, strict=True):
            yield text.get_text(), artist


def faults(figure: Figure) -> list[str]:
    """Return what is named after a group and has another colour."""
    found = []
    for axes in figure.axes:
        for label, artist in named(axes):
            if not (match := GROUP.match(label)):
                continue
            wanted = to_hex(GROUP_COLORS[(int(match[1]) - 1) % len(GROUP_COLORS)])
            if color_of(artist) != wanted:
                found.append(f"{label!r} is {color_of(artist)}, not {wanted}")
    return found


def watch() -> None:
    """Look at each figure of this process as it is drawn; what is found goes into `SEEN`."""
    draw = FigureCanvasBase.print_figure

    def drawn(self, *arguments, **options):
        SEEN.extend(faults(self.figure))
        return draw(self, *arguments, **options)

    FigureCanvasBase.print_figure = drawn
