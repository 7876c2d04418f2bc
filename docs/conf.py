"""Sphinx reads the Markdown of this folder: `.venv/bin/sphinx-build -W --keep-going docs build/docs`.

Sphinx, because it is well kept, and because its pages work offline: Furo brings its own styles and scripts, so a
page asks no other host for anything (a test looks).
"""

import re
from importlib.metadata import version as _version_of
from typing import Any

project = "penstock"
author = "The penstock authors"
project_copyright = "The penstock authors; Apache License 2.0"
release = version = _version_of("penstock-beam")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3
myst_url_schemes = ("http", "https")

html_theme = "furo"
html_title = "penstock"
html_static_path = ["_static"]
html_css_files = ["penstock.css"]
html_copy_source = False
html_show_sourcelink = False

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")


def _name_files_outside(app: Any, page: str, source: list[str]) -> None:
    """A link to a file of the repository that is no page becomes its name: the built pages stand alone."""
    source[0] = _OUTSIDE.sub(lambda link: f"{link[1]} (`{link[2]}` in the repository)", source[0])


def setup(app: Any) -> None:
    app.connect("source-read", _name_files_outside)
