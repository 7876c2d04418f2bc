"""What an event is, and pure functions of event batches: decode, select, refer, identify.

Nothing here opens a socket or a file; `penstock.io` imports this package, never the other way round. The names
below load when they are first used, so that whoever needs only `batch` doesn't load Beam.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.transforms.decode import DecodeJson, DecodePlain

__all__ = ["DecodeJson", "DecodePlain"]

_MODULES = {"DecodeJson": "decode", "DecodePlain": "decode"}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
