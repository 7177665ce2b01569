"""One setting turns on what needs a place on the web: `repository.url` in `_config.yml`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.chapters import ROOT, ChapterError

# Sphinx reads notebooks, pages of packages and pages of tests; people write MyST and Python.
WRITTEN = (
    "{% if file_name.startswith('api/') %}{{ file_name[4:-4] | replace('.', '/') }}/__init__.py"
    "{% elif file_name.startswith('tests/') %}{{ file_name[:-4] }}.py"
    "{% else %}{{ file_name | replace('.ipynb', '.md') }}{% endif %}"
)
NOTEBOOKS = "notebooks"  # the branch that holds what notebooks.zip holds: Binder and Colab read it


@dataclass(frozen=True)
class Repository:
    """Where the project lies: a GitHub address, or an empty string, and its main branch."""

    url: str
    branch: str = "main"

    @property
    def archive(self) -> str:
        """What pip installs the package from."""
        return f"{self.url}/archive/refs/heads/{self.branch}.zip" if self.url else ""


def read(config: dict[str, Any] | None = None) -> Repository:
    """Read the setting; Binder and Colab know repositories by the names that GitHub gives them."""
    if config is None:
        config = yaml.safe_load(Path(ROOT, "_config.yml").read_text(encoding="utf-8"))
    given = config.get("repository", {})
    url = (given.get("url") or "").rstrip("/")
    if url and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise ChapterError(
            f"_config.yml: repository.url is {url!r}; write https://github.com/OWNER/REPOSITORY, "
            "or leave it empty"
        )
    return Repository(url, given.get("branch", "main"))


def add_buttons(config: dict[str, Any]) -> None:
    """Turn on "edit", "issue", Binder and Colab in a staged configuration, if there is a URL."""
    here = read(config)
    if not here.url:
        return
    config["repository"] = {"url": here.url, "branch": NOTEBOOKS}
    buttons = ("use_repository_button", "use_edit_page_button", "use_issues_button")
    config["html"] = config.get("html", {}) | dict.fromkeys(buttons, True)
    config["launch_buttons"] = config.get("launch_buttons", {}) | {
        "notebook_interface": "jupyterlab",
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
    }
    context = config["sphinx"]["config"].setdefault("html_context", {})
    context["edit_page_provider_name"] = "GitHub"
    context["edit_page_url_template"] = f"{here.url}/edit/{here.branch}/{WRITTEN}"
