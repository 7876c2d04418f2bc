"""The documentation: it builds without a warning, stands alone, and says what the code says."""

import argparse
import ast
import html.parser
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.pipelines.flink_options import FlinkStreamingOptions

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
    codecs = (DOCS / "codecs.md").read_text()
    assert codecs == load(DOCS / "make_options.py").codecs_page(codecs), "run the same"
    servers = (DOCS / "elasticsearch.md").read_text()
    assert servers == load(DOCS / "make_search_servers.py").page(servers), "run docs/make_search_servers.py"


def test_the_lists_of_logstash_are_what_the_plugins_declare():
    text = (DOCS / "logstash.md").read_text()
    assert text == load(DOCS / "make_logstash.py").page(text), (
        "run: .venv/bin/python -P docs/make_logstash.py"
    )


def test_the_keywords_of_editors_are_what_the_code_declares():
    assert not load(DOCS / "make_keywords.py").stale(), "run: .venv/bin/python -P docs/make_keywords.py"


def test_the_api_page_is_what_the_docstrings_say():
    assert (DOCS / "api.md").read_text() == load(DOCS / "make_api.py").page(), (
        "run: .venv/bin/python -P docs/make_api.py"
    )


def test_what_stands_beside_javas_connectors_is_there():
    """The right column of docs/beam_java.md names arguments that exist."""
    keywords = importlib.import_module("penstock.io.keywords.kinesis")
    others = importlib.import_module("penstock.io.keywords.elasticsearch")
    known = {"id_fn", "ids", "output", "partition_key"}
    for made in (keywords.ReadKeywords, keywords.WriteKeywords, others.WriteKeywords):
        known |= made.__annotations__.keys()
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (DOCS / "beam_java.md").read_text(), re.MULTILINE)
    assert len(rows) > 40
    named = {name for _, here in rows for name in re.findall(r"`([a-z]+(?:_[a-z]+)*)(?:=[^`]*)?`", here)}
    assert len(named) > 40
    assert named <= known | {"create"}, named - known


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


@pytest.mark.built
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
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r' (?:src|srcset)="([^"]+)"', text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def code():
    """All of the package's code, with adjacent literals joined as Python joins them."""
    files = (path for folder in ("io", "transforms", "pipelines") for path in (ROOT / folder).rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))


def flags():
    """Every option's name, without dashes; of a secret also the name for its file."""
    options = load(DOCS / "make_options.py")
    fields = [field for cls in options.takers() for field in options.dataclasses.fields(cls)]
    names = {options.flag_of(field)[2:] for field in fields}
    return names | {f"{options.flag_of(field)[2:]}_file" for field in fields if field.metadata.get("secret")}


def beam_flags():
    """Beam's own options, and those of Flink's job server that we choose or check; likewise."""
    parser = argparse.ArgumentParser(conflict_handler="resolve", add_help=False)
    assert issubclass(FlinkStreamingOptions, PipelineOptions)
    pending = [PipelineOptions]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        cls._add_argparse_args(parser)
    return {flag[2:] for action in parser._actions for flag in action.option_strings}


def rows(page):
    """The cells of all table rows of a page that begin with code."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_quoted_messages_still_stand_in_the_code():
    said = code()
    quoted = [text for row in rows("troubleshooting.md") for text in re.findall(r"`([^`]+)`", row[0])]
    assert len(quoted) > 40
    for text in quoted:
        assert text in said, f"no message says {text!r} any more"


def test_every_option_that_a_page_names_exists():
    known = flags() | beam_flags() | {"help", "worker_pool"}  # the last is of Beam's worker image
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        # In text and tables; commands are run by tests/integration/docs/test_docs_snippets.py.
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        text = text.partition("<!-- made by docs/make_logstash.py: flags -->")[0]  # Logstash's own flags
        for name in re.findall(r"`--([a-z]\w+)(?=[ =`])", text):
            assert name in known, f"{page.name}: there is no --{name}"


def test_options_that_keep_their_name_do_so():
    ours = flags()
    kept = [name for row in rows("logstash.md") if row[1] == "=" for name in re.findall(r"`(\w+)`", row[0])]
    assert len(kept) > 80
    assert set(kept) <= ours


def test_each_alarm_has_its_row():
    """Its name, severity and time are those of the rule, in the same order."""
    groups = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    shown = [
        [cell.strip("`") for cell in row[:3]] for row in rows("alarms.md") if row[0].startswith("`Penstock")
    ]
    assert shown == [[rule["alert"], rule["labels"]["severity"], rule["for"]] for rule in rules]
    for rule in rules:
        assert all(rule["annotations"][name] for name in ("summary", "description"))


def test_the_hops_of_an_event_are_where_the_design_says():
    hops = re.findall(
        r"^\| \d+ \| `([\w/]+\.py)`: `([\w.]+)` \|", (DOCS / "design.md").read_text(), re.MULTILINE
    )
    assert len(hops) == 20
    for file, name in hops:
        scope = ast.parse((ROOT / file).read_text()).body
        for part in name.split("."):
            found = [node for node in scope if getattr(node, "name", None) == part]
            assert found, f"docs/design.md: {file} has no {name}"
            scope = getattr(found[0], "body", [])


def test_what_is_verified_and_bounded_is_a_test():
    page = (DOCS / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 12
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text() if name else (ROOT / path).exists(), (path, name)


def test_each_claim_of_the_security_page_names_a_test_that_is_there():
    text = (DOCS / "security.md").read_text()
    table = (
        text.partition("## What is verified, and what is bounded")[2]
        .partition("\n\n|")[2]
        .partition("\n\n")[0]
    )
    rows = table.splitlines()[2:]
    assert len(rows) >= 15
    for row in rows:
        assert re.search(r"`tests/[^`]+\.py::test_\w+`", row), row
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        source = (ROOT / file).read_text()
        assert not name or f"def {name}(" in source, f"{file} has no {name}"
