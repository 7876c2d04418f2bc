"""The audit of dependencies: what it asks about, and that silence is never taken for "nothing known"."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "audit.py"


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit_under_test", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_that_the_package_brings_is_asked_about(audit):
    found = audit.closure("penstock-beam")
    assert {"apache-beam", "boto3", "botocore", "urllib3", "orjson", "elastic-transport"} <= set(found)
    assert "pytest" not in found
    assert "penstock-beam" not in found


def test_what_pip_audit_writes(audit):
    known = {"name": "a", "version": "1", "vulns": []}
    flawed = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "PYSEC-2"}]}
    skipped = {"name": "c", "skip_reason": "Dependency not found"}
    assert audit.read([known, flawed, skipped]) == (2, ["b 2: CVE-1, PYSEC-2"], "Dependency not found")


@pytest.mark.parametrize(
    ("answer", "arguments", "code", "words"),
    [
        ((1, [], ""), [], 0, "1 audited by pypi, no known vulnerabilities"),
        ((1, ["x 1: CVE-1"], ""), [], 1, "VULNERABLE: x 1: CVE-1"),
        ((0, [], "b"), [], 0, "NOT AUDITED: pypi knows 0 of 1 packages: b"),
        ((0, [], "b"), ["--require"], 1, "NOT AUDITED"),
    ],
)
def test_how_it_ends(audit, monkeypatch, capsys, answer, arguments, code, words):
    monkeypatch.setattr(
        audit.importlib.util, "find_spec", lambda name: name
    )  # the tool is there; it is not run
    monkeypatch.setattr(audit, "closure", lambda name: {"x": "1"})
    monkeypatch.setattr(audit, "ask", lambda service, packages: answer)
    assert audit.main(arguments) == code
    assert words in capsys.readouterr().out


def test_without_the_tool_nothing_is_audited_and_it_says_so(audit, monkeypatch, capsys):
    monkeypatch.setattr(audit.importlib.util, "find_spec", lambda name: None)
    assert audit.main([]) == 0
    assert "NOT AUDITED: pip-audit is not installed" in capsys.readouterr().out
    assert audit.main(["--require"]) == 1
