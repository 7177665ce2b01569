"""`--report`: one self-contained page, made from a notebook that ships with the package.

The notebook is `mechanism/tool/report.ipynb`: open it, change it, and run it with papermill on a
JSON document of one's own. What is read from files reaches it as one text, is parsed as JSON and is
escaped wherever it is shown. The page forbids itself scripts and any fetching.
"""

import html
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mechanism.tool.output import to_json, write_whole

NOTEBOOK = Path(__file__).with_name("report.ipynb")
POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    " img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)
STYLE = """<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border-bottom: 1px solid #bbb; padding: .3em .8em; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } .warning { background: #fff3d6; padding: .4em .8em; }
</style>"""


def write_report(path: Path, findings: dict[str, Any]) -> None:
    """Execute the notebook on the findings and write the page (or, for .ipynb, the notebook)."""
    import papermill

    with _kernel_kept_quiet(), tempfile.TemporaryDirectory(prefix="mechanism-") as folder:
        done = Path(folder) / "done.ipynb"
        notebook = papermill.execute_notebook(
            str(NOTEBOOK), str(done), {"findings": to_json(findings)}, kernel_name="python3",
            progress_bar=False, log_output=False, cwd=folder,
        )  # fmt: skip
        content = done.read_bytes()
    write_whole(path, content if path.suffix.lower() == ".ipynb" else page(notebook))


@contextmanager
def _kernel_kept_quiet() -> Iterator[None]:
    """Keep what the kernel's process says off the user's terminal; it inherits descriptor 2."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def page(notebook: Any) -> str:
    """HTML of what the notebook shows: its texts, tables and pictures, and no code."""
    from nbconvert.filters import markdown2html

    body = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            words = str(markdown2html(cell.source))
            body.append(re.sub(r'<a class="anchor-link".*?</a>', "", words))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                picture = "".join(data["image/png"].split())
                words = html.escape(str(data.get("text/plain", "figure")))
                body.append(f'<img alt="{words}" src="data:image/png;base64,{picture}">')
            elif "text/html" in data:
                body.append(str(data["text/html"]))
            elif "text/plain" in data:
                body.append(f"<pre>{html.escape(str(data['text/plain']))}</pre>")
    title = "Price and audit"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{POLICY}'
        f"<title>{title}</title>{STYLE}</head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def parsed_findings(text: str) -> dict[str, Any]:
    """The findings that the notebook is given, `{"price": ..., "audit": ...}`."""
    found: dict[str, Any] = json.loads(text)
    return found


def html_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in which every cell is escaped; numbers have four significant digits.

    >>> html_table(["a"], [["<b>"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    lines = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = "" if value is None else html.escape(str(value))
        return f"<td>{text}</td>"
    return f'<td class="number">{value:.4g}</td>'


def html_list(items: Iterable[str], kind: str = "note") -> str:
    """Escaped paragraphs of warnings or notes."""
    return "".join(f'<p class="{kind}">{html.escape(kind)}: {html.escape(i)}</p>' for i in items)
