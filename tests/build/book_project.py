"""A book of one chapter and one page of text, for tests of the build."""

import yaml

HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter
"""


def page(*cells: str) -> str:
    return HEADER + "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)


PICTURE = (
    "import matplotlib.pyplot as plt\nimport random\n"
    "plt.plot([0, {}, 1])\nplt.gca().set_axis_off()\nplt.show()"
)


def write_project(tmp_path):
    """Write the book into a folder, and return the folder."""
    (tmp_path / "book/part").mkdir(parents=True)
    (tmp_path / "book/_static").mkdir()
    (tmp_path / "book/_static/a.css").write_text("")
    (tmp_path / "book/index.md").write_text("# Start\n")
    (tmp_path / "book/part/one.md").write_text(page("1 + 1"))
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": "book/part/one"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    config = {"title": "T", "execute": {"execute_notebooks": "cache", "timeout": 5}}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    return tmp_path
