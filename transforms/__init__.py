"""`transforms` knows events: it defines them, and holds functions of event batches that decode, select, refer, identify.

Nothing here opens a socket or a file. `penstock.io` imports this package, never the other way round. The names
below load when they are first used, so a module that needs only `batch` doesn't load Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.transforms.decode import DecodeJson, DecodePlain
    from penstock.transforms.events import AsElements, FilterEvents, FlatMapEvents, MapEvents
    from penstock.transforms.modify import (
        AddFields,
        DropEvents,
        Fingerprint,
        MoveFields,
        ParseJson,
        RemoveFields,
        RenameFields,
        SetTimestamp,
    )

__all__ = [
    "AddFields",
    "AsElements",
    "DecodeJson",
    "DecodePlain",
    "DropEvents",
    "FilterEvents",
    "Fingerprint",
    "FlatMapEvents",
    "MapEvents",
    "MoveFields",
    "ParseJson",
    "RemoveFields",
    "RenameFields",
    "SetTimestamp",
]

__getattr__ = lazily(
    __name__,
    dict.fromkeys(__all__, "modify")
    | dict.fromkeys(("DecodeJson", "DecodePlain"), "decode")
    | dict.fromkeys(("AsElements", "FilterEvents", "FlatMapEvents", "MapEvents"), "events"),
)
