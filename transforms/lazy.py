"""`lazy` loads a package's names when they are first used, so that a job's `--help` and small modules need no Beam."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Gives the package's `__getattr__`.

    Args:
        package: the package's name.
        modules: each public name -> the module below the package that holds it.
    """

    def load(name: str) -> Any:
        if name not in modules:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        found = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    # Without it `help(package)` and completion would show nothing but the docstring.
    itself = vars(sys.modules[package])
    itself["__dir__"] = lambda: sorted({*itself, *modules})
    return load
