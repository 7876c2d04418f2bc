"""Errors cross process borders in Beam."""

import pickle

import pytest

from penstock.io import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_survives_pickling_with_its_text(name):
    error = getattr(errors, name)("what, where, what to do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == "what, where, what to do"
    assert again.exit_code == (2 if name == "OptionError" else 1)
