"""Filters do what Logstash's do, case by case: see cases/README.md."""

import pytest

from tests.tools.models.logstash_conformance import CASES, cases, differences

LANGUAGE = {"grammar", "field_reference", "field_access", "sprintf", "codec"}
REFUSED = {"anonymize"}


@pytest.mark.parametrize("name", sorted({path.stem for path in CASES.glob("*.jsonl")} - LANGUAGE - REFUSED))
def test_filters_conform(name, tmp_path, monkeypatch):
    monkeypatch.chdir(CASES)
    found = {}
    for number, case in enumerate(cases(name)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if differs := differences(case, folder):
            found[case["id"]] = differs
    assert not found, "\n".join(f"{name}: {'; '.join(texts)}" for name, texts in found.items())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_filters_that_are_refused_say_what_to_do(name, tmp_path):
    for case in cases(name):
        (differs,) = differences(case, tmp_path)
        assert f"the filter {name} is not supported: use " in differs
