"""`native` loads the optional C kernels, and knows which are in use.

Problem. A few loops over every byte (MD5 side by side, KPL's format) cost several times more in
Python than in C. Not every machine has a compiler, and nothing may depend on one.

Plan. A kernel is a C module `_native_NAME`, built when the package is installed if that works. Its Python
twin stands in the module that uses it, does the same for every input (tests/property holds them together),
and is used when the kernel isn't there, is older than its source, fails its probe, or `PENSTOCK_NATIVE=0` is set. A
probe is a call of the kernel that must work: it fails when a library keeps its objects in another way than the kernel
was built for. In the module:

    _kernel = native.load("penstock.io.kinesis.kpl._native_aggregation", probe)
    aggregate: Callable[[...], ...] = _kernel.aggregate if _kernel else _aggregate_in_python

Refused: Cython or a build system of its own (setuptools is all that Beam's workers have).
"""

import importlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["advice", "available", "describe", "load"]

_LOGGER = logging.getLogger(__name__)

_SWITCH = "PENSTOCK_NATIVE"
_state: dict[str, str] = {}
"""Kernel -> why it is not in use; empty when it is. It holds each kernel that a module asked for."""


def load(name: str, probe: Callable[[Any], object]) -> ModuleType | None:
    """Gives the kernel with that dotted name, or None when its Python twin must do.

    Args:
        name: `penstock.PACKAGE._native_NAME`.
        probe: called with the kernel; it raises where the kernel doesn't work here.
    """
    module, why_not = _find(name, probe)
    _state[name.rpartition("._native_")[2]] = why_not
    return module


def _find(name: str, probe: Callable[[Any], object]) -> tuple[ModuleType | None, str]:
    if os.environ.get(_SWITCH) == "0":
        return None, f"{_SWITCH}=0"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return None, "not built" if isinstance(error, ModuleNotFoundError) else str(error)
    if _is_stale(module):
        _LOGGER.warning(
            "%s was built from an older source and is not used. Install again (pip install -e .).", name
        )
        return None, "older than its source"
    try:
        probe(module)
    except Exception as error:
        why_not = f"{type(error).__name__}: {error}"
        _LOGGER.warning(
            "%s does not work with the libraries that are installed here (%s), and is not used. Install penstock "
            "again, so that it is built for them.", name, why_not,
        )  # fmt: skip
        return None, why_not
    return module, ""


def _is_stale(module: ModuleType) -> bool:
    """Whether a source beside the module (an editable installation) was changed since the module was built."""
    built = Path(str(module.__file__))
    source = built.with_name(f"{module.__name__.rpartition('.')[2]}.c")
    try:
        return source.stat().st_mtime > built.stat().st_mtime
    except OSError:
        return False


def available() -> list[str]:
    """Gives the names of the kernels in use, of those that were asked for until now."""
    return sorted(name for name, why_not in _state.items() if not why_not)


def describe() -> str:
    """Says for the log which kernels are in use, and why others are not."""
    parts = []
    for name, why_not in sorted(_state.items()):
        parts.append(f"{name} in Python ({why_not})" if why_not else f"{name} native")
    return ", ".join(parts) or "none asked for"


def advice() -> str:
    """Says which kernels are missing and how to get them; "" when none is missing."""
    why = sorted({why_not for why_not in _state.values() if why_not})
    if not why:
        return ""
    if why == [f"{_SWITCH}=0"]:
        return f"the C kernels are switched off ({_SWITCH}=0): all works the same, but slower"
    return (
        f"C kernels are missing ({describe()}): all works the same, but slower. To get them, install a C compiler and "
        "Python's headers (gcc and python3-dev), then install penstock again"
    )
