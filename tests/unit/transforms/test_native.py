"""How kernels are found, switched off, and refused when they are stale."""

import os
import types

import pytest

from penstock.transforms.kernels import native


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch):
    monkeypatch.delenv("PENSTOCK_NATIVE", raising=False)
    monkeypatch.setattr(native, "_state", {})


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A module that came from a kernel, as far as its loader can tell."""
    module = types.ModuleType("penstock.io._native_toy")
    module.__file__ = str(tmp_path / "_native_toy.cpython-311-x86_64-linux-gnu.so")
    (tmp_path / "_native_toy.cpython-311-x86_64-linux-gnu.so").touch()
    monkeypatch.setattr(native.importlib, "import_module", lambda name: module)
    return module


def test_a_kernel_that_is_there_is_used(built):
    assert native.load("penstock.io._native_toy") is built
    assert native.available() == ["toy"]
    assert native.describe() == "toy native"


def test_a_kernel_that_was_not_built_is_not_used():
    assert native.load("penstock.transforms._native_nobody") is None
    assert native.available() == []
    assert native.describe() == "nobody in Python (not built)"


def test_the_switch(built, monkeypatch):
    monkeypatch.setenv("PENSTOCK_NATIVE", "0")
    assert native.load("penstock.io._native_toy") is None
    assert native.describe() == "toy in Python (PENSTOCK_NATIVE=0)"


def test_a_kernel_older_than_its_source_is_not_used(built, tmp_path, caplog):
    source = tmp_path / "_native_toy.c"
    source.touch()
    os.utime(source, (1, 1))
    assert native.load("penstock.io._native_toy") is built
    os.utime(source, (1 << 32, 1 << 32))
    assert native.load("penstock.io._native_toy") is None
    assert "Install again" in caplog.text
