"""Kernels are found, switched off, and refused when they are stale or don't work here."""

import importlib.util
import os
import types
from pathlib import Path

import pytest

from penstock.transforms.batch import Event
from penstock.transforms.kernels import _scan, native


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
    assert native.load("penstock.io._native_toy", str) is built
    assert native.available() == ["toy"]
    assert native.describe() == "toy native"
    assert native.advice() == ""


def test_a_kernel_that_was_not_built_is_not_used():
    assert native.load("penstock.transforms._native_nobody", str) is None
    assert native.available() == []
    assert native.describe() == "nobody in Python (not built)"
    assert "install a C compiler and Python's headers" in native.advice()


def test_the_switch(built, monkeypatch):
    monkeypatch.setenv("PENSTOCK_NATIVE", "0")
    assert native.load("penstock.io._native_toy", str) is None
    assert native.describe() == "toy in Python (PENSTOCK_NATIVE=0)"
    assert native.advice().startswith("the C kernels are switched off (PENSTOCK_NATIVE=0)")


def test_a_kernel_older_than_its_source_is_not_used(built, tmp_path, caplog):
    source = tmp_path / "_native_toy.c"
    source.touch()
    os.utime(source, (1, 1))
    assert native.load("penstock.io._native_toy", str) is built
    os.utime(source, (1 << 32, 1 << 32))
    assert native.load("penstock.io._native_toy", str) is None
    assert "Install again" in caplog.text


def test_a_kernel_that_fails_its_probe_is_not_used_and_says_so_once(built, caplog):
    def probe(kernel):
        raise TypeError("data is no msgspec.Struct's field")

    assert native.load("penstock.io._native_toy", probe) is None
    assert native.describe() == "toy in Python (TypeError: data is no msgspec.Struct's field)"
    (record,) = caplog.records
    assert "Install penstock again" in record.getMessage()


class NoStruct:
    """An event as another msgspec might make it: its fields are not plain references in the object."""

    data = origin = index = part = id = timestamp = document = changed = property()


@pytest.mark.skipif(_scan._kernel is None, reason="the kernel is not built")
@pytest.mark.parametrize(
    "name", ["penstock.transforms.kernels._scan", "penstock.io.elasticsearch.bulk._actions"]
)
def test_an_event_of_another_layout_falls_back_at_load_not_at_the_first_event(name, monkeypatch, caplog):
    module = importlib.import_module(name)
    probes = []
    monkeypatch.setattr(native, "load", lambda name, probe: probes.append((name, probe)))
    source = Path(module.__file__).read_text()
    spec = importlib.util.spec_from_loader("probed", loader=None)
    probed = importlib.util.module_from_spec(spec)
    exec(compile(source, module.__file__, "exec"), probed.__dict__)
    monkeypatch.undo()
    monkeypatch.setattr(native, "_state", {})
    ((kernel, probe),) = probes
    probed.Event = NoStruct
    assert native.load(kernel, probe) is None
    assert "is no msgspec.Struct's field" in caplog.text
    probed.Event = Event
    assert native.load(kernel, probe) is not None
