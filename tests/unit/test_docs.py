"""The documentation: it builds without a warning, stands alone, and says what the code says."""

import html.parser
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_options_is_what_the_code_declares():
    made = load(DOCS / "make_options.py").page()
    assert (DOCS / "options.md").read_text() == made, "run: .venv/bin/python -P docs/make_options.py"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pages, built by the documented command with every warning an error."""
    target = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-P",
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        target / "cache",
        DOCS,
        target / "html",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "html"


class Fetched(html.parser.HTMLParser):
    """What a browser would fetch by itself to show a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.found.append(given.get("src"))
        elif tag == "link":
            self.found.append(given.get("href"))


def test_the_pages_ask_no_other_host_for_anything(built):
    pages = list(built.rglob("*.html"))
    assert len(pages) > 5
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text())
        for address in filter(None, parser.found):
            assert not re.match(r"(\w+:)?//", address), f"{page.name}: {address}"
    for sheet in built.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(\w+:)?//", sheet.read_text()), sheet.name


@pytest.mark.parametrize("page", sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")]), ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"
