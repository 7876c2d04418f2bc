"""Each public transform shows an example in its docstring, and it runs."""

import doctest
import importlib
import pkgutil

import pytest

import penstock.testing
import penstock.transforms
from penstock.transforms import logstash


@pytest.mark.parametrize("name", penstock.transforms.__all__)
def test_a_transform_shows_an_example(name):
    assert ">>> " in getattr(penstock.transforms, name).__doc__


@pytest.mark.parametrize("name", sorted({*logstash.__all__} - {"ConfigError", "Geoip", "compile_filters"}))
def test_a_filter_shows_an_example(name):
    """Not `Geoip`: it needs a database, and none is shipped."""
    assert ">>> " in getattr(logstash, name).__doc__


@pytest.mark.parametrize(
    "module",
    [
        "penstock.testing.running",
        "penstock.testing.kinesis",
        "penstock.testing.elasticsearch",
        "penstock.io.elements.from_elements",
        *(each.name for each in pkgutil.walk_packages(penstock.transforms.__path__, "penstock.transforms.")),
    ],
)
def test_the_examples_run(module):
    if "_native" not in module:
        assert doctest.testmod(importlib.import_module(module)).failed == 0
