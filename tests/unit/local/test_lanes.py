"""`./run_local.sh test` runs its lanes side by side, and says what failed."""

import re

import pytest

from local import test_command
from local.test_command import run_lanes


def _python(code):
    return ("-c", code)


def test_lanes_run_side_by_side_and_what_fails_is_named_last(capfd, tmp_path):
    """Each lane waits for a file that the other makes: one after the other they would never end."""
    wait = "import pathlib, sys, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)\n"
    make = "import pathlib; pathlib.Path({!r}).touch()\nprint('made by', {!r})\n"
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    lanes = (
        (("one", _python(make.format(first, "one"))), ("two", _python(wait.format(second) + "sys.exit(3)"))),
        (("three", _python(wait.format(first) + make.format(second, "three"))),),
    )
    assert run_lanes(lanes) == 1
    told = capfd.readouterr().out
    for name in ("one", "two", "three"):
        assert re.search(rf"== {name}\n", told)
    assert "made by one\n" in told
    assert "made by three\n" in told
    assert told.endswith("run_local.sh test: FAILED: two\n")


def test_a_step_has_a_folder_of_its_own_and_compiled_files(capfd, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import os, tempfile; print(tempfile.gettempdir(), os.environ.get('PYTHONDONTWRITEBYTECODE'))"
    assert run_lanes(((("", _python(code)),),)) == 0
    assert re.fullmatch(r"\S+/penstock-\w+ None\n", capfd.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "ci", "tried"),
    [([], "", False), ([], "true", True), (["--fast"], "true", False), (["--full"], "", True)],
)
def test_who_waits_for_the_other_pythons(monkeypatch, arguments, ci, tried):
    ran = []
    monkeypatch.setattr(test_command, "run_lanes", lambda lanes: ran.extend(sum(lanes, ())) or 0)
    monkeypatch.setenv("CI", ci)
    assert test_command.run(arguments) == 0
    assert (("other Pythons", ("tests/pythons.py",)) in ran) == tried
