"""An event as an object, for the options that look into it."""

import orjson

from penstock.transforms.batch import Document, Event

__all__ = ["document_of"]


def document_of(event: Event) -> Document | None:
    """The decoded event, not kept; None when it is no JSON object."""
    if event.document is not None:
        return event.document
    try:
        document = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
