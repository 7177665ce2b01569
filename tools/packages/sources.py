"""Where packages come from: the user's settings of pip, for pip and, in its own words, for uv.

Part of `tools/environment.py`, so standard library only and no syntax newer than Python 3.6.
"""

import ast
import os

UV = "uv==0.13.9"  # beside pip, and no more a requirement of the book than pip is
PIP_KEPT = (  # what a user may set of pip: where packages come from, not where they go
    "INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "TRUSTED_HOST", "CERT", "CLIENT_CERT",
    "PROXY", "CACHE_DIR", "NO_CACHE_DIR", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "CONFIG_FILE",
    "KEYRING_PROVIDER", "PREFER_BINARY", "ONLY_BINARY", "NO_BINARY",
)  # fmt: skip
UV_KEPT = ("UV_CACHE_DIR", "UV_LINK_MODE")
VARIABLES = {  # settings of pip that uv reads from a variable, and what stands between two values
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
    "retries": ("UV_HTTP_RETRIES", ""),
}
OF_PIP_ALONE = {  # settings that change neither what is installed nor from where
    "disable-pip-version-check", "cache-dir", "progress-bar", "no-input", "no-color", "quiet",
    "verbose", "user", "require-virtualenv", "break-system-packages", "root-user-action",
    "no-warn-script-location", "no-compile", "no-python-version-warning",
}  # fmt: skip
TRUE = {"1", "true", "yes", "on", "y", "t"}


def clean_environment():
    """Return the environment for pip: what would install elsewhere or import others is left out."""
    kept = {}
    for name, value in os.environ.items():
        foreign = name.startswith("PIP_") and name[len("PIP_") :] not in PIP_KEPT
        foreign = foreign or (name.startswith("UV_") and name not in UV_KEPT)
        if not foreign and not name.startswith("PYTHON"):
            kept[name] = value
    return dict(kept, PIP_REQUIRE_VIRTUALENV="1", PIP_USER="0", PYTHONUTF8="1")


def for_uv(listing):
    """Return options and variables that say to uv what `pip config list` says, or nothing.

    Nothing where a setting has no like in uv: pip must install then, or packages could come from
    somewhere else than the user wants.

    >>> for_uv("global.index-url='https://a/simple'")
    ([], {'UV_DEFAULT_INDEX': 'https://a/simple'})
    >>> for_uv("global.only-binary=':all:'")
    """
    settings = {}
    for place in ("global", "install", ":env:"):  # the later one counts
        for line in listing.splitlines():
            if line.startswith(place + "."):
                name, _, value = line[len(place) + 1 :].partition("=")
                settings[name.replace("_", "-")] = ast.literal_eval(value)
    options, variables = [], {}
    for name, value in settings.items():
        if name in VARIABLES:
            variable, between = VARIABLES[name]
            variables[variable] = between.join(value.split()) if between else value.strip()
        elif name == "constraint":
            for path in value.split():
                options += ["--constraint", path]
        elif name in ("no-index", "no-cache-dir"):
            wanted = value.strip().lower() in TRUE
            options += [{"no-index": "--no-index", "no-cache-dir": "--no-cache"}[name]] * wanted
        elif name not in OF_PIP_ALONE:
            return None
    return options, variables
