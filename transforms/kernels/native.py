"""The optional C kernels: loads them, and tells which are in use.

Problem. A few loops over every byte (MD5 side by side, KPL's format) cost several times more in
Python than they must. A compiler isn't everywhere, and nothing may depend on one.

Plan. A kernel is a C module `_native_NAME`, built when the package is installed if that works. Its Python
twin stands in the module that uses it, does the same for every input (tests/property holds them together),
and is used when the kernel isn't there, is older than its source, or `PENSTOCK_NATIVE=0` is set. In the module:

    _kernel = native.load("penstock.io.kinesis._native_records")
    aggregate: Callable[[...], ...] = _kernel.aggregate if _kernel else _aggregate_in_python

Refused: Cython or a build system of its own (setuptools is all that Beam's workers have).
"""

import importlib
import logging
import os
from pathlib import Path
from types import ModuleType

__all__ = ["available", "describe", "load"]

_LOGGER = logging.getLogger(__name__)

_SWITCH = "PENSTOCK_NATIVE"
_state: dict[str, str] = {}
"""What became of each kernel that a module asked for: empty when in use, else why not."""


def load(name: str) -> ModuleType | None:
    """The kernel with that dotted name, None when its Python twin must do.

    Args:
        name: `penstock.PACKAGE._native_NAME`.
    """
    module, why_not = _find(name)
    _state[name.rpartition("._native_")[2]] = why_not
    return module


def _find(name: str) -> tuple[ModuleType | None, str]:
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
    return module, ""


def _is_stale(module: ModuleType) -> bool:
    """Whether a source lies beside the module (an editable installation) that was changed since it was built."""
    built = Path(str(module.__file__))
    source = built.with_name(f"{module.__name__.rpartition('.')[2]}.c")
    try:
        return source.stat().st_mtime > built.stat().st_mtime
    except OSError:
        return False


def available() -> list[str]:
    """The names of the kernels in use, of those that were asked for until now."""
    return sorted(name for name, why_not in _state.items() if not why_not)


def describe() -> str:
    """For the log: which kernels are in use, and why others are not."""
    parts = []
    for name, why_not in sorted(_state.items()):
        parts.append(f"{name} in Python ({why_not})" if why_not else f"{name} native")
    return ", ".join(parts) or "none asked for"
