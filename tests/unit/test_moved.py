"""Old import paths: what a savepoint of the version before names is found, and is the very same object."""

import importlib
import pickle
import subprocess
import sys

import pytest

from penstock.io import moved


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
