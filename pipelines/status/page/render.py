"""`render` makes the status page one document that loads nothing; its policy names the hashes of style and script."""

import base64
import hashlib
from importlib.resources import files

__all__ = ["PAGE", "PAGE_POLICY"]


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_STYLE = _read("page.css")
_SCRIPT = _read("page.js")

PAGE = (
    _read("page.html").replace("/* STYLE */", _STYLE, 1).replace("/* SCRIPT */", _SCRIPT, 1).encode()
)  # fmt: skip
"""The whole page."""

PAGE_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The page's Content-Security-Policy: this style and script, JSON of this origin, and nothing else."""
