"""Pictures of a price and of an audit, from their JSON documents."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mechanism.plotting import GROUP_COLORS, GROUP_DASHES, GROUP_MARKERS, NEUTRAL

LONGEST = 28  # characters of a name in a picture
MOST = 20  # groups in a picture


@contextmanager
def _plain_text() -> Iterator[None]:
    """Names from files are no formulas, and a letter that the font lacks is no warning."""
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _label(name: str) -> str:
    text = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026"


def price_figure(document: dict[str, Any]) -> Figure:
    """What every group gets and pays: w v, payment with its interval, utility."""
    groups = dict(list(document["groups"].items())[:MOST])
    with _plain_text():
        figure = Figure(figsize=(7.0, 1.4 + 0.55 * len(groups)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        place = np.arange(len(groups), dtype=float)
        rows = list(groups.values())
        parts = {
            "size x valuation": [row["size"] * row["valuation"] for row in rows],
            "payment": [row["payment"] for row in rows],
            "utility": [row["utility"] for row in rows],
        }
        for k, (title, values) in enumerate(parts.items()):
            axes.barh(place + 0.27 * (k - 1), values, 0.25, label=title, color=GROUP_COLORS[k],
                      hatch=("", "//", "..")[k], edgecolor="black", linewidth=0.5)  # fmt: skip
        if all(row["payment_low"] is not None for row in rows):
            low = [max(row["payment"] - row["payment_low"], 0.0) for row in rows]
            high = [max(row["payment_high"] - row["payment"], 0.0) for row in rows]
            axes.errorbar(parts["payment"], place, xerr=[low, high], fmt="none", color="black",
                          capsize=3)  # fmt: skip
        axes.set_yticks(place, [_label(name) for name in groups])
        axes.invert_yaxis()
        axes.set_xlabel("normalised reward units")
        axes.set_title(_label(document["chosen"] or "reweighted samples"), fontsize="medium")
        axes.legend(fontsize="small")
        figure.draw_without_rendering()
    return figure


def audit_figure(document: dict[str, Any]) -> Figure:
    """What lies bring without and with payments, and what false names save."""
    groups = dict(list(document["groups"].items())[:MOST])
    with _plain_text():
        figure = Figure(figsize=(9.0, 1.6 + 0.55 * len(groups)), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        place = np.arange(len(groups), dtype=float)
        lies = [group["lies"] for group in groups.values()]
        for k in range(len(lies[0])):
            left.barh(place + 0.2 * (k - 1), [row[k]["free_gain"] for row in lies], 0.18,
                      color=GROUP_COLORS[k], hatch=("", "//", "..")[k], edgecolor="black",
                      linewidth=0.5, label=f"{lies[0][k]['way']}, free")  # fmt: skip
        best = [max(lie["paid_gain"] for lie in row) for row in lies]
        left.plot(best, place, "D", color=NEUTRAL, markersize=5, label="best, with payments")
        left.set_yticks(place, [_label(name) for name in groups])
        left.invert_yaxis()
        left.set_xlabel("gain of the best misreport")
        left.legend(fontsize="x-small")
        for k, (name, entries) in enumerate(list(document["false_names"].items())[:MOST]):
            style = k % len(GROUP_COLORS)
            right.plot([e["names"] for e in entries], [e["payment"] for e in entries],
                       color=GROUP_COLORS[style], linestyle=GROUP_DASHES[style],
                       marker=GROUP_MARKERS[style], label=_label(name))  # fmt: skip
        counts = [entry["names"] for entry in next(iter(document["false_names"].values()))]
        right.set_xscale("log")
        right.set_xticks(counts, [str(count) for count in counts])
        right.minorticks_off()
        right.set(xlabel="names that a group splits its size over", ylabel="total payment")
        right.legend(fontsize="x-small")
        figure.draw_without_rendering()
    return figure


def saved(figure: Figure, suffix: str) -> bytes:
    """The picture as bytes of a file with this ending."""
    file = io.BytesIO()
    with _plain_text():
        figure.savefig(file, format=suffix.lstrip(".").lower(), dpi=110)
    return file.getvalue()
