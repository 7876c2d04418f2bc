"""Old import paths: what a savepoint of the version before names is found; docs/moved.md knows each public name of then."""

import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.io import moved

ROOT = Path(__file__).parents[2]
MOVED_PAGE = ROOT / "docs" / "moved.md"
NAMES = Path(__file__).parent / "stored_state" / "fixtures" / "public_names.txt"


@pytest.mark.parametrize("old", sorted(moved.MOVED))
def test_an_old_path_is_the_module_at_its_new_place(old):
    new = importlib.import_module(moved.MOVED[old])
    assert importlib.import_module(old) is new
    assert new.__name__ == new.__spec__.name == moved.MOVED[old]


def test_what_a_savepoint_pickled_by_the_old_path_is_read():
    """Pickle protocol 0 names module and attribute as text, so this is what 0.1.0 wrote."""
    from penstock.io.chain.unbounded import _parse_split

    assert pickle.loads(b"cpenstock.io.unbounded\n_parse_split\n.") is _parse_split


def test_a_path_that_never_was_is_refused_as_ever():
    code = "import penstock.io.nothing_of_that_name"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: No module named 'penstock.io.nothing_of_that_name'" in done.stderr


def rows(title):
    """The rows of one table of docs/moved.md, each a list of its cells' names."""
    section = MOVED_PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in table]


@pytest.fixture(scope="module")
def said():
    """(old module, old name) -> (module, name) of today, or None for what is gone; a name "*" stands for all others."""
    found = {}
    for (old,), modules, (new,) in rows("Modules that kept their name"):
        found |= {(f"{old}.{module}", "*"): (f"{new}.{module}", "*") for module in modules}
    found |= {(old, "*"): (new, "*") for (old,), (new,) in rows("Modules with another name")}
    for (old,), names, place, called in rows("Names"):
        if not place:
            found |= dict.fromkeys([(old, name) for name in names])
            continue
        called = called or names
        called = called * len(names) if len(called) == 1 else called
        for name, today in zip(names, called, strict=True):
            found[old, name] = (place[0], today)
    return found


def offered(module, name):
    """Whether that module is there and has the name."""
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("line", NAMES.read_text().splitlines(), ids=lambda line: line.split(":")[0])
def test_each_public_name_of_before_is_there_or_said_to_have_moved(line, said):
    old, names = line.split(": ")
    for name in names.split():
        row = said.get((old, name), said.get((old, "*"), (old, name)))
        if row is None:
            assert not offered(old, name), f"{name} of {old} is not gone"
            continue
        module, today = row
        assert offered(module, name if today == "*" else today), f"docs/moved.md: where is {name} of {old}?"


def test_no_row_of_the_page_is_about_a_name_that_never_was(said):
    known = {line.split(": ")[0]: line.split(": ")[1].split() for line in NAMES.read_text().splitlines()}
    for old, name in said:
        assert name == "*" or name in known[old], f"{name} of {old}"
        assert old in known
