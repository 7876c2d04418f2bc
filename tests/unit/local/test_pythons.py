"""`tests/pythons.py` tries the other Pythons: what it installs and runs there, and what it says where one is missing."""

import tomllib
from pathlib import Path

from tests import pythons

ROOT = Path(__file__).parents[3]


def test_the_index_is_asked_for_no_package_of_ours():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [requirement.partition(">")[0] for requirement in pythons.own_extra(extras, "dev")]
    assert {"pytest", "flask", "sphinx"} <= set(wanted)
    assert not [name for name in wanted if name.startswith("penstock")]


def test_the_lowest_version_of_each_dependency_is_known():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = [pythons.lowest_of(requirement) for requirement in needed]
    assert len(needed) == len([pin for pin in pinned if pin and "==" in pin])
    assert "urllib3==2.8" in pinned


def test_a_python_that_is_not_here_is_named_and_no_failure(monkeypatch, capsys):
    monkeypatch.setattr(pythons, "VERSIONS", ("3.99",))
    assert pythons.main([]) == 0
    assert capsys.readouterr().out == "Python 3.99: not here, so not tried\n"


def test_a_python_on_which_tests_fail_is_named(monkeypatch, capsys):
    monkeypatch.setattr(pythons, "VERSIONS", ("3.99",))
    monkeypatch.setattr(pythons, "find", lambda version: "python")
    ran = []
    monkeypatch.setattr(
        pythons, "passes", lambda version, python, arguments: ran.append(arguments) is not None
    )
    assert pythons.main(["-x"]) == 1
    assert ran == [["-x"]]
    assert capsys.readouterr().out == "failed on Python 3.99\n"
